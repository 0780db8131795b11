"""`python -m gateway`: serve the API."""

from __future__ import annotations

from gateway.server.serve import serve

if __name__ == "__main__":
    serve("gateway.app:production", default_port=8001)
