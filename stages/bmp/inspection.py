"""Inspection of a BMP: whether its rows are all there, or not too many runs, and whether it is of a known kind."""

from __future__ import annotations

from stages.bmp.header import RAW, read_bmp_header
from stages.bmp.runs import split_runs
from stages.container_info import MAX_PARTS, ContainerInfo, check_part_count
from stages.errors import ImageTruncated
from stages.limits import Limits

MAX_RUNS = 32 * MAX_PARTS  # they are drawn in Python, in less than a microsecond each


def inspect_bmp(original: bytes, _limits: Limits) -> ContainerInfo:
    """Check the rows of an uncompressed bitmap and the number of runs of a compressed one.

    The last row needs no padding. Raises ImageTruncated or ImageTooLarge, and as `read_bmp_header` does.
    """
    header = read_bmp_header(original)
    if header.coding == RAW:
        last_row = (header.width * header.bits + 7) // 8
        if header.start + header.stride * (header.height - 1) + last_row > len(original):
            raise ImageTruncated
    elif (len(original) - header.start) // 2 > MAX_RUNS:
        for number, _ in enumerate(split_runs(original, header), 1):
            check_part_count(number, "runs", MAX_RUNS)
    return ContainerInfo()
