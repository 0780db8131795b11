"""The contact sheet: the worst files in rows, as the oracle shows them, as we do, and the difference, amplified."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap

from PIL import Image, ImageDraw, ImageFont

from stages.scale import fit_size
from tests.tools.pixels.difference import difference_image
from tests.tools.pixels.finding import Finding
from tests.tools.pixels.reading import BACKGROUNDS, Reading, reduce_view
from tests.tools.pixels.report import name_of

AMPLIFIED = 8
_TILE, _GAP, _TEXT_WIDTH, _LINE = 160, 8, 420, 17
_PAPER, _INK, _FRAME = (246, 246, 246), (20, 20, 20), (190, 190, 190)


def draw_sheet(findings: Sequence[Finding], folder: Path) -> Image.Image:
    """Draw a row for each finding, in their order."""
    height = _LINE + 2 * _GAP + len(findings) * (_TILE + _GAP)
    sheet = Image.new("RGB", (3 * (_TILE + _GAP) + _GAP + _TEXT_WIDTH, height), _PAPER)
    for column, title in enumerate(("oracle", "here", f"difference x {AMPLIFIED}")):
        _write(sheet, (_GAP + column * (_TILE + _GAP), _GAP // 2), title)
    for row, finding in enumerate(findings):
        _draw_row(sheet, _LINE + _GAP + row * (_TILE + _GAP), finding, folder)
    return sheet


def _draw_row(sheet: Image.Image, top: int, finding: Finding, folder: Path) -> None:
    background = finding.difference.background if finding.difference else 0
    tiles = [_view(reading, background) for reading in (finding.theirs, finding.ours)]
    ours, theirs = finding.ours.views, finding.theirs.views
    if ours and theirs:
        difference = difference_image(ours[background], theirs[background])
        tiles.append(difference.point(lambda level: min(255, level * AMPLIFIED)))
    for column, tile in enumerate(tiles):
        _draw_tile(sheet, (_GAP + column * (_TILE + _GAP), top), tile)
    for line, text in enumerate(describe(finding, folder)):
        _write(sheet, (_GAP + 3 * (_TILE + _GAP), top + line * _LINE), text)


def _view(reading: Reading, background: int) -> Image.Image | None:
    return reading.views[background] if reading.views else None


def _draw_tile(sheet: Image.Image, place: tuple[int, int], tile: Image.Image | None) -> None:
    draw = ImageDraw.Draw(sheet)
    draw.rectangle((*place, place[0] + _TILE - 1, place[1] + _TILE - 1), outline=_FRAME)
    if tile is None:
        draw.line((*place, place[0] + _TILE - 1, place[1] + _TILE - 1), fill=_FRAME)
        return
    small = reduce_view(tile, fit_size(tile.size, _TILE - 2))
    factor = max(1, (_TILE - 2) // max(small.size))
    shown = small.resize((small.width * factor, small.height * factor), Image.Resampling.NEAREST)
    sheet.paste(shown, (place[0] + (_TILE - shown.width) // 2, place[1] + (_TILE - shown.height) // 2))


def describe(finding: Finding, folder: Path) -> list[str]:
    """Return the lines beside the tiles of a finding."""
    ours, theirs, difference = finding.ours, finding.theirs, finding.difference
    lines = [*_wrap(name_of(finding, folder)), f"{finding.kind}, {finding.format}, {finding.oracle}"]
    lines.append(f"{_size(theirs)}, here {_size(ours)} {finding.turn}".strip())
    if difference:
        over = list(BACKGROUNDS)[difference.background]
        lines.append(
            f"mean {difference.mean:.1f}, p99 {difference.p99}, preview {finding.preview_mean:.1f}, over {over}"
        )
    if finding.others:
        lines.append(", ".join(f"{name}: mean {mean}" for name, mean in finding.others.items()))
    reasons = (ours.fault or f"{ours.code} {ours.message}".strip(), theirs.message or theirs.fault)
    return [*lines, *_wrap(reasons[0]), *_wrap(reasons[1])][: _TILE // _LINE]


def _size(reading: Reading) -> str:
    return f"{reading.width} x {reading.height}" if reading.views else "not shown"


def _wrap(text: str) -> list[str]:
    return wrap(text, 62)[:3]


def _write(sheet: Image.Image, place: tuple[int, int], text: str) -> None:
    ImageDraw.Draw(sheet).text(place, text, fill=_INK, font=ImageFont.load_default(13))
