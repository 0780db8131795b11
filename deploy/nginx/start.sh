#!/bin/bash
# Writes the configuration with its addresses to /tmp/nginx, then replaces itself with nginx, whose errors pass a filter.
set -eu
resolvers=${NGINX_LOCAL_RESOLVERS:-$(awk '$1 == "nameserver" {print ($2 ~ /:/ ? "[" $2 "]" : $2)}' /etc/resolv.conf | paste -sd' ' -)}
mkdir -p /tmp/nginx/conf.d
cp /etc/darkroom/* /tmp/nginx/
for name in darkroom metrics; do
  sed -e "s|\${DARKROOM_GATEWAY}|$DARKROOM_GATEWAY|g" \
    -e "s|\${DARKROOM_BODY_BYTES}|$DARKROOM_BODY_BYTES|g" \
    -e "s|\${DARKROOM_BODY_MIB}|$((DARKROOM_BODY_BYTES / 1048576))|g" \
    -e "s|\${DARKROOM_CONNECTIONS}|$DARKROOM_CONNECTIONS|g" \
    -e "s|\${DARKROOM_METRICS_LISTEN}|$DARKROOM_METRICS_LISTEN|g" \
    -e "s|\${NGINX_LOCAL_RESOLVERS}|$resolvers|g" \
    "/etc/darkroom-templates/$name.conf.template" >"/tmp/nginx/conf.d/$name.conf"
done
# A list as in DARKROOM_HTTP__TRUSTED_PROXIES, or one that is separated by commas or spaces.
for network in $(printf '%s' "$DARKROOM_TRUSTED_PROXIES" | tr '[],"' '    '); do
  echo "set_real_ip_from $network;" >&3
  echo "$network 1;" >&4
done 3>/tmp/nginx/trusted-proxies.conf 4>/tmp/nginx/trusted-proxies.geo
# A list of origins, as the gateway takes it; the host of one may be an address in brackets.
set -f
for origin in $(printf '%s' "$DARKROOM_CORS__ORIGINS" | tr -s ',"\n' ' ' | sed 's/^ *\[//; s/\] *$//'); do
  echo "\"$origin\" \"$origin\";"
done >/tmp/nginx/cors-origins.map
# nginx writes the whole address of a request to its errors.
exec nginx -c /tmp/nginx/nginx.conf -g 'daemon off;' 2> >(exec sed -u 's/\([?&]\(token\|sig\)=\)[^ "&]*/\1.../g' >&2)
