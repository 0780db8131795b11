"""The client of Darkroom: `from darkroom_client import Client`.

This is `darkroom_client/__init__.py` of the wheel; there, gateway/client is the package `client` beside it.
"""

from .client import *  # type: ignore[import-not-found,unused-ignore]  # noqa: F403
