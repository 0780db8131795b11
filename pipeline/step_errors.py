"""How the sweeper and the tidier go on after an error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from structlog.typing import FilteringBoundLogger as BoundLogger

from pipeline.broker.transport import BROKER_ERRORS
from storage.errors import TRANSIENT_ERRORS


@contextmanager
def log_errors(log: BoundLogger, step: str, **details: str) -> Iterator[None]:
    """Log the error of a step instead of raising it."""
    try:
        yield
    except (*TRANSIENT_ERRORS, *BROKER_ERRORS) as error:
        log.warning("sweep.failed", step=step, error=repr(error), **details)
    except Exception:
        log.exception("sweep.broken", step=step, **details)
