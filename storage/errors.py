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


class UnreadableDocument(Exception):
    """A document that this version cannot read, such as one of a newer version. It is left as it is."""


class JobUnreadable(UnreadableDocument):
    """The document of a job. `reason` names the fields, for the log."""

    def __init__(self, job_id: str, reason: str) -> None:
        super().__init__(job_id, reason)
        self.job_id = job_id
        self.reason = reason


class KeyUnreadable(UnreadableDocument):
    """The document of an idempotency key."""


class UploadNotFound(LookupError):
    """No resumable upload has this id."""

    def __init__(self, upload_id: str) -> None:
        super().__init__(upload_id)
        self.upload_id = upload_id


class UploadUnreadable(UnreadableDocument):
    """The document of a resumable upload."""


class BulkActionNotFound(LookupError):
    """No bulk action has this id."""

    def __init__(self, bulk_id: str) -> None:
        super().__init__(bulk_id)
        self.bulk_id = bulk_id


class BulkActionUnreadable(UnreadableDocument):
    """The document of a bulk action."""


class WebhookNotFound(LookupError):
    """No endpoint of a webhook has this id."""

    def __init__(self, endpoint_id: str) -> None:
        super().__init__(endpoint_id)
        self.endpoint_id = endpoint_id


class WebhookUnreadable(UnreadableDocument):
    """The document of an endpoint of a webhook."""


class DeliveryNotFound(LookupError):
    """No delivery has this id."""

    def __init__(self, delivery_id: str) -> None:
        super().__init__(delivery_id)
        self.delivery_id = delivery_id


class DeliveryUnreadable(UnreadableDocument):
    """The document of a delivery."""
