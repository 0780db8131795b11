"""Colours, orientation, depth, animation, shape and metadata: what a photo is made of, from upload to rendition."""

from __future__ import annotations

import io
import struct
from typing import Any

import httpx
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from tests.integration.api_helpers import submit_operation, submit_photo, wait_for_end, wait_for_image
from tests.support.images import (
    CELL,
    GRID,
    animation,
    cmyk_profile,
    cutout,
    decode_image,
    draw_colour_grid,
    encode_image,
    encode_oriented_grid,
    exif,
    grey_profile,
    pack_samples,
    photo,
    png,
    rgb_profile,
    xmp,
)

ORANGE = (200, 120, 60)
LOOP = 2
PLACE = b"52.0907"
TRACES = (b"Tattletale", PLACE, b"ICC_PROFILE", b"iCCP", b"ICCP", b"Exif", b"EXIF", b"eXIf", b"xmpmeta", b"8BIM")
WORDS = (0, 13_107, 32_768, 52_428, 65_535)
GREYS = (0, 51, 128, 204, 255)


def _flat(mode: str, colour: tuple[int, ...] | int) -> Image.Image:
    return Image.new(mode, (16, 16), colour)


def _palette_with_a_hole() -> bytes:
    image = Image.new("P", (2, 1))
    image.putpalette([250, 0, 0, 0, 0, 250])
    image.putpixel((1, 0), 1)
    return encode_image(image, transparency=1)


def _iptc(text: bytes) -> bytes:
    """Build a JPEG segment with a city in an IPTC record, in a Photoshop resource."""
    record = b"\x1c\x02\x5a" + struct.pack(">H", len(text)) + text
    resource = (
        b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", len(record)) + record + b"\0" * (len(record) % 2)
    )
    return b"\xff\xed" + struct.pack(">H", len(resource) + 2) + resource


def _talkative(name: str) -> bytes:
    """Encode a photo that tells its maker and place in every way its format knows."""
    told: dict[str, Any] = {"exif": exif(1), "icc_profile": rgb_profile("p3")}
    packet = xmp(1).replace(b"<rdf:RDF", b"<!-- Tattletale " + PLACE + b" --><rdf:RDF", 1)
    if name == "jpeg":
        content = encode_image(photo(200, 150), name, comment=b"Tattletale", xmp=packet, **told)
        return content[:2] + _iptc(b"Tattletale " + PLACE) + content[2:]
    if name == "png":
        notes = PngImagePlugin.PngInfo()
        notes.add_text("Comment", "Tattletale", zip=False)
        notes.add_itxt("XML:com.adobe.xmp", packet.decode())
        return encode_image(photo(200, 150), name, pnginfo=notes, **told)
    if name == "tiff":
        return encode_image(
            photo(200, 150), name, tiffinfo={270: "Tattletale", 700: packet}, icc_profile=told["icc_profile"]
        )
    return encode_image(photo(200, 150), name, xmp=packet, **told)


@pytest.mark.parametrize(
    ("name", "orientation"),
    [*(("jpeg", number) for number in range(1, 9)), ("png", 6), ("webp", 8), ("tiff", 5), ("avif", 7)],
)
def test_a_photo_is_shown_upright(client: httpx.Client, name: str, orientation: int) -> None:
    shown = wait_for_image(
        client, submit_operation(client, "upload", encode_oriented_grid(name, orientation), format="png")
    )

    assert shown.size == draw_colour_grid().size
    for y, row in enumerate(GRID):
        for x, colour in enumerate(row):
            found = shown.getpixel((x * CELL + CELL // 2, y * CELL + CELL // 2))
            assert found == pytest.approx(colour, abs=8)


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "tiff", "avif"])
def test_a_wide_profile_is_applied_and_dropped(client: httpx.Client, name: str) -> None:
    profile = rgb_profile("p3")

    shown = wait_for_image(
        client,
        submit_operation(client, "upload", encode_image(_flat("RGB", ORANGE), name, icc_profile=profile), format="png"),
    )

    srgb, source = ImageCms.createProfile("sRGB"), ImageCms.ImageCmsProfile(io.BytesIO(profile))
    meant = ImageCms.profileToProfile(_flat("RGB", ORANGE), source, srgb)
    assert meant is not None
    assert shown.getpixel((8, 8)) == pytest.approx(meant.getpixel((8, 8)), abs=4)
    assert shown.getpixel((8, 8)) != pytest.approx(ORANGE, abs=6)
    assert "icc_profile" not in shown.info


def test_an_operation_applies_a_profile_too(client: httpx.Client) -> None:
    original = encode_image(_flat("RGB", ORANGE), icc_profile=rgb_profile("adobe"))

    previews = wait_for_image(client, submit_operation(client, "upload", original, format="png"))
    cut = wait_for_image(client, submit_operation(client, "crop", original, aspect="1:1", format="png"))

    assert cut.getpixel((8, 8)) == pytest.approx(previews.getpixel((8, 8)), abs=1)
    assert cut.getpixel((8, 8)) != pytest.approx(ORANGE, abs=6)
    assert "icc_profile" not in cut.info


