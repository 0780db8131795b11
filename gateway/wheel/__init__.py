"""The Python client of Darkroom: `from darkroom_client import Client`.

This file becomes `darkroom_client/__init__.py` in the wheel. The wheel has gateway/client as `darkroom_client.client`.
"""

from typing import TYPE_CHECKING

from . import client  # type: ignore[attr-defined,unused-ignore]

if TYPE_CHECKING:
    from .client import *  # type: ignore[import-not-found,unused-ignore]  # noqa: F403
else:
    __all__ = client.__all__

    def __getattr__(name: str) -> object:
        """Import a public name of the client when it is first used."""
        if name in client.__all__:
            return getattr(client, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
