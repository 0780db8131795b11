"""The buckets whose objects an owner may make jobs of, and which object a `source_key` is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from pipeline.outbound_settings import SourceBucket

MAX_KEY_BYTES = 1024
"""The longest key of S3, Google and Azure."""
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


class InvalidKey(ValueError):
    """No object can have such a key. The message is for the client."""


class KeyNotAllowed(Exception):
    """The object is in none of the owner's buckets. The message is for the client; it does not say what there is."""


def sources_of(owner: str | None, sources: Mapping[str, Sequence[SourceBucket]]) -> Sequence[SourceBucket]:
    """Return the buckets of an owner; those of `*` where no API keys are set."""
    return sources.get("*" if owner is None else owner, ())


def resolve_key(key: str, sources: Sequence[SourceBucket]) -> str:
    """Return the address of an object, from its address or from its key below the only source.

    A key is taken as it is, as S3's own tools do: it is not a URL, and has no escapes. Raises `InvalidKey`, and
    `KeyNotAllowed` whether or not the object exists.
    """
    if _SCHEME.match(key):
        address = key
    else:
        if len(sources) > 1:
            raise InvalidKey("You have several buckets: write the whole address, such as s3://bucket/path/photo.jpg.")
        address = f"{_folder_of(sources[0])}{key}" if sources else key
    found = find_source(address, sources)
    if found is None:
        raise KeyNotAllowed("The API key may not use this object, whether it exists or not.")
    _check_key(found[1])
    return address


def find_source(address: str, sources: Sequence[SourceBucket]) -> tuple[SourceBucket, str] | None:
    """Return the source that an object is below, the narrowest one, and the object's key below it; None if none is."""
    matching = [source for source in sources if address.startswith(_folder_of(source))]
    if not matching:
        return None
    narrowest = max(matching, key=lambda source: len(_folder_of(source)))
    return narrowest, address.removeprefix(_folder_of(narrowest))


def _folder_of(source: SourceBucket) -> str:
    """Return the address of a source with one slash at its end, so that `shop` is not the folder of `shop2/a.jpg`."""
    return f"{source.url.rstrip('/')}/"


def _check_key(key: str) -> None:
    """Raise `InvalidKey` for a key that would name another object in some store: each reads such parts differently."""
    if len(key.encode("utf-8", "surrogatepass")) > MAX_KEY_BYTES:
        raise InvalidKey(f"A key has at most {MAX_KEY_BYTES} bytes.")
    if _CONTROLS.search(key):
        raise InvalidKey("A key has no control characters.")
    if {"", ".", ".."} & set(key.split("/")):
        raise InvalidKey("A key has no empty part, and none that is . or ..; it names one object, and no folder.")
