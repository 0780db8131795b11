"""Scripts that Redis runs: each is sent once, and named by its hash from then on."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha1
from typing import Any

from redis.exceptions import NoScriptError

from pipeline.broker.direct_connection import DirectConnection


class RedisScript:
    """A script in Lua, for any server."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._digest = sha1(text.encode(), usedforsecurity=False).hexdigest()

    def run(self, connection: DirectConnection, keys: Sequence[Any], arguments: Sequence[Any]) -> Any:
        """Return what the script returns. Raises redis-py's errors."""
        operands = (len(keys), *keys, *arguments)
        try:
            (reply,) = connection.execute(("EVALSHA", self._digest, *operands))
        except NoScriptError:  # a server that has not run it since its start
            (reply,) = connection.execute(("EVAL", self._text, *operands))
        return reply
