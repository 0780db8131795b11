#!/bin/sh
# Writes the configuration with its addresses to /tmp/nginx, then replaces itself with nginx.
set -eu
resolvers=${NGINX_LOCAL_RESOLVERS:-$(awk '$1 == "nameserver" {print ($2 ~ /:/ ? "[" $2 "]" : $2)}' /etc/resolv.conf | paste -sd' ' -)}
mkdir -p /tmp/nginx/conf.d
cp /etc/darkroom/* /tmp/nginx/
sed -e "s|\${DARKROOM_GATEWAY}|$DARKROOM_GATEWAY|g" \
  -e "s|\${DARKROOM_BODY_BYTES}|$DARKROOM_BODY_BYTES|g" \
  -e "s|\${DARKROOM_BODY_MIB}|$((DARKROOM_BODY_BYTES / 1048576))|g" \
  -e "s|\${NGINX_LOCAL_RESOLVERS}|$resolvers|g" \
  /etc/darkroom-templates/darkroom.conf.template >/tmp/nginx/conf.d/darkroom.conf
exec nginx -c /tmp/nginx/nginx.conf -g 'daemon off;'
