"""The codes of all problems that the gateway raises."""

from __future__ import annotations

from gateway.problems import Problem


def list_kinds(kind: type[Problem] = Problem) -> set[type[Problem]]:
    """Return a kind of problem, and all that are narrower."""
    return {kind}.union(*(list_kinds(narrower) for narrower in kind.__subclasses__()))


CODES = {kind.code for kind in list_kinds()} - {Problem.code}
