"""What storage raises of its own; every other error is the driver's."""

from __future__ import annotations

from obstore.exceptions import BaseError as BlobStoreError
from pymongo.errors import AutoReconnect, NetworkTimeout, NotPrimaryError, WriteConcernError

TRANSIENT_ERRORS = (OSError, AutoReconnect, NetworkTimeout, NotPrimaryError, WriteConcernError, BlobStoreError)
"""Errors of the infrastructure, worth another try. A missing blob is `FileNotFoundError`, which is one of them."""


class JobNotFound(LookupError):
    """No job has this id."""

    def __init__(self, job_id: str) -> None:
        super().__init__(job_id)
        self.job_id = job_id
