"""HTML of a rendition: `srcset` for each format, and a whole `<picture>`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from gateway.variants import Variant


def build_srcset(variants: Sequence[Variant]) -> dict[str, str]:
    """Return what `srcset` says for each format, from the `url` of each variant.

    A density that has no more pixels than the one before is left out.
    """
    files: dict[str, dict[int, str]] = {}
    for variant in variants:
        files.setdefault(variant["format"], {}).setdefault(variant["width"], variant["url"])
    return {name: ", ".join(f"{url} {width}w" for width, url in urls.items()) for name, urls in files.items()}


def build_picture(
    variants: Sequence[Variant], srcset: Mapping[str, str], *, color: str | None = None, thumbhash: str | None = None
) -> str:
    """Return a `<picture>` whose last format is the image itself, so that every browser shows one.

    Without CSS, the image has the width and the height of the density 1, and `sizes` says so: without it, browsers
    would choose a file as wide as the window. With CSS that makes the image smaller, the file has more pixels than
    needed, never fewer. `color` (#rrggbb) is shown, and `thumbhash` is there for a script, until the image is loaded.
    """
    main = find_main(variants)
    last = main["format"]
    better = list(srcset)[: list(srcset).index(last)]
    width, height = (max(1, round(main[side] / main["dpr"])) for side in ("width", "height"))
    media_types = {each["format"]: each["media_type"] for each in variants}
    sizes = f"{width}px"
    sources = [_tag("source", type=media_types[name], srcset=srcset[name], sizes=sizes) for name in better]
    has_choice = "," in srcset[last]
    image = _tag(
        "img",
        src=main["url"],
        srcset=srcset[last] if has_choice else None,
        sizes=sizes if has_choice else None,
        width=width,
        height=height,
        loading="lazy",
        decoding="async",
        alt="",
        style=f"background:{color}" if color else None,
        data_thumbhash=thumbhash,
    )
    return f"<picture>{''.join(sources)}{image}</picture>"


def find_main(variants: Sequence[Variant]) -> Variant:
    """Return the variant that every client shows: the last format at the lowest density."""
    lowest = min(each["dpr"] for each in variants)
    return [each for each in variants if each["dpr"] == lowest][-1]


def _tag(name: str, **attributes: str | int | None) -> str:
    """Return a start tag, its attributes escaped; those that are None are left out."""
    given = [
        f'{key.replace("_", "-")}="{escape(value) if isinstance(value, str) else value}"'
        for key, value in attributes.items()
        if value is not None
    ]
    return f"<{' '.join([name, *given])}>"
