"""The media types of request bodies: forms, and files by themselves. Others are refused with what to send instead."""

from __future__ import annotations

from gateway.problems import UnsupportedMediaType

FORM_TYPE, JSON_TYPE = "multipart/form-data", "application/json"
FILE_TYPES = ("image/*", "application/octet-stream")
MAX_LENGTH = 128
ACCEPTED = ", ".join((FORM_TYPE, *FILE_TYPES))
_CURL = "curl -F file=@photo.jpg, or curl -H 'Content-Type: image/jpeg' --data-binary @photo.jpg"
_ADVICE = {
    "": f"The request has no Content-Type. Send the image as {FORM_TYPE}, or by itself with its own type: {_CURL}.",
    "application/x-www-form-urlencoded": (
        f"A form of the type application/x-www-form-urlencoded cannot hold a file. Send {_CURL}; "
        f'in HTML set enctype="{FORM_TYPE}".'
    ),
    "application/json": f"JSON cannot hold a file. Send the image as {FORM_TYPE}, or by itself: {_CURL}.",
}


def is_file_type(content_type: str) -> bool:
    """Whether a Content-Type is that of an image, or of bytes of any kind."""
    media_type = media_type_of(content_type)
    return media_type.startswith("image/") or media_type.endswith("/octet-stream")


def is_text_type(content_type: str) -> bool:
    """Whether a Content-Type is that of a form's text: none, text, JSON or an encoded form."""
    media_type = media_type_of(content_type)
    return media_type.startswith("text/") or media_type in {"", JSON_TYPE, "application/x-www-form-urlencoded"}


def media_type_of(content_type: str) -> str:
    """Return a Content-Type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()[:MAX_LENGTH]


def refuse_media_type(content_type: str) -> UnsupportedMediaType:
    """Return the answer to a body that is neither a form nor an image."""
    media_type = media_type_of(content_type)
    advice = f"A body of the type {media_type} is not taken. Send {FORM_TYPE}, or the image by itself: {_CURL}."
    headers = {"Accept": ACCEPTED, "Accept-Post": ACCEPTED}
    return UnsupportedMediaType(_ADVICE.get(media_type, advice), headers=headers)
