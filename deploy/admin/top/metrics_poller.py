"""Polls the metrics of every process, and a gateway for the jobs that failed."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx

from deploy.admin.top.models import FailedJob, Reading
from deploy.admin.top.overview import latest_failures
from deploy.admin.top.scrape import Scrape, ScrapeDelta

TIMEOUT_SECONDS = 2.0  # of one request
PATH = "/metrics"
FAILED_STATUSES = ("failed", "dead")


@dataclass(frozen=True)
class Target:
    """A process and the URL of its metrics."""

    name: str
    url: str
    is_gateway: bool

    @classmethod
    def from_url(cls, url: str, *, is_gateway: bool) -> Target:
        """Use the address as the name. The path of the metrics may be missing in the URL."""
        url = url.rstrip("/")
        return cls(httpx.URL(url).netloc.decode(), url if url.endswith(PATH) else url + PATH, is_gateway)

    @property
    def base(self) -> str:
        """The URL without the path of the metrics."""
        return self.url.removesuffix(PATH)


class MetricsPoller:
    """Scrapes the targets at each `poll`, and keeps the scrapes of the last seconds; a context manager."""

    def __init__(self, targets: Callable[[], Sequence[Target]], *, window: float, api_key: str = "") -> None:
        """Call `targets` before each poll. Spans are `window` seconds long, shorter in the first seconds."""
        self._targets, self._window = targets, window
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._client = httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=False)
        self._threads = ThreadPoolExecutor(16)
        self._scrapes: dict[Target, deque[Scrape]] = defaultdict(deque)

    def __enter__(self) -> Self:
        """Return the poller."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop the threads and close the connections."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    def poll(self) -> list[Reading]:
        """Scrape all targets at once, and return the reading of each."""
        return list(self._threads.map(self._scrape_target, self._targets()))

    def fetch_failures(self, readings: Sequence[Reading], number: int) -> list[FailedJob] | str:
        """Return the latest failed and dead jobs from the first gateway that answers, or why they are unknown."""
        gateway = next((each for each in readings if each.is_gateway and not each.error), None)
        if gateway is None:
            return "no gateway answers"
        try:
            pages = [self._fetch_jobs(gateway.url.removesuffix(PATH), status, number) for status in FAILED_STATUSES]
            return latest_failures(pages, number)
        except httpx.HTTPStatusError as error:
            return f"{gateway.name} {_describe_status(error.response)}"
        except (httpx.TransportError, ValueError, KeyError) as error:
            return f"{gateway.name} {_reason(error)}"

    def _fetch_jobs(self, base: str, status: str, number: int) -> list[dict[str, Any]]:
        answer = self._client.get(
            f"{base}/jobs", params={"status": status, "limit": number}, headers=self._headers
        ).raise_for_status()
        jobs: list[dict[str, Any]] = answer.json()["jobs"]
        return jobs

    def _scrape_target(self, target: Target) -> Reading:
        scrapes, error = self._scrapes[target], ""
        try:
            answer = self._client.get(target.url, headers=self._headers if target.is_gateway else {})
            if answer.is_success:
                scrapes.append(Scrape.parse(time.monotonic(), answer.text))
            else:
                error = _describe_status(answer)
        except (httpx.TransportError, ValueError) as failure:
            error = _reason(failure)
        while len(scrapes) > 2 and scrapes[1].at <= scrapes[-1].at - self._window:  # noqa: PLR2004  # a span needs two
            scrapes.popleft()
        return Reading(
            name=target.name,
            url=target.url,
            is_gateway=target.is_gateway,
            latest=scrapes[-1] if scrapes else None,
            span=ScrapeDelta(scrapes[0], scrapes[-1]) if len(scrapes) > 1 and not error else None,
            error=error,
        )


def _describe_status(answer: httpx.Response) -> str:
    hint = ": an API key is required (--api-key)" if answer.status_code == httpx.codes.UNAUTHORIZED else ""
    return f"answers {answer.status_code} {answer.reason_phrase}{hint}"


def _reason(error: Exception) -> str:
    match error:
        case httpx.ConnectError():
            return "does not answer"
        case httpx.TimeoutException():
            return f"did not answer within {TIMEOUT_SECONDS:.0f} s"
        case httpx.TransportError():
            return f"closed the connection: {error}"
        case _:
            return "sent an unexpected answer"
