"""What is left to the library."""

from __future__ import annotations


class Unsupported(Exception):
    """A command, or a document that it meets, that has no shortcut here. Nothing has been written for it."""
