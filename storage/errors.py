"""Errors of storage itself, and the driver errors that are transient; all others are the drivers' own."""

from __future__ import annotations

from obstore.exceptions import BaseError as BlobStoreError
from pymongo.errors import AutoReconnect, NetworkTimeout, NotPrimaryError, WriteConcernError

TRANSIENT_ERRORS = (OSError, AutoReconnect, NetworkTimeout, NotPrimaryError, WriteConcernError, BlobStoreError)
"""Infrastructure errors that are retried. A missing blob, `FileNotFoundError`, is one of them: it is an `OSError`."""


class JobNotFound(LookupError):
    """No job has this id."""

    def __init__(self, job_id: str) -> None:
        super().__init__(job_id)
        self.job_id = job_id
