"""What a soak sends: images that are done, and images that are refused in each way that there is."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from gateway.client import Client
from gateway.client.models import Accepted
from tests.support.bombs import GREY_TIFF, gif, jpeg, tiff, webp_canvas
from tests.support.images import encode_image, png
from tests.tools.bench.corpus import SIZE_BY_MEGAPIXELS, draw_photo

Send = Callable[[Client, bytes], Accepted]
THIRTY = (6720, 4480)
FORMATS = ("jpeg", "png", "webp", "gif", "tiff", "avif", "bmp")
OPTIONS: dict[str, dict[str, object]] = {
    "jpeg": {"quality": 90},
    "webp": {"quality": 80, "lossless": False, "method": 0},
    "avif": {"quality": 60, "speed": 9},
    "tiff": {"compression": "tiff_lzw"},
}
SENDS: dict[str, Send] = {
    "upload": lambda client, image: client.upload(image),
    "crop": lambda client, image: client.crop(image, left=1, top=1, width=100, height=100),
    "resize": lambda client, image: client.resize(image, width=400),
    "grayscale": lambda client, image: client.grayscale(image),
    "process": lambda client, image: client.process(image, steps=[{"resize": 800}, {"blur": 2}]),
}
IMPOSSIBLE: dict[str, Send] = {
    "crop outside of the image": lambda client, image: client.crop(image, left=0, top=0, width=9000, height=9),
    "step outside of the image": lambda client, image: client.process(
        image, steps=[{"resize": 400}, {"crop": {"left": 0, "top": 0, "width": 800, "height": 9}}]
    ),
}


@dataclass(frozen=True, slots=True)
class Request:
    """An image, how to send it, and whether its job has to be done in the end; most others are refused."""

    name: str
    send: Send
    image: bytes
    is_good: bool = False


def draw_requests() -> list[Request]:
    """Draw the images, and return the requests in an order that is the same every time."""
    photo = encode_image(draw_photo(0, SIZE_BY_MEGAPIXELS[1]), "jpeg", quality=90)
    good = [Request(f"{route} of a photo", send, photo, is_good=True) for route, send in SENDS.items()]
    impossible = [Request(name, send, photo) for name, send in IMPOSSIBLE.items()]
    broken = draw_broken(SIZE_BY_MEGAPIXELS[1], FORMATS) | draw_broken(THIRTY, ("jpeg", "webp")) | draw_bombs()
    upload, *operations = SENDS.items()
    refused = [
        Request(f"{route} of {name}", send, image)
        for number, (name, image) in enumerate(broken.items())
        for route, send in (upload, operations[number % len(operations)])
    ]
    requests = [*good, *impossible, *refused]
    random.Random(7).shuffle(requests)  # noqa: S311  # the same order every time
    return requests


def draw_broken(size: tuple[int, int], formats: tuple[str, ...]) -> dict[str, bytes]:
    """Draw a photo in each format that ends too early, and one that is damaged, by their names."""
    photo, megapixels = draw_photo(1, size), round(size[0] * size[1] / 1e6)
    whole = {name: encode_image(photo, name, **OPTIONS.get(name, {})) for name in formats}
    truncated = {f"a truncated {name} of {megapixels} MP": file[: len(file) * 7 // 10] for name, file in whole.items()}
    return truncated | {f"a damaged {name} of {megapixels} MP": damage(file) for name, file in whole.items()}


def damage(file: bytes) -> bytes:
    """Overwrite bytes in the middle of a file: many decoders notice that late, and some not at all."""
    middle = len(file) // 2
    return file[:middle] + random.Random(1).randbytes(2000) + file[middle + 2000 :]  # noqa: S311  # noise, not a secret


def draw_bombs() -> dict[str, bytes]:
    """Draw what is refused by its header, and what is no image, by their names."""
    return {
        "a PNG of 60 megapixels": png(10_000, 6_000, depth=1, colour=0, rows=[bytes(1250)] * 6_000),
        "a JPEG of 4 gigapixels": jpeg(65_500, 65_500),
        "a JPEG of 101 scans": jpeg(16, 16, scans=101),
        "a GIF with a huge screen": gif((0, 0, 1, 1), screen=(65_535, 65_535)),
        "a GIF of a million blocks": gif((0, 0, 1, 1), tail=b"!\xfe" + b"\1a" * 1_000_000 + b"\0;"),
        "a TIFF of 4 gigapixels": tiff({**GREY_TIFF, 256: (65_536,), 257: (65_536,)}),
        "a WebP with a huge canvas": webp_canvas(16_384, 16_384),
        "a file that is no image": b"no image" * 150_000,
    }