def test_a_grey_profile_is_applied(client: httpx.Client) -> None:
    original = encode_image(_flat("L", 100), icc_profile=grey_profile(1.0))

    shown = wait_for_image(client, submit_operation(client, "upload", original, format="png"))

    assert shown.getpixel((8, 8)) == pytest.approx((168, 168, 168), abs=3)  # 100/255 of the light


def test_the_inks_of_a_press_with_a_profile_are_converted_by_it(client: httpx.Client) -> None:
    original = encode_image(_flat("CMYK", (255, 0, 0, 0)), "jpeg", icc_profile=cmyk_profile())

    red, green, blue = wait_for_image(client, submit_operation(client, "upload", original, format="png")).getpixel(
        (8, 8)
    )  # type: ignore[misc]

    assert max(red, green, blue) - min(red, green, blue) <= 4  # by subtraction it would be cyan
    assert 150 < red < 210


@pytest.mark.parametrize(
    ("original", "colour"),
    [
        pytest.param(encode_image(_flat("CMYK", (0, 255, 255, 0)), "jpeg"), (255, 0, 0), id="CMYK JPEG"),
        pytest.param(encode_image(_flat("CMYK", (0, 255, 255, 0)), "tiff"), (255, 0, 0), id="CMYK TIFF"),
        pytest.param(encode_image(_flat("LA", (90, 40))), (90, 90, 90, 40), id="grey and alpha"),
        pytest.param(encode_image(_flat("RGBA", (10, 200, 30, 128))), (10, 200, 30, 128), id="colour and alpha"),
        pytest.param(encode_image(_flat("1", 0)), (0, 0, 0), id="one bit"),
        pytest.param(encode_image(_flat("L", 77), "bmp"), (77, 77, 77), id="grey BMP"),
        pytest.param(
            png(9, 9, depth=16, colour=2, rows=[pack_samples(52_428, 32_768, 1000) * 9] * 9),
            (204, 128, 4),
            id="16-bit PNG",
        ),
        pytest.param(
            png(9, 9, depth=16, colour=6, rows=[pack_samples(52_428, 32_768, 1000, 32_768) * 9] * 9),
            (204, 128, 4, 128),
            id="16-bit PNG with alpha",
        ),
    ],
)
def test_every_layout_of_pixels_keeps_its_colour(
    client: httpx.Client, original: bytes, colour: tuple[int, ...]
) -> None:
    shown = wait_for_image(client, submit_operation(client, "upload", original, format="png"))

    assert shown.mode == ("RGBA" if len(colour) == 4 else "RGB")
    assert shown.getpixel((4, 4)) == pytest.approx(colour, abs=6)


@pytest.mark.parametrize(
    "original",
    [
        pytest.param(png(5, 1, depth=16, colour=0, rows=[pack_samples(*WORDS)]), id="PNG"),
        pytest.param(
            encode_image(Image.frombytes("I;16", (5, 1), struct.pack("<5H", *WORDS)), "tiff"), id="little-endian TIFF"
        ),
        pytest.param(
            encode_image(Image.frombytes("I;16B", (5, 1), struct.pack(">5H", *WORDS)), "tiff"), id="big-endian TIFF"
        ),
    ],
)
def test_sixteen_bits_of_grey_are_scaled_and_not_clipped_to_white(client: httpx.Client, original: bytes) -> None:
    shown = wait_for_image(client, submit_operation(client, "upload", original, format="png"))

    assert [shown.getpixel((x, 0))[0] for x in range(5)] == pytest.approx(GREYS, abs=1)  # type: ignore[index]


def test_one_bit_is_black_and_white(client: httpx.Client) -> None:
    dot = Image.new("1", (9, 1))
    dot.putpixel((4, 0), 1)

    shown = wait_for_image(client, submit_operation(client, "upload", encode_image(dot, "tiff"), format="png"))

    assert [shown.getpixel((x, 0))[0] for x in range(9)] == [0, 0, 0, 0, 255, 0, 0, 0, 0]  # type: ignore[index]


def test_a_transparent_palette_colour_becomes_alpha(client: httpx.Client) -> None:
    shown = wait_for_image(client, submit_operation(client, "upload", _palette_with_a_hole(), format="png"))

    assert shown.getpixel((0, 0)) == (250, 0, 0, 255)
    assert shown.getpixel((1, 0))[3] == 0  # type: ignore[index]


def test_alpha_is_made_small_without_dark_fringes(client: httpx.Client) -> None:
    task_id = submit_operation(client, "upload", encode_image(cutout(600, 400)), format="png")

    small = wait_for_image(client, task_id, "small")

    edges = [pixel for pixel in small.get_flattened_data() if isinstance(pixel, tuple) and 16 < pixel[3] < 255]
    assert edges
    assert all(red > 235 and green < 40 for red, green, _, _ in edges)


