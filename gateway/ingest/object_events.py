"""An event of an object in a bucket, as every sender's shape is read into."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

KEY_BYTES = 1024
"""The longest key that S3 allows, in bytes of UTF-8."""
BUCKET_CHARACTERS = 255
NO_VERSION = frozenset({"", "null"})
"""What stands for an object without a version of its own: its bytes are replaced by the next PUT."""


class EventMalformed(Exception):
    """One event cannot be read. The message says why, for the answer."""


class EventsUnreadable(Exception):
    """A whole body has none of the known shapes. The message says why, for the answer."""


@dataclass(frozen=True, slots=True)
class NoEvent:
    """Something that a sender sends beside events of objects; `reason` says what, for the answer."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectEvent:
    """What happened to one object."""

    name: str
    """The event as its sender calls it, such as `ObjectCreated:Put`."""
    bucket: str
    key: str
    is_new: bool
    """Whether the object has new bytes: not when it was removed, or got tags."""
    is_folder: bool = False
    size: int | None = None
    """Size in bytes; None when the event does not tell it."""
    etag: str = ""
    version: str | None = None
    """The version that the bucket keeps; None where it keeps only the current one."""
    sequencer: str = ""
    """A text that is different for each write of the object; empty when the event has none."""
    time_ms: int = 0
    """When it happened (epoch ms); 0 when the event does not tell it."""

    def __post_init__(self) -> None:
        """Raise `EventMalformed` for names that no bucket has: they are stored and shown."""
        if not 1 <= len(self.bucket) <= BUCKET_CHARACTERS or not self.bucket.isprintable() or "/" in self.bucket:
            raise EventMalformed("The name of the bucket is malformed.")
        try:
            size = len("".join((self.key, self.name, self.etag, self.version or "", self.sequencer)).encode())
        except UnicodeEncodeError:
            raise EventMalformed("The event has text that is no Unicode.") from None
        if not self.key or size > 2 * KEY_BYTES or len(self.key.encode()) > KEY_BYTES:
            raise EventMalformed(f"The key has no character, or more than {KEY_BYTES} bytes.")
        if any(ord(character) < ord(" ") for character in self.key):
            raise EventMalformed("The key has control characters.")

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells this version of the object from all others, in whatever shape its event came."""
        if self.version is not None:
            return self.bucket, self.key, "version", self.version
        if self.sequencer:
            return self.bucket, self.key, "write", self.etag, self.sequencer
        return self.bucket, self.key, "time", self.etag, str(self.size), str(self.time_ms)


def read_version(text: str | None) -> str | None:
    """Return the version that an event names; None for an object without one."""
    return None if text is None or text in NO_VERSION else text


def read_sequencer(text: str | None) -> str:
    """Return a sequencer in one form: senders write the same number with zeros before it, in capitals, or without."""
    return (text or "").lower().lstrip("0")


def read_time_ms(text: str | None) -> int:
    """Return an ISO-8601 time as epoch ms; 0 for what is none."""
    try:
        then = datetime.fromisoformat(text or "")
    except ValueError:
        return 0
    return max(0, int((then if then.tzinfo else then.replace(tzinfo=UTC)).timestamp() * 1000))
