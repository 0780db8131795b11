"""Variants: the files of a rendition, one for each format and density, and which of them a request is for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from gateway.accept import choose_media_type
from gateway.problems import RenditionNotFound
from pipeline.rendition_headers import extension_of, suffix_of
from pipeline.results import find_variants

FORMAT_OF_EXTENSION = {"jpg": "jpeg"}
NAME = re.compile(
    r"(?P<rendition>[^@.]+)(?:@(?P<dpr>\d{1,2}(?:\.\d{1,5})?)x)?(?:\.(?P<format>[A-Za-z0-9]{1,8}))?", re.ASCII
)
DENSITY_TOLERANCE = 1e-4  # a name has six digits of a density
VERSION_DIGITS = 16

Variant = dict[str, Any]
"""The record of one file: blob, format, media_type, dpr, width, height, bytes and sha256."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What a request asks for: a rendition, and what it says of the file."""

    rendition: str | None = None
    """The name of the rendition; None: the main one."""
    format: str | None = None
    """The format that is sent; None: by `accept`."""
    dpr: float | None = None
    """The density that is sent; None: the lowest."""
    version: str | None = None
    """The version that the client expects."""
    accept: str | None = None
    """The header Accept."""

    def named(self, name: str) -> Selection:
        """Read a name such as `card`, `card@2x` or `card@2x.avif`. What it says counts more than the query."""
        match = NAME.fullmatch(name)
        if match is None:
            return replace(self, rendition=name)
        rendition, density, extension = match.group("rendition", "dpr", "format")
        return replace(
            self,
            rendition=rendition,
            format=extension or self.format,
            dpr=float(density) if density else self.dpr,
        )

    def choose(self, rendition: str, variants: Sequence[Variant]) -> Variant:
        """Return the variant to send. Raises `RenditionNotFound` if there is no such variant.

        A link of an earlier version gets the nearest one: pages keep links to formats and densities that a preset does
        not have any more.
        """
        is_stale = self.version is not None and self.version != version_of(variants)
        in_format = [each for each in variants if each["format"] == self._format]
        dpr = min(each["dpr"] for each in variants) if self.dpr is None else self.dpr
        if self.format is None or (is_stale and not in_format):
            candidates = self._negotiate(_nearest_density(variants, dpr))
        else:
            candidates = in_format
        nearest = min(candidates, key=lambda each: abs(each["dpr"] - dpr), default=None)
        if nearest is None or (abs(nearest["dpr"] - dpr) > DENSITY_TOLERANCE and not is_stale):
            names = ", ".join(variant_name(rendition, each) for each in variants)
            raise RenditionNotFound(f"The rendition {rendition!r} has no such file. Ask for one of: {names}.")
        return nearest

    def depends_on_accept(self, variants: Sequence[Variant]) -> bool:
        """Whether another Accept could get another variant."""
        formats = {each["format"] for each in variants}
        return len(formats) > 1 and self._format not in formats

    @property
    def _format(self) -> str | None:
        name = self.format.lower() if self.format else None
        return FORMAT_OF_EXTENSION.get(name or "", name)

    def _negotiate(self, variants: Sequence[Variant]) -> list[Variant]:
        media_types = list(dict.fromkeys(each["media_type"] for each in variants))
        chosen = choose_media_type(self.accept, media_types)
        return [each for each in variants if each["media_type"] == chosen]


def _nearest_density(variants: Sequence[Variant], dpr: float) -> list[Variant]:
    """Return the variants of the density that is nearest: a format need not have all, if it cannot hold the largest."""
    distance = min(abs(each["dpr"] - dpr) for each in variants)
    return [each for each in variants if abs(each["dpr"] - dpr) == distance]


def list_variants(result: dict[str, Any]) -> list[Variant]:
    """Return the variants of a rendition from its record, one for each format and density.

    Two formats of a definition can be one: `auto` makes a JPEG, too. The later one counts.
    """
    return list({(each["format"], each["dpr"]): each for each in find_variants(result)}.values())


def version_of(variants: Sequence[Variant]) -> str:
    """Return the version of a rendition: a hash over all its variants."""
    return sha256(",".join(each["sha256"] for each in variants).encode()).hexdigest()[:VERSION_DIGITS]


def variant_name(rendition: str, variant: Variant) -> str:
    """Return the name of a variant in addresses: `card.jpg`, `card@2x.avif`."""
    return f"{rendition}{suffix_of(variant['dpr'])}.{extension_of(variant['format'])}"
