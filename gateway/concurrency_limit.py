"""A limit of how many of one thing are open at a time, with a share for each caller."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.problems import Problem


class ConcurrencyLimit:
    """Counts what is open in this gateway. One caller cannot take all of it: the others would wait for that caller."""

    def __init__(
        self, problem: type[Problem], *, noun: str, total: int, per_caller: int, retry_after_seconds: int
    ) -> None:
        """`problem` is raised over the limit; `noun` names in its detail what is open."""
        self._problem = problem
        self._noun = noun
        self._total = total
        self._per_caller = per_caller
        self._headers = {"Retry-After": str(retry_after_seconds)}
        self._open: Counter[str] = Counter()
        self._open_in_all = 0

    @contextmanager
    def hold(self, caller: str) -> Iterator[None]:
        """Count one more until the block ends, or raise the problem."""
        self._check(caller)
        self._open[caller] += 1
        self._open_in_all += 1
        try:
            yield
        finally:
            self._open_in_all -= 1
            self._open[caller] -= 1
            if not self._open[caller]:
                del self._open[caller]

    def _check(self, caller: str) -> None:
        if self._open_in_all >= self._total:
            detail = f"The gateway has {self._total} {self._noun} open, and takes no more at a time."
        elif self._open[caller] >= self._per_caller:
            detail = f"You have {self._per_caller} {self._noun} open, and may have no more at a time."
        else:
            return
        raise self._problem(f"{detail} Send the request again after the time in Retry-After.", headers=self._headers)
