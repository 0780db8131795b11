"""Watch Darkroom's queues, rates, stage times, workers, stores and latest failures, from its metrics."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from dotenv import load_dotenv
from rich.console import Console, RenderableType
from rich.live import Live

from deploy.admin.top.metrics_poller import MetricsPoller, Target
from deploy.admin.top.models import Reading
from deploy.admin.top.overview import build_overview
from deploy.admin.top.view import render_view
from deploy.local import metrics_addresses
from deploy.local.home import ROOT, find_home
from gateway.cli.console import PlainTextConsole

PAGE = 120  # columns, if the output is not a terminal
FAILURES = 5
FIRST_SECONDS = 1.0  # between the first two scrapes: rates need two
EXIT_OK, EXIT_UNREACHABLE, EXIT_USAGE = 0, 1, 2


def main() -> int:
    """Watch until interrupted, or print one view. Return the exit status."""
    load_dotenv(ROOT / ".env")
    options = _options()
    targets = _targets(options)
    if not targets():
        print(
            f"Nothing to watch: no `./run up` has written {find_home() / metrics_addresses.NAME}.\n"
            "Start one, or give addresses: ./run top --gateway http://127.0.0.1:8001 --worker http://127.0.0.1:9100",
            file=sys.stderr,
        )
        return EXIT_USAGE
    console = PlainTextConsole()
    with MetricsPoller(targets, window=options.window, api_key=options.api_key) as watcher:
        if options.once or not console.is_terminal:
            return print_once(watcher, console, options.interval)
        with contextlib.suppress(KeyboardInterrupt):
            run_live(watcher, console, options.interval)
    return EXIT_OK


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./run top", description=__doc__)
    parser.add_argument(
        "--gateway", action="append", default=[], metavar="URL", help="address of a gateway; may be repeated"
    )
    parser.add_argument(
        "--worker", action="append", default=[], metavar="URL", help="address of a worker's exporter; may be repeated"
    )
    parser.add_argument(
        "--api-key",
        default=os.environ.get("DARKROOM_API_KEY", ""),
        help="API key of the gateway; default: DARKROOM_API_KEY",
    )
    parser.add_argument(
        "--interval", type=_positive, default=2.0, metavar="SECONDS", help="time between two updates; default: 2"
    )
    parser.add_argument(
        "--window",
        type=_positive,
        default=10.0,
        metavar="SECONDS",
        help="time over which rates are measured; default: 10",
    )
    parser.add_argument("--once", action="store_true", help="print one view after two scrapes, and exit")
    return parser.parse_args()


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number of seconds")
    return value


def _targets(options: argparse.Namespace) -> Callable[[], Sequence[Target]]:
    """Return a function that lists the targets: the given addresses, else those of the current `./run up`."""
    given = [Target.from_url(url, is_gateway=True) for url in options.gateway]
    given += [Target.from_url(url, is_gateway=False) for url in options.worker]
    if given:
        return lambda: given
    return lambda: [
        Target(name, url, is_gateway=name.startswith("gateway"))
        for name, url in metrics_addresses.read_metrics_urls(find_home()).items()
    ]


def print_once(watcher: MetricsPoller, console: Console, interval: float) -> int:
    """Print one view after two scrapes. The exit status says whether any process answered."""
    if not console.is_terminal:
        console.width = PAGE
    watcher.poll()
    time.sleep(interval)
    readings = watcher.poll()
    console.print(_render(watcher, readings, console.width))
    return EXIT_OK if any(not reading.error for reading in readings) else EXIT_UNREACHABLE


def run_live(watcher: MetricsPoller, console: Console, interval: float) -> None:
    """Show the view on the whole terminal, until interrupted."""
    pause = min(interval, FIRST_SECONDS)
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(_render(watcher, watcher.poll(), console.width), refresh=True)
            time.sleep(pause)
            pause = interval


def _render(watcher: MetricsPoller, readings: Sequence[Reading], width: int) -> RenderableType:
    failures = watcher.fetch_failures(readings, FAILURES)
    gateways = "  ".join(reading.url.removesuffix("/metrics") for reading in readings if reading.is_gateway)
    now = datetime.now(tz=UTC).astimezone()
    return render_view(build_overview(readings), failures, where=gateways, now=now, width=width)


if __name__ == "__main__":
    sys.exit(main())
