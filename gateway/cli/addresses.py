"""Arguments that are no files: addresses of images that the gateway fetches itself."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

_ADDRESS = re.compile(r"(https?|s3|gs|az)://", re.IGNORECASE)


def parse_source(text: str) -> str | Path:
    """Return an address as it is, and anything else as a path."""
    return text if _ADDRESS.match(text) else Path(text)


def source_fields(address: str) -> dict[str, str]:
    """Return the field of a form that has an address: `source_url`, or `source_key` of an object in a bucket."""
    return {"source_url" if urlsplit(address).scheme.lower().startswith("http") else "source_key": address}


def label_of(address: str) -> str:
    """Return an address as it is shown: without a query, which may be a secret."""
    if "source_key" in source_fields(address):
        return address
    return urlsplit(address)._replace(query="", fragment="").geturl()
