"""Authorization: API keys, tokens and signed links. Without keys, every route is open and jobs have no owner."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from hmac import compare_digest

from pydantic import SecretStr
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import problems
from gateway.image_links import PREFIX as IMAGES
from gateway.image_links import verify_link
from gateway.middleware.cross_site import SAFE_METHODS
from gateway.permission import Permission
from gateway.permission import Scope as TokenScope
from gateway.routes import docs, js_client, schemas
from gateway.routing import route_of
from gateway.token_routes import allows_route
from gateway.tokens import has_form_of_token, verify_token
from storage.clock import now_ms

OPEN_PATHS = frozenset({"/livez", "/readyz", "/metrics"}) | docs.PATHS | js_client.PATHS | {schemas.PATH}
BASIC_PATHS = frozenset({"/ingest/s3"})
"""Routes that also take a key as the password of HTTP Basic: SNS sends no header of its own."""
BASIC_CHALLENGE = 'Basic realm="Darkroom", charset="UTF-8"'
TOKEN_PARAMETER, SIGNATURE_PARAMETER = b"token=", b"sig="
UNAUTHORIZED = (
    "The API key or token is missing or wrong. Send a valid one: Authorization: Bearer KEY, or X-API-Key: KEY."
)


class Authorization:
    """ASGI middleware that sets `request.state.permission` from the API key, token or link, or answers 401 or 403.

    Only SHA-256 digests of the keys are configured. Secrets sign tokens and links, each for one owner.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        keys: Mapping[str, str],
        secrets: Mapping[str, Sequence[SecretStr]] | None = None,
        presets: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        """Take the SHA-256 (hex) of each key, the signing secrets, and the presets that limit a key, by owner."""
        self._app = app
        self._keys = dict(keys)
        self._secrets = dict(secrets or {})
        self._presets = dict(presets or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its permission, or answer why it has none."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        tokens, signatures = (_take_parameters(scope, name) for name in (TOKEN_PARAMETER, SIGNATURE_PARAMETER))
        is_in_url = bool(tokens or signatures)
        try:
            permission = self._authorize(scope, tokens, signatures)
        except problems.Problem as problem:
            headers = problem.headers
            if scope["path"] in BASIC_PATHS and (challenge := headers.get("WWW-Authenticate")):
                headers = headers | {"WWW-Authenticate": f"{challenge}, {BASIC_CHALLENGE}"}
            answer = problems.build_response(problem.status, problem.code, problem.detail, headers=headers)
            await answer(scope, receive, _without_referrer(send) if is_in_url else send)
            return
        scope.setdefault("state", {})["permission"] = permission
        await self._app(scope, receive, _without_referrer(send) if is_in_url else send)

    def _authorize(self, scope: Scope, query_tokens: Sequence[str], signatures: Sequence[str]) -> Permission:
        """Return what the request may do. Raises a `Problem` if it may not use its route.

        The limits of a key hold for the tokens of its owner, too.
        """
        credential = _read_credential(Headers(scope=scope), takes_basic=scope["path"] in BASIC_PATHS)
        owner = self._owner_of_key(credential)
        if not self._keys or owner is not None or scope["path"] in OPEN_PATHS:
            return self._limit(Permission(owner=owner))
        if has_form_of_token(credential):
            permission = verify_token(credential, self._secrets, now_ms=now_ms())
        elif query_tokens and not credential:
            permission = self._verify_query(scope, query_tokens)
        elif signatures and not credential and scope["path"].startswith(IMAGES):
            permission = verify_link(scope["path"], scope["query_string"], signatures, self._secrets, now_ms=now_ms())
        else:
            raise problems.Unauthorized(UNAUTHORIZED)
        _check_use(permission, scope)
        return self._limit(permission)

    def _limit(self, permission: Permission) -> Permission:
        return permission.limit_presets(self._presets.get(permission.owner or ""))

    def _verify_query(self, scope: Scope, tokens: Sequence[str]) -> Permission:
        """Return what the token in the query allows: a URL is stored and shown in many places, so it may only read."""
        if len(tokens) > 1:
            raise problems.InvalidToken(f"The query has {len(tokens)} tokens. Send one.")
        permission = verify_token(tokens[0], self._secrets, now_ms=now_ms())
        if permission.scope is not TokenScope.READ or scope["method"] not in {"GET", "HEAD"}:
            raise problems.InvalidToken(
                "Only view tokens, and only GET and HEAD, may have a token in the query. Send this one as a header: "
                "Authorization: Bearer TOKEN."
            )
        return permission

    def _owner_of_key(self, key: str) -> str | None:
        """Return the owner of a key. Every key is compared, in constant time, even after a match."""
        digest = sha256(key.encode()).hexdigest()
        matches = [owner for owner, key_digest in self._keys.items() if compare_digest(key_digest, digest)]
        return matches[0] if matches else None


def _read_credential(headers: Headers, *, takes_basic: bool) -> str:
    """Return the API key or token in the headers; empty without one."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if takes_basic and scheme.lower() == "basic":
        return _read_password(token)
    return token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")


def _read_password(token: str) -> str:
    """Return the password in the credentials of HTTP Basic (RFC 7617); empty for malformed ones."""
    try:
        return b64decode(token.strip(), validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


def _check_use(permission: Permission, scope: Scope) -> None:
    """Raise a `Problem` if a token may not use the request's route, or not from a page of its origin."""
    if not allows_route(permission.scope, scope["method"], route_of(scope)):
        raise problems.InsufficientScope(
            "The token may not use this route. An upload token uploads, and reads the jobs that it has made; a view "
            "token reads one job. Everything else needs an API key."
        )
    origin = Headers(scope=scope).get("origin")
    if permission.origin is not None and scope["method"] not in SAFE_METHODS and origin != permission.origin:
        raise problems.OriginNotAllowed(f"The token is only for pages of {permission.origin}.")


def _take_parameters(scope: Scope, name: bytes) -> list[str]:
    """Return the tokens or signatures in the query and remove them: nothing behind this logs or repeats them.

    Only a parameter whose name is written as it is counts: what removes tokens from logs looks for that, too.
    """
    parts = scope.get("query_string", b"").split(b"&")
    found = [part.removeprefix(name) for part in parts if part.startswith(name)]
    if found:
        scope["query_string"] = b"&".join(part for part in parts if not part.startswith(name))
    return [value.decode("latin-1") for value in found]


def _without_referrer(send: Send) -> Send:
    """Return a `send` that keeps the URL, which has a token in it, out of the Referer of the next requests."""

    async def send_with_policy(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)["Referrer-Policy"] = "no-referrer"
        await send(message)

    return send_with_policy
