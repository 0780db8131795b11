"""What the client sends and where, by default. This module imports nothing."""

VERSION = "0.2.0"
"""The version of the client: the server's, whose modules are not in the wheel. A test compares them."""
DEFAULT_URL = "http://127.0.0.1:8001"
USER_AGENT = f"darkroom-client/{VERSION}"
