"""Which format a client gets, by what real clients send as Accept."""

from __future__ import annotations

import pytest

from gateway.accept import choose_media_type

AVIF, WEBP, JPEG = "image/avif", "image/webp", "image/jpeg"
CLIENTS = {
    "Chromium, img": ("image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", AVIF),
    "Chromium, address": (
        (
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
            "application/signed-exchange;v=b3;q=0.7"
        ),
        AVIF,
    ),
    "Chromium 84, img": ("image/webp,image/apng,image/*,*/*;q=0.8", WEBP),
    "Firefox 128, img": ("image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5", AVIF),
    "Firefox 92, img": ("image/avif,image/webp,*/*", AVIF),
    "Firefox 91, img": ("image/webp,*/*", WEBP),
    "Firefox 60, img": ("*/*", JPEG),
    "Safari 17, img": (
        (
            "image/webp,image/avif,image/jxl,image/heic,image/heic-sequence,video/*;q=0.8,image/png,image/svg+xml,"
            "image/*;q=0.8,*/*;q=0.5"
        ),
        AVIF,
    ),
    "Safari 14, img": ("image/webp,image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5", WEBP),
    "Safari 13, img": ("image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5", JPEG),
    "Internet Explorer, img": ("image/png, image/svg+xml, image/*;q=0.8, */*;q=0.5", JPEG),
    "Googlebot": ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", JPEG),
    "curl, httpx, fetch": ("*/*", JPEG),
    "none": (None, JPEG),
    "empty": ("", JPEG),
}


@pytest.mark.parametrize(("accept", "expected"), CLIENTS.values(), ids=CLIENTS)
def test_a_client_gets_the_best_format_that_it_names(accept: str | None, expected: str) -> None:
    assert choose_media_type(accept, [AVIF, WEBP, JPEG]) == expected


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("image/webp;q=0.9, image/avif;q=0.5", WEBP),
        ("image/webp;q=0.5, image/*", JPEG),  # the last one is what `image/*` gets
        ("image/webp;q=0.5, image/jpeg;q=0.4", WEBP),
        ("IMAGE/AVIF ; Q=1", AVIF),
        ("image/avif;q=0, image/webp, */*", WEBP),
        ("image/avif;q=0.000, image/*", JPEG),
        ("image/jpeg;q=0, image/*", WEBP),  # nothing that it names: the most common one of what is left
        ("image/avif;charset=x;q=0.1, image/webp;q=0.2", WEBP),
        ("image/*;q=0, image/avif", AVIF),
        ("*/*;q=0", JPEG),
        ("text/html", JPEG),
        ("image/avif;q=nonsense", AVIF),
        ("image/avif;q=nan, image/webp;q=0.5", AVIF),
        (",,;;,image/webp,", WEBP),
    ],
)
def test_qualities_and_ranges_count_as_in_the_rfc(accept: str, expected: str) -> None:
    assert choose_media_type(accept, [AVIF, WEBP, JPEG]) == expected
