"""Mistakes in files of presets: every one at once, with its line, its path and a sentence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.preset_settings import PresetLimits
from pipeline.presets.loading import Loaded, read_files
from pipeline.presets.mistakes import PresetMistakes
from pipeline.presets.toml_lines import find_lines
from stages.focus.spelling import FOCUSES
from stages.limits import Limits

NAMES = "A name is a small letter, and then at most 31 small letters, digits and _."
RENDITIONS = "product.renditions."


def load(folder: Path, text: str = "", limits: PresetLimits | None = None) -> Loaded:
    """Load the presets of a file with this text, or of a folder."""
    if not text:
        return read_files(str(folder), limits=limits or PresetLimits(), image_limits=Limits())
    (folder / "a.toml").write_text(text, encoding="utf-8")
    return read_files(str(folder / "a.toml"), limits=limits or PresetLimits(), image_limits=Limits())


def find_mistakes(folder: Path, text: str = "", limits: PresetLimits | None = None) -> list[str]:
    with pytest.raises(PresetMistakes) as raised:
        load(folder, text, limits)
    return [str(mistake) for mistake in raised.value.mistakes]


def rendition(body: str) -> str:
    """Return a file with one rendition, which begins in line 2."""
    return f"[product]\n[product.renditions.card]\n{body}\n"


@pytest.mark.parametrize(
    ("text", "mistakes"),
    [
        ("[product", ["It is not TOML: Expected ']' at the end of a table declaration, at the end of the file."]),
        ("[product]\n[product]", ["2: It is not TOML: Cannot declare ('product',) twice."]),
        ("product = 3", ["1: product: A preset is a table: [product]."]),
        (
            "[Product]\nrenditions = { card = { edge = 1 } }",
            [f"1: Product: {NAMES.replace('A name', 'The name of a preset')}"],
        ),
        ("[product]", ["1: product.renditions: It is missing."]),
        ("[product]\nrenditions = {}", ["2: product.renditions: It should not be empty."]),
        (
            "[product]\nfeilds = []\nrenditions.card.edge = 1",
            ["2: product.feilds: There is no such name. Did you mean fields?"],
        ),
        (
            '[product]\nfields = ["qualty"]\nrenditions.card.edge = 1',
            ["2: product.fields[0]: 'qualty' is not possible here. Did you mean quality?"],
        ),
        (
            '[product]\nfields = ["animated"]\nrenditions.card = { edge = 1, dpr = [2] }',
            [
                (
                    "2: product.fields: An upload can ask for animated previews only where each rendition is an edge "
                    "in the format auto or webp, at one density and without steps. Others are: card."
                )
            ],
        ),
        ("[product]\nrenditions.Card.edge = 1", [f"2: Card: {NAMES}"]),
        (
            "[product]\nrenditions.validate.edge = 1",
            [
                (
                    "2: validate: A rendition cannot have the name of a stage: "
                    "export, fetch, finalize, normalize, notify, transform, validate."
                )
            ],
        ),
        (rendition(""), ["2: card: A rendition needs an edge, or a width, a height or both."]),
        (
            rendition("edge = 1\nwidth = 2"),
            ["3: card.edge: A rendition has either an edge, or a width and a height, not both."],
        ),
        (
            rendition('edge = 1\nfit = "cover"'),
            [("4: card.fit: An edge bounds the longest side. For another fit, set width and height instead.")],
        ),
        (
            rendition('width = 1\nfit = "cover"'),
            ["4: card.fit: The fit cover needs both a width and a height."],
        ),
        (
            rendition("widht = 400"),
            ["3: card.widht: There is no such name. Did you mean width?"],
        ),
        (rendition("edge = 0"), ["3: card.edge: It should be at least 1, not 0."]),
        (rendition("edge = true"), ["3: card.edge: It should be a whole number, not true."]),
        (rendition("edge = nan"), ["3: card.edge: It should be a whole number, not nan."]),
        (
            rendition("edge = 2026-11-30"),
            ["3: card.edge: It should be a whole number, not '2026-11-30'."],
        ),
        (
            rendition("edge = 1\ndpr = [1, 5]"),
            ["4: card.dpr[1]: It should be at most 4, not 5."],
        ),
        (
            rendition("edge = 1\ndpr = [2, 2.0]"),
            ["4: card.dpr: Each value can be there once."],
        ),
        (
            rendition('edge = 1\nformats = ["jpg"]'),
            ["4: card.formats[0]: 'jpg' is not possible here. Did you mean jpeg?"],
        ),
        (
            rendition("edge = 1\nquality = { wepb = 75, jpeg = 101 }"),
            [
                "4: card.quality.wepb: 'wepb' is not possible here. Did you mean webp?",
                "4: card.quality.jpeg: It should be at most 100, not 101.",
            ],
        ),
        (
            rendition('edge = 1\nbackground = "bluish"'),
            [
                (
                    "4: card.background: It should be a colour as in CSS, such as #fff, "
                    "rgb(255, 255, 255) or white, or transparent."
                )
            ],
        ),
        (
            rendition("edge = 20000\nenlarge = 1"),
            [
                ("2: card: All its files together may have 400,000,000 pixels; at most 100,000,000 are allowed."),
                "3: card.edge: A file may have a side of 20,000 pixels; at most 16,384 are allowed.",
                "4: card.enlarge: It should be true or false, not 1.",
            ],
        ),
        (
            rendition('edge = 1\nfocus = "1.5,0"'),
            [
                (
                    f"4: card.focus: The focus must be {', '.join(FOCUSES)}, or a point such as 0.3,0.7, in shares of "
                    "width and height."
                )
            ],
        ),
        (
            rendition('edge = 1\nsteps = ["greyscale", { blur = 0 }, { blur = { raduis = 1 } }, "rotate"]'),
            [
                "4: card.steps[0]: There is no step 'greyscale'. Did you mean grayscale?",
                "4: card.steps[1].radius: It should be at least 0.1, not 0.",
                "4: card.steps[2].raduis: There is no such name. Did you mean radius?",
                "4: card.steps[3].degrees: It is missing.",
            ],
        ),
        (
            rendition('edge = 1\nwatermark = { image = "logo.png", anchor = "south-eats", size = 2 }'),
            [
                "4: card.watermark.anchor: 'south-eats' is not possible here. Did you mean south-east?",
                "4: card.watermark.size: It should be at most 1, not 2.",
            ],
        ),
        (
            rendition('width = 5000\nheight = 4000\nfit = "cover"\nformats = ["avif", "jpeg"]'),
            [("6: card.formats: A file may have 20,000,000 pixels; in avif, at most 16,000,000 are possible.")],
        ),
        (rendition("edge = 1\ndpr = [1.5, 1.5000001]"), ["4: card.dpr: Each value can be there once."]),
        (
            rendition('width = 9000\nheight = 9000\nfit = "scale-down"'),
            ["2: card: A file may have 81,000,000 pixels; at most 50,000,000 are allowed."],
        ),
        (rendition(f"edge = {'9' * 5000}"), ["It has a number of too many digits."]),
        (rendition(f"watermark.{'a.' * 1000}a = 1"), ["Its tables and lists are nested too deeply."]),
        (rendition(f"steps = {'[' * 300}{']' * 300}"), ["Its tables and lists are nested too deeply."]),
        (
            '[product.renditions]\n"card\\n\\u001b[2J".edge = 1',
            [f"1: card\\n\\x1b[2J: {NAMES}"],
        ),
    ],
)
def test_a_mistake_has_a_line_a_path_and_a_sentence(tmp_path: Path, text: str, mistakes: list[str]) -> None:
    found = [each.removeprefix("a.toml:").strip().replace(RENDITIONS, "") for each in find_mistakes(tmp_path, text)]

    assert [each for each in found if not each.startswith("1: product: All files")] == mistakes


def test_every_mistake_of_every_file_is_found_at_once(tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text(rendition('widht = 1\nfit = "covr"\ndpr = [1, 1]'), encoding="utf-8")
    (tmp_path / "two.toml").write_text("[product]\nrenditions.card.edge = 1\n[other]\n", encoding="utf-8")

    assert find_mistakes(tmp_path) == [
        "one.toml:3: product.renditions.card.widht: There is no such name. Did you mean width?",
        "one.toml:4: product.renditions.card.fit: 'covr' is not possible here. Did you mean cover?",
        "one.toml:5: product.renditions.card.dpr: Each value can be there once.",
        "two.toml:1: product: There is a preset of this name in one.toml, too.",
        "two.toml:3: other.renditions: It is missing.",
    ]


def test_every_limit_is_named(tmp_path: Path) -> None:
    limits = PresetLimits(
        presets=1, renditions=1, variants=3, rendition_pixels=9_000, preset_pixels=9_000, steps=1, asset_bytes=1
    )
    text = """[product.renditions.card]
