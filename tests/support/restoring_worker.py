"""A worker that does nothing but have messages delivered again that others hold for too long."""

from __future__ import annotations

import sys
from typing import Any

from kombu import Connection

from pipeline.broker.transport import patch_kombu


def main() -> None:
    """Do once what each worker does every few seconds. Arguments: the broker's URL, the visibility timeout."""
    url, visibility_seconds = sys.argv[1:]
    patch_kombu()
    with Connection(url, transport_options={"visibility_timeout": int(visibility_seconds)}) as connection:
        channel: Any = connection.default_channel
        channel.qos.restore_visible()


if __name__ == "__main__":
    main()
