"""Templates of the keys of exported objects, such as `{metadata.sku}/{rendition}{dpr}.{ext}`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from hashlib import sha256

from pipeline.presets.mistakes import suggest

MAX_VALUE_BYTES = 100
MAX_KEY_BYTES = 800
"""S3 allows 1024, those of the folder in the destination's address included."""
DIGEST_CHARACTERS = 12
METADATA = "metadata."
MAX_BYTES = {
    "task_id": 36,
    "rendition": 32,
    "ext": 4,
    "dpr": 9,
    "name": MAX_VALUE_BYTES,
    "date": 10,
    "sha256": 64,
    "revision": 10,
}
"""The placeholders besides those of metadata, and the most bytes that the value of each has."""

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_METADATA = re.compile(r"metadata\.([A-Za-z_][A-Za-z0-9_-]{0,63})")
_LITERAL = re.compile(r"[A-Za-z0-9_.@=,!()/-]*")
_DOTS = re.compile(r"\.{2,}|^\.|\.$")
_SAFE_PUNCTUATION = frozenset("-_.@=,!()")
_SAFE_CATEGORIES = frozenset("LMN")  # letters, marks and numbers of all scripts


def find_placeholders(template: str) -> list[str]:
    """Return the names of the placeholders in a template, each once, in their order."""
    return list(dict.fromkeys(_PLACEHOLDER.findall(template)))


def find_metadata(template: str) -> list[str]:
    """Return the names of metadata that a template needs."""
    return [name.removeprefix(METADATA) for name in find_placeholders(template) if name.startswith(METADATA)]


def find_missing(template: str, metadata: Mapping[str, str]) -> list[str]:
    """Return the names of metadata that a template needs and that are not there, or empty."""
    return [name for name in find_metadata(template) if not metadata.get(name)]


def find_mistakes(template: str) -> Iterator[str]:
    """Yield a sentence for each rule that a template breaks."""
    names, literal = find_placeholders(template), _PLACEHOLDER.sub("", template)
    unknown = [name for name in names if name not in MAX_BYTES and not _METADATA.fullmatch(name)]
    for name in unknown:
        yield f"There is no placeholder {{{name[:40]}}}. {suggest(name, [*MAX_BYTES, f'{METADATA}NAME'])}"
    if "{" in literal or "}" in literal:
        yield "A brace has no partner."
    elif not _LITERAL.fullmatch(literal):
        yield "Besides placeholders, a key may have ASCII letters, digits, / and -_.@=,!() only."
    yield from _find_wrong_segments(template)
    longest = len(literal) + sum(_max_bytes(name) for name in _PLACEHOLDER.findall(template))
    if not unknown and longest > MAX_KEY_BYTES:
        yield f"A key of it can have {longest} bytes; at most {MAX_KEY_BYTES} are possible."


def render(template: str, values: Mapping[str, str]) -> str:
    """Return the key, with a safe value for each placeholder. Raises KeyError for one without a value."""
    return _PLACEHOLDER.sub(lambda match: values[match[1]], template)


def make_safe(value: str, *, max_bytes: int = MAX_VALUE_BYTES) -> str:
    """Return a value as a part of a key: no slash, no control character, no dot at an end and no two in a row.

    It is not empty, unless the value is.
    """
    text = unicodedata.normalize("NFC", value)
    text = "".join(character if _is_safe(character) else "_" for character in text)
    return _DOTS.sub("_", text.encode()[:max_bytes].decode(errors="ignore"))


def make_distinct(value: str) -> str:
    """Return a value as `make_safe` does; if that changes it, with a part of its hash, so that two stay two."""
    safe = make_safe(value)
    if safe == unicodedata.normalize("NFC", value):
        return safe
    digest = sha256(value.encode(errors="surrogatepass")).hexdigest()[:DIGEST_CHARACTERS]
    return f"{make_safe(value, max_bytes=MAX_VALUE_BYTES - len(digest) - 1)}-{digest}"


def _find_wrong_segments(template: str) -> Iterator[str]:
    shortest = template.replace("{dpr}", "")  # the value for the density 1
    segments = shortest.split("/")
    if template.startswith("/"):
        yield "A key does not begin with a slash."
    elif not template or "" in segments:
        is_only_dpr = "" not in template.split("/")
        yield "A part between slashes cannot be {dpr} alone: it is empty." if is_only_dpr else "A part of it is empty."
    if ".." in shortest or "." in segments:
        yield "A key has no .. and no part that is a dot; {dpr} may be empty."


def _max_bytes(name: str) -> int:
    return MAX_BYTES.get(name, MAX_VALUE_BYTES)


def _is_safe(character: str) -> bool:
    return character in _SAFE_PUNCTUATION or unicodedata.category(character)[0] in _SAFE_CATEGORIES