edge = 100
formats = ["webp", "jpeg"]
dpr = [1, 2]
[product.renditions.zoom]
edge = 10
"""

    assert find_mistakes(tmp_path, text, limits) == [
        "a.toml:1: product.renditions: There are 2 renditions; at most 1 are allowed.",
        "a.toml:1: product.renditions.card: All its files together may have 100,000 pixels; at most 9,000 are allowed.",
        "a.toml:1: product: All files together may have 100,100 pixels; at most 9,000 are allowed.",
        "a.toml:3: product.renditions.card.formats: 2 formats at 2 densities are 4 files; at most 3 are allowed.",
        "a.toml: There are 2 presets, `default` included; at most 1 are allowed.",
    ]


def test_a_missing_file_is_a_mistake(tmp_path: Path) -> None:
    assert find_mistakes(tmp_path / "none.toml") == ["none.toml: The file cannot be read: no such file or directory."]


def test_an_empty_folder_has_no_presets(tmp_path: Path) -> None:
    assert not load(tmp_path).presets


def test_a_file_that_links_out_of_the_folder_is_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("[product]\nrenditions.card.edge = 1", encoding="utf-8")
    folder = tmp_path / "presets"
    folder.mkdir()
    (folder / "a.toml").symlink_to(secret)

    assert find_mistakes(folder) == ["a.toml: The file is a link to a place outside the folder of the presets."]


def test_a_link_that_leads_to_itself_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a.toml").symlink_to("a.toml")
    (tmp_path / "b.toml").write_text(rendition('edge = 1\nwatermark = { image = "logo.png" }'), encoding="utf-8")
    (tmp_path / "logo.png").symlink_to("logo.png")

    assert find_mistakes(tmp_path) == [
        "a.toml: The file is a link that leads to itself.",
        "b.toml:4: product.renditions.card.watermark.image: logo.png: The file is a link that leads to itself.",
    ]


def test_a_path_that_cannot_be_opened_is_a_mistake(tmp_path: Path) -> None:
    (mistake,) = find_mistakes(tmp_path / ("x" * 300))

    assert mistake.endswith("The file cannot be read: file name too long.")


def test_files_that_kubernetes_links_are_read(tmp_path: Path) -> None:
    data = tmp_path / "..2026_11_30"
    data.mkdir()
    (data / "a.toml").write_text("[product]\nrenditions.card.edge = 1", encoding="utf-8")
    (tmp_path / "..data").symlink_to("..2026_11_30")
    (tmp_path / "a.toml").symlink_to("..data/a.toml")

    assert load(tmp_path).presets.keys() == {"product"}


def test_a_pipe_is_no_file_of_presets(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.toml")

    assert find_mistakes(tmp_path) == ["a.toml: It is no regular file."]


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b"#" * (1024 * 1024 + 1))

    assert find_mistakes(tmp_path) == ["a.toml: The file is larger than 1,048,576 bytes."]


def test_the_lines_of_a_long_path_take_little_memory() -> None:
    lines = find_lines(f"[product]\n{'a.' * 50_000}a = 1")

    assert lines["product.a.a"] == 2
    assert sum(map(len, lines)) < 1_000
