"""The memory that workers need for the limits in force: python -m deploy.generate.worker_memory prints it by pool.

With `--container MIB --children N`: what a child of such a worker may take for an image.
"""

from __future__ import annotations

import argparse

from pipeline.routing import FETCH, FINALIZE, NORMALIZE, NOTIFY, OUTBOUND_QUEUES, QUEUES, RESIZE, TRANSFORM, VALIDATE
from pipeline.settings import Settings
from stages.formats import MEMORY_INTENSIVE_MAX_PIXELS

MIB = 1024 * 1024
PROCESS_MIB = 110  # the parent, and each child before its first image
PARENT_MIB, CHILD_MIB = 75, 35
"""What a parent takes, and each child of its own: a control group counts shared pages once. Room for files is in it."""
# Bytes a pixel: the most that `./run bench peaks` found, and some for what earlier images leave in the heap.
BYTES_PER_PIXEL = {VALIDATE: 10, NORMALIZE: 19, RESIZE: 19, TRANSFORM: 19, FINALIZE: 0}
TRANSFER_MIB = {FETCH: 64, NOTIFY: 32}
"""What is under way at once in a child that decodes nothing: parts of a file to a bucket, payloads and answers."""
BYTES_PER_ENCODED_PIXEL = 45  # of a rendition in WebP or AVIF
BYTES_PER_ANIMATION_PIXEL = 11  # of width x height x frames
CHILDREN = (1, 2, 4)


def image_mib(queue: str, settings: Settings) -> int:
    """Return the memory that one image may need in a child of a pool, or one task where nothing is decoded."""
    if queue in OUTBOUND_QUEUES:
        return TRANSFER_MIB[queue]
    needed = [BYTES_PER_PIXEL[queue] * settings.limits.pixels]
    if queue == RESIZE:
        rendition = min(max(settings.renditions.values()) ** 2, settings.limits.pixels)
        if settings.presets:  # their limits allow a rendition, and a master to cut it out of, of any size
            rendition = settings.limits.pixels
        needed = [
            BYTES_PER_PIXEL[queue] * rendition,
            BYTES_PER_ENCODED_PIXEL * min(rendition, MEMORY_INTENSIVE_MAX_PIXELS),
            BYTES_PER_ANIMATION_PIXEL * settings.limits.animation_pixels,
        ]
    return -(-max(needed) // MIB)


def container_mib(children: int, image: int) -> int:
    """Return the memory of a worker whose children take `image` MiB each, at the same time."""
    return PROCESS_MIB * (children + 1) + children * image


def child_mib(queue: str, settings: Settings) -> int:
    """Return the memory that a child of a pool may take for its work: what the setting allows it, if it decodes."""
    allowed = 0 if queue in OUTBOUND_QUEUES else settings.work.max_image_memory_mib
    return allowed or image_mib(queue, settings)


def allowed_mib(container: int, children: int) -> int:
    """Return what each child may take for an image in a container of this memory, so that none is killed."""
    return max(0, (container - PARENT_MIB) // children - CHILD_MIB)


def main() -> None:
    """Print a line for each pool, and the setting that bounds an image in all of them; or that for one container."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--container", type=int, metavar="MIB", help="memory of a worker's container")
    parser.add_argument("--children", type=int, default=1, help="its child processes (%(default)s)")
    chosen = parser.parse_args()
    if chosen.container:
        print(f"DARKROOM_WORK__MAX_IMAGE_MEMORY_MIB={allowed_mib(chosen.container, chosen.children)}")
    else:
        _print_pools(Settings())


def _print_pools(settings: Settings) -> None:
    needed = {queue: image_mib(queue, settings) for queue in QUEUES}
    print(f"{'MiB':10}{'a task':>10}" + "".join(f"{f'--concurrency {children}':>18}" for children in CHILDREN))
    for queue, image in needed.items():
        print(f"{queue:10}{image:10}" + "".join(f"{container_mib(children, image):18}" for children in CHILDREN))
    print(
        f"DARKROOM_WORK__MAX_IMAGE_MEMORY_MIB is {settings.work.max_image_memory_mib}; set at least the largest image."
    )


if __name__ == "__main__":
    main()
