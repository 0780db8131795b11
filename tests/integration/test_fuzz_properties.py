"""What holds of every picture, whatever its shape, layout, format and orientation."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from stages.crop import crop
from stages.errors import InvalidOperation
from stages.fit import FITS, Fit, fit
from stages.formats import DEFAULT_QUALITY, OUTPUT_FORMATS
from stages.grayscale import grayscale
from stages.limits import Limits
from stages.normalize import normalize
from stages.rendition_spec import RenditionSpec
from stages.resize import resize
from stages.validate import validate
from tests.support.images import decode_image, encode_image
from tests.tools.fuzz.pictures import LOSSLESS, Picture, pictures

LIMITS = Limits()
WHOLE = 16_384  # an edge that no picture here reaches
EDGES = st.integers(1, 400)
# No database, as the examples are always the same; no deadline, as a shared machine breaks it now and then.
_ALWAYS_THE_SAME = settings(derandomize=True, database=None, deadline=None, max_examples=60)


def whole(original: bytes) -> Image.Image:
    return normalize(original, edge=WHOLE, limits=LIMITS).image()


def farthest(one: Image.Image, other: Image.Image) -> int:
    """Return the largest difference of any channel of any pixel; the colour of a clear pixel does not count."""
    assert one.size == other.size
    shown = (image.convert("RGBA").convert("RGBa") for image in (one, other))  # multiplied by its alpha
    return max(high for _, high in ImageChops.difference(*shown).getextrema())  # type: ignore[misc]


def is_of_shape(size: tuple[int, int], shape: tuple[int, int]) -> bool:
    """Tell whether `size` is `shape` times some factor, each side within a pixel."""
    ranges = [((side - 1) / whole, (side + 1) / whole) for side, whole in zip(size, shape, strict=True)]
    return max(low for low, _ in ranges) <= min(high for _, high in ranges)


@_ALWAYS_THE_SAME
@given(picture=pictures(), edge=EDGES)
def test_a_master_is_upright_bounded_and_exactly_its_pixels(picture: Picture, edge: int) -> None:
    master = normalize(picture.original(), edge=edge, limits=LIMITS)

    assert max(master.width, master.height) == min(edge, max(picture.size))
    assert is_of_shape((master.width, master.height), picture.size)
    assert min(master.width, master.height) >= 1
    assert master.mode == "RGB" or (master.mode == "RGBA" and picture.may_be_transparent)
    assert len(master.pixels) == master.width * master.height * len(master.mode)


@_ALWAYS_THE_SAME
@given(picture=pictures())
def test_validate_and_normalize_agree_about_the_picture(picture: Picture) -> None:
    original = picture.original()

    facts = validate(original, limits=LIMITS)

    assert (facts.format, facts.frames) == (picture.format, 1)
    assert (facts.width, facts.height) == whole(original).size == picture.size


@_ALWAYS_THE_SAME
@given(
    picture=pictures(frozenset({"png"})),
    edge=EDGES,
    format_=st.sampled_from(OUTPUT_FORMATS),
    quality=st.integers(1, 100),
)
def test_a_rendition_is_bounded_bare_and_what_it_says(picture: Picture, edge: int, format_: str, quality: int) -> None:
    master = normalize(picture.original(), edge=WHOLE, limits=LIMITS)

    spec = RenditionSpec(edge=edge, formats=(format_,), quality=dict.fromkeys(DEFAULT_QUALITY, quality))
    (rendition,) = (variant.rendition for variant in resize(master, spec))

    found = decode_image(rendition.content)
    assert found.size == (rendition.width, rendition.height)
    assert max(found.size) == min(edge, max(picture.size))
    assert is_of_shape(found.size, picture.size)
    assert found.format == rendition.format.upper()
    assert rendition.format == format_ or (format_ == "auto" and rendition.format in ("jpeg", "webp"))
    assert not {"exif", "icc_profile", "xmp", "comment", "XML:com.adobe.xmp"} & found.info.keys()
    assert not found.getexif()


@_ALWAYS_THE_SAME
@given(picture=pictures(), edge=EDGES)
def test_normalizing_a_master_again_changes_nothing(picture: Picture, edge: int) -> None:
    master = normalize(picture.original(), edge=edge, limits=LIMITS)

    again = normalize(encode_image(master.image()), edge=edge, limits=LIMITS)

    assert again == master


@_ALWAYS_THE_SAME
@given(picture=pictures(LOSSLESS, deep=False), edge=EDGES)
def test_what_lies_as_its_orientation_says_looks_as_if_it_stood(picture: Picture, edge: int) -> None:
    upright = Picture(picture.format, picture.layout, picture.size, 1)

    turned, straight = picture.original(), upright.original()

    assert farthest(whole(turned), whole(straight)) == 0
    lying, standing = (normalize(original, edge=edge, limits=LIMITS).image() for original in (turned, straight))
    assert farthest(lying, standing) <= 3  # as rows are resampled before columns


@_ALWAYS_THE_SAME
@given(picture=pictures(), numbers=st.tuples(*[st.floats(0, 1, exclude_max=True)] * 4))
def test_a_crop_is_the_box_cut_from_the_whole_picture(picture: Picture, numbers: tuple[float, ...]) -> None:
    original, (width, height) = picture.original(), picture.size
    left, top = int(numbers[0] * width), int(numbers[1] * height)
    right, bottom = left + 1 + int(numbers[2] * (width - left)), top + 1 + int(numbers[3] * (height - top))

    rendition = crop(original, left=left, top=top, width=right - left, height=bottom - top, format="png", limits=LIMITS)

    assert farthest(decode_image(rendition.content), whole(original).crop((left, top, right, bottom))) <= 1


@_ALWAYS_THE_SAME
@given(picture=pictures(), aspect=st.tuples(st.integers(1, 40), st.integers(1, 40)))
def test_a_crop_to_an_aspect_is_the_largest_box_of_it(picture: Picture, aspect: tuple[int, int]) -> None:
    rendition = crop(picture.original(), aspect=aspect, format="jpeg", limits=LIMITS)

    size = rendition.width, rendition.height
    assert is_of_shape(size, aspect)
    assert size[0] == picture.size[0] or size[1] == picture.size[1]
    assert size[0] <= picture.size[0]
    assert size[1] <= picture.size[1]


@_ALWAYS_THE_SAME
@given(picture=pictures(), format_=st.sampled_from(["png", "jpeg"]))
def test_a_grey_picture_has_three_equal_channels_and_its_size(picture: Picture, format_: str) -> None:
    rendition = grayscale(picture.original(), format=format_, limits=LIMITS)

    found = decode_image(rendition.content)
    assert found.size == picture.size
    red, green, blue = found.convert("RGBA").split()[:3]
    assert red.tobytes() == green.tobytes() == blue.tobytes()


def fitted_to(picture: Picture, **asked: Any) -> tuple[int, int]:
    rendition = fit(picture.original(), format="jpeg", limits=LIMITS, **asked)
    assert min(rendition.width, rendition.height) >= 1
    return rendition.width, rendition.height


@_ALWAYS_THE_SAME
@given(picture=pictures(), box=st.tuples(EDGES, EDGES), enlarge=st.booleans())
def test_inside_is_the_whole_picture_as_large_as_the_box_lets_it(
    picture: Picture, box: tuple[int, int], enlarge: bool
) -> None:
    size = fitted_to(picture, width=box[0], height=box[1], fit="inside", enlarge=enlarge)

    bounds = box if enlarge else (min(box[0], picture.size[0]), min(box[1], picture.size[1]))
    assert size[0] <= bounds[0]
    assert size[1] <= bounds[1]
    assert size[0] == bounds[0] or size[1] == bounds[1]
    assert is_of_shape(size, picture.size)


@_ALWAYS_THE_SAME
@given(picture=pictures(), box=st.tuples(EDGES, EDGES), enlarge=st.booleans())
def test_contain_is_the_box(picture: Picture, box: tuple[int, int], enlarge: bool) -> None:
    assert fitted_to(picture, width=box[0], height=box[1], fit="contain", enlarge=enlarge) == box


@_ALWAYS_THE_SAME
@given(picture=pictures(), box=st.tuples(EDGES, EDGES), how=st.sampled_from(["cover", "fill"]), enlarge=st.booleans())
def test_cover_and_fill_are_the_box_or_the_largest_of_its_shape_in_the_picture(
    picture: Picture, box: tuple[int, int], how: Fit, enlarge: bool
) -> None:
    size = fitted_to(picture, width=box[0], height=box[1], fit=how, enlarge=enlarge)

    if enlarge or (box[0] <= picture.size[0] and box[1] <= picture.size[1]):
        assert size == box
    else:
        assert size[0] <= min(box[0], picture.size[0])
        assert size[1] <= min(box[1], picture.size[1])
        assert size[0] == picture.size[0] or size[1] == picture.size[1]
        assert is_of_shape(size, box)


@_ALWAYS_THE_SAME
@given(picture=pictures(), side=EDGES, name=st.sampled_from(["width", "height"]), how=st.sampled_from(FITS))
@example(picture=Picture("png", "RGB", (300, 10), 1), side=100, name="width", how="inside")  # 3 rows are a tenth less
@example(picture=Picture("png", "RGB", (1, 6), 1), side=16, name="height", how="cover")  # a column would become 3
def test_a_side_left_out_follows_from_the_other(picture: Picture, side: int, name: str, how: Fit) -> None:
    size = fitted_to(picture, **{name: side}, fit=how)

    axis = 0 if name == "width" else 1
    assert size[axis] == min(side, picture.size[axis])
    assert is_of_shape(size, picture.size)


@_ALWAYS_THE_SAME
@given(picture=pictures(), side=EDGES, how=st.sampled_from(FITS))
def test_an_enlarged_width_is_the_one_asked_for_unless_the_height_would_be_over_the_limits(
    picture: Picture, side: int, how: Fit
) -> None:
    height = picture.size[1] * side / picture.size[0]
    try:
        size = fitted_to(picture, width=side, fit=how, enlarge=True)
    except InvalidOperation:
        assert height > LIMITS.side or height * side > LIMITS.pixels
    else:
        assert size[0] == side
        assert is_of_shape(size, picture.size)
