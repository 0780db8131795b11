"""Events as lines, and as requests to a program on this machine: signed as Standard Webhooks says."""

from __future__ import annotations

import hmac
import os
import sys
import time
from base64 import b64decode, b64encode
from pathlib import Path

import httpx
from rich.text import Text

from ..client.defaults import USER_AGENT
from ..client.webhook_models import Event
from .command import CommandError
from .commands.listen import SECRET_VARIABLE
from .humanize import format_duration, format_time, replace_unprintable
from .timeline import STYLES

PREFIX = "whsec_"
MIN_SECRET_BYTES, MAX_SECRET_BYTES = 24, 64
TIMEOUT_SECONDS = 15.0


def event_line(event: Event) -> Text:
    """Return an event as one line: its time, its type, and the job."""
    name = event.data.get("original", {}).get("name") if isinstance(event.data.get("original"), dict) else None
    failure = event.data.get("failure")
    code = failure.get("code") if isinstance(failure, dict) else None
    state = event.type.rpartition(".")[2]
    return Text.assemble(
        (format_time(event.timestamp), "dim"),
        "  ",
        (f"{replace_unprintable(event.type):<14}", STYLES.get(state, "")),
        (replace_unprintable(str(event.data.get("task_id", ""))), "bold"),
        f"  {replace_unprintable(str(name))}" if name else "",
        (f"  {replace_unprintable(str(code))}", "red") if code else "",
    )


def read_webhook_secret(file: str | None) -> bytes | None:
    """Return the secret that signs events, None without one. It is no option: all users see the arguments of programs.

    Raises `CommandError` for what is no secret of a webhook.
    """
    if file == "-":
        text = sys.stdin.read().strip()
    elif file is None:
        text = os.environ.get(SECRET_VARIABLE, "").strip()
    else:
        text = Path(file).read_text(encoding="utf-8").strip()
    if not text and file is None:
        return None
    try:
        secret = b64decode(text.removeprefix(PREFIX), validate=True)
    except ValueError:
        secret = b""
    if not MIN_SECRET_BYTES <= len(secret) <= MAX_SECRET_BYTES:
        raise CommandError(f"The secret should be {PREFIX} and the base64 of {MIN_SECRET_BYTES} bytes or more.")
    return secret


def sign(event_id: str, timestamp: int, body: str, secret: bytes) -> str:
    """Return the header `webhook-signature` of a body; `timestamp` is in epoch seconds."""
    digest = hmac.digest(secret, f"{event_id}.{timestamp}.{body}".encode(), "sha256")
    return f"v1,{b64encode(digest).decode()}"


class Forwarder:
    """Posts events to an address."""

    def __init__(self, url: str, secret: bytes | None, *, transport: httpx.BaseTransport | None = None) -> None:
        """Raises `CommandError` for an address that is none."""
        try:
            self._url = httpx.URL(url if "://" in url else f"http://{url}")
        except httpx.InvalidURL as error:
            raise CommandError(f"{url!r} is no address: {error}.") from error
        if self._url.scheme not in {"http", "https"} or not self._url.host:
            raise CommandError(f"{url!r} is no address, such as http://localhost:3000/hook.")
        self._secret = secret
        self._http = httpx.Client(timeout=TIMEOUT_SECONDS, transport=transport, headers={"User-Agent": USER_AGENT})

    def forward(self, event: Event) -> tuple[str, str]:
        """Post an event, and return a line that says what was answered, with its style."""
        timestamp, start = int(time.time()), time.monotonic()
        headers = {
            "Content-Type": "application/json",
            "webhook-id": event.event_id,
            "webhook-timestamp": str(timestamp),
        }
        if self._secret is not None:
            headers["webhook-signature"] = sign(event.event_id, timestamp, event.body, self._secret)
        try:
            answer = self._http.post(self._url, content=event.body.encode(), headers=headers)
        except (httpx.TransportError, UnicodeError) as error:
            return f"  not forwarded: {str(error) or type(error).__name__}", "red"
        took = format_duration(round((time.monotonic() - start) * 1000))
        return f"  forwarded: {answer.status_code} in {took}", "dim" if answer.is_success else "red"
