"""Misspelt names: a form with `qualty` must not get the default quality without a word."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from gateway.submission.rules import shorten

MIN_LETTERS = 4
"""Shorter names are one edit away from too many words, such as `to` from `top`."""
LONG_NAME = 8
"""Letters from which on a name may have two edits."""
_SEPARATORS = re.compile(r"[\W_]+")


def find_misspelt(name: str, known: Iterable[str]) -> str | None:
    """Return the known field that `name` is a misspelling of, or None: other case or separators, or one or two edits.

    An edit is a letter too many, missing, or another one, or two neighbours swapped. The first letter is right in a
    misspelling, or `weight` would be one of `height`.
    """
    letters = _SEPARATORS.sub("", name.lower())
    for field in known:
        expected = field.replace("_", "")
        edits = 0 if len(expected) < MIN_LETTERS else 1 if len(expected) < LONG_NAME else 2
        if letters[:1] != expected[:1] or abs(len(letters) - len(expected)) > edits:
            continue
        if _count_edits(letters, expected) <= edits:
            return field
    return None


def describe_unknown(noun: str, name: str, known: Collection[str]) -> str:
    """Return the sentences for a name that there is not: the one that is meant, or all that are known."""
    misspelt = find_misspelt(name, known)
    hint = f"Did you mean {misspelt}?" if misspelt else f"Use one of: {', '.join(known)}."
    return f"There is no {noun} {shorten(name)!r}. {hint}"


def _count_edits(one: str, other: str) -> int:
    """Return the optimal string alignment distance: Levenshtein's, where two swapped neighbours are one edit."""
    before, row = [0] * (len(other) + 1), list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        older, before, row = before, row, [i]
        for j, wanted in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
    return row[-1]
