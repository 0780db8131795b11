"""python -m pipeline -Q QUEUE[,QUEUE...] ...: a worker, with the options of `celery worker`.

`celery -A pipeline.worker worker` runs the same, and imports all other commands of Celery, with an interactive shell
and Flower: 10 MB in each worker.
"""

from __future__ import annotations

from celery.bin.base import CLIContext
from celery.bin.worker import worker


def main() -> None:
    """Run a worker with the options of the command line."""
    from pipeline.worker import app  # noqa: PLC0415  # it reads the settings, and ends the process on a mistake

    worker.main(prog_name="python -m pipeline", obj=CLIContext(app=app, no_color=False, workdir=None))


if __name__ == "__main__":
    main()
