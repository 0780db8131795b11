"""Stage three, run for each rendition: scale the master down and encode it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.rendition import WHITE, Rendition, render
from stages.scale import fit_size, scale

if TYPE_CHECKING:
    from stages.normalize import Master

__all__ = ["Rendition", "resize"]


def resize(
    master: Master,
    *,
    edge: int,
    format: str = "auto",  # noqa: A002  the API's own word
    quality: int | None = None,
    background: str = WHITE,
) -> Rendition:
    """Return a rendition whose longest side is `edge` pixels, or that of the master if it is shorter."""
    image = master.image()
    return render(scale(image, fit_size(image.size, edge)), format=format, quality=quality, background=background)
