"""The Python client of Darkroom: `from darkroom_client import Client`.

This file becomes `darkroom_client/__init__.py` in the wheel. The wheel has gateway/client as `darkroom_client.client`.
"""

from .client import *  # type: ignore[import-not-found,unused-ignore]  # noqa: F403
