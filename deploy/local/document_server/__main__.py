"""Run the SQLite-backed server of MongoDB's wire protocol: nx-27017, with shortcuts for what Darkroom sends most.

The library takes a millisecond for a command, most of it to translate it to SQL. The shortcuts take a tenth.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
from pathlib import Path

import uvloop
from nx_27017.handler import NeoSQLiteHandler

from deploy.local.document_server.connection import Connection
from deploy.local.document_server.dispatcher import Dispatcher


async def serve(folder: Path, *, host: str, port: int) -> None:
    """Serve the databases in a folder until TERM or INT."""
    loop, is_ended = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, is_ended.set)
    handler = NeoSQLiteHandler(data_dir=str(folder))
    dispatcher = Dispatcher(handler, loop)
    try:
        server = await loop.create_server(lambda: Connection(handler, dispatcher), host, port)
        logging.getLogger(__name__).info("listening on %s:%s", host, port)
        await is_ended.wait()
        server.close()
    finally:
        dispatcher.close()


def main() -> None:
    """Serve as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where each database has its file")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(arguments.folder, host=arguments.host, port=arguments.port))


if __name__ == "__main__":
    main()
