"""Cross-site requests: pages of other origins may not change anything."""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway import problems

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OWN_SITES = frozenset({"same-origin", "none"})
"""Values of `Sec-Fetch-Site` of the own page. `same-site` is not one: another port of this machine is the same site."""
MAX_SHOWN_CHARACTERS = 100


class CrossSite:
    """ASGI middleware that answers 403 if a page of an origin that is not in `origins` sends an unsafe method.

    Browsers send `Sec-Fetch-Site`; older ones, and all over plain HTTP to another machine, only send `Origin`, which is
    compared with `Host`. Other clients send neither and pass. API keys and tokens make no difference: browsers ask for
    permission before they send one, but not before they send a form.
    """

    def __init__(self, app: ASGIApp, *, origins: Collection[str]) -> None:
        self._app = app
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request before its body is read, or pass it on."""
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS or self._allows(headers := Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        origin = headers.get("origin", "unknown")[:MAX_SHOWN_CHARACTERS]
        detail = (
            f"A page of another origin ({origin}) sent this request. To allow it, add its origin to "
            "DARKROOM_CORS__ORIGINS."
        )
        await problems.build_response(403, "cross_site", detail)(scope, receive, send)

    def _allows(self, headers: Headers) -> bool:
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if origin in self._origins:
            return True
        if site is not None:
            return site in OWN_SITES
        return origin is None or origin.partition("://")[2] == headers.get("host", "no host").lower()
