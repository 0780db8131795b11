"""Celery's chord, whose parts a worker's child sends itself.

Celery copies the body of a chord six times for each part, so a chord of three previews costs more than their messages.
"""

from __future__ import annotations

from typing import Any

from celery import canvas

from pipeline.direct_task import is_publishing_directly

STEP_OPTIONS = frozenset({"chain", "parent_id", "priority", "root_id"})
"""What Celery says of a step of a chain that it begins."""

_canvas: Any = canvas  # its types lack much of it
_Chord: Any = _canvas.chord


class DirectChord(_Chord):  # type: ignore[misc]
    """A chord as every canvas has it; one of another form is left to Celery."""

    def apply_async(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        """Send the parts, each with the body; a part is the same message as Celery's own.

        `args` is the result of the step before, which no task of a canvas takes.
        """
        if kwargs or not (is_publishing_directly() and self._is_plain(options)):
            return super().apply_async(args, kwargs, **options)
        app, group_id, parts = self.app, self.options["task_id"], self.tasks
        common = {"root_id": options["root_id"], "priority": None, "group_id": group_id}
        body = {**self.body, "options": {**self.body.options, "chain": [], **common}}
        app.backend.set_chord_size(group_id, len(parts))
        with app.producer_or_acquire() as batch:
            for part in parts:
                part.type.apply_async(
                    tuple(part.args),
                    producer=batch,
                    add_to_parent=False,
                    chord=body,
                    parent_id=options["parent_id"],
                    **part.options | common,
                )
        return app.AsyncResult(self.body.options["task_id"])

    def _is_plain(self, options: dict[str, Any]) -> bool:
        """Whether all messages have an id and a queue, no task takes a result, and nothing comes after the body."""
        if options.keys() != STEP_OPTIONS or options["chain"] or options["priority"] is not None:
            return False
        return (
            isinstance(self.tasks, list)
            and self.options.keys() == {"task_id"}
            and all(
                task.subtask_type is None and task.immutable and {"task_id", "queue"} <= task.options.keys()
                for task in (*self.tasks, self.body)
            )
            and all("group_index" in part.options for part in self.tasks)
        )


def use_direct_chords() -> None:
    """Have Celery make such chords of the steps of a chain."""
    _canvas.Signature.register_type("chord")(DirectChord)