@pytest.mark.parametrize("name", ["gif", "webp", "png", "avif"])
def test_an_animation_is_a_still_by_default(client: httpx.Client, name: str) -> None:
    shown = wait_for_image(client, submit_photo(client, animation(name)))

    assert (shown.format, getattr(shown, "n_frames", 1)) == ("JPEG", 1)
    assert shown.getpixel((20, 20)) == pytest.approx((230, 20, 20), abs=12)


@pytest.mark.parametrize("output", ["webp", "gif"])
@pytest.mark.parametrize("name", ["gif", "webp", "png"])
def test_an_animation_keeps_its_frames_times_and_plays_when_asked(client: httpx.Client, name: str, output: str) -> None:
    original = animation(name, 4, (320, 200))

    small = wait_for_image(
        client, submit_operation(client, "upload", original, animated="true", format=output), "small"
    )

    shown = []
    for number in range(4):
        small.seek(number)
        small.load()
        shown.append((small.convert("RGB").getpixel((80, 50)), small.info["duration"]))
    assert (small.format, small.size, small.n_frames) == (output.upper(), (160, 100), 4)  # type: ignore[attr-defined]
    assert [duration for _, duration in shown] == [50, 60, 70, 80]
    for (pixel, _), colour in zip(shown, ((230, 20, 20), (20, 200, 20), (20, 20, 230), (230, 20, 20)), strict=True):
        assert pixel == pytest.approx(colour, abs=16)
    plays = LOOP + (name == "gif")  # a GIF counts its repeats, the others their plays
    assert small.info["loop"] == plays - (output == "gif")


def test_an_animation_asked_for_in_no_format_is_webp(client: httpx.Client) -> None:
    moving = wait_for_image(client, submit_operation(client, "upload", animation("gif"), animated="true"))

    assert (moving.format, moving.n_frames) == ("WEBP", 3)  # type: ignore[attr-defined]


def test_a_still_asked_for_as_an_animation_is_a_still(client: httpx.Client) -> None:
    shown = wait_for_image(client, submit_operation(client, "upload", encode_image(photo()), animated="true"))

    assert getattr(shown, "n_frames", 1) == 1


@pytest.mark.parametrize("name", ["gif", "webp", "png"])
def test_the_frame_limit_is_for_animated_previews(client: httpx.Client, name: str) -> None:
    endless = animation(name, 201, (16, 16), duration=40)

    still = submit_operation(client, "upload", endless)
    job = wait_for_end(client, submit_operation(client, "upload", endless, animated="true"))

    assert wait_for_image(client, still).size == (16, 16)
    assert job["stages"]["validate"]["state"] == "failed"
    assert (job["status"], job["failure"]["code"]) == ("failed", "too_many_frames")
    assert job["failure"]["errors"][0]["limit"] == 200
    assert job["failure"]["errors"][0]["actual"] == 201


@pytest.mark.parametrize(
    ("size", "small", "medium"),
    [
        ((1, 1), (1, 1), (1, 1)),
        ((1, 3000), (1, 160), (1, 640)),
        ((3000, 1), (160, 1), (640, 1)),
        ((2000, 100), (160, 8), (640, 32)),
        ((159, 161), (158, 160), (159, 161)),
    ],
)
def test_every_shape_has_its_previews(
    client: httpx.Client, size: tuple[int, int], small: tuple[int, int], medium: tuple[int, int]
) -> None:
    task_id = submit_photo(client, encode_image(photo(*size)))

    assert wait_for_image(client, task_id, "small").size == small
    assert wait_for_image(client, task_id, "medium").size == medium


@pytest.mark.parametrize(
    ("name", "format_"),
    [
        *((name, "jpeg") for name in ("jpeg", "png", "webp", "tiff", "avif")),
        ("jpeg", "png"),
        ("png", "webp"),
        ("webp", "avif"),
    ],
)
def test_no_rendition_tells_who_took_it_where(client: httpx.Client, name: str, format_: str) -> None:
    original = _talkative(name)
    job = wait_for_end(client, submit_operation(client, "upload", original, format=format_))

    contents = [client.get(made["url"]).raise_for_status().content for made in job["renditions"].values()]

    assert b"Tattletale" in original
    assert len(contents) == 3
    for content in contents:
        assert not [trace for trace in TRACES if trace in content]
        image = decode_image(content)
        assert not image.getexif()
        assert not {"exif", "icc_profile", "xmp", "comment", "Comment", "photoshop"} & set(image.info)


@pytest.mark.parametrize(
    ("operation", "fields"), [("crop", {"aspect": "1:1"}), ("grayscale", {}), ("resize", {"width": 50})]
)
def test_no_output_tells_who_took_it_where(client: httpx.Client, operation: str, fields: dict[str, object]) -> None:
    job = wait_for_end(client, submit_operation(client, operation, _talkative("jpeg"), **fields))

    content = client.get(job["renditions"]["output"]["url"]).raise_for_status().content

    assert not [trace for trace in TRACES if trace in content]
