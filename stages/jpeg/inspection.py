"""Inspection of a JPEG: its segments up to the first scan, and all scans if there are several."""

from __future__ import annotations

from stages.container_info import ContainerInfo
from stages.jpeg.scans import find_scan_ends, read_frame
from stages.limits import Limits


def inspect_jpeg(original: bytes, _limits: Limits) -> ContainerInfo:
    """Refuse too many segments or scans, and scans that are missing.

    Raises IndexError or struct.error if the file ends before its first scan.
    """
    frame = read_frame(original)
    if not frame.has_one_scan(original):
        for _ in find_scan_ends(original, frame):
            pass
    return ContainerInfo()
