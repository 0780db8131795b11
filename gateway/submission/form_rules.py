"""What the presets in force, and the caller's permission, say of a form."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from pydantic import BaseModel

from gateway.permission import Permission
from gateway.submission.forms import OutputForm, PreviewForm, ProcessForm
from gateway.submission.operation import build_operation
from gateway.submission.preset_rules import PresetRules
from gateway.submission.step_rules import StepRules
from gateway.submission.steps_field import parse_steps
from pipeline.presets.registry import Presets
from storage.documents import Operation, list_assets


class FormRules:
    """The rules of one request: what it reads of the presets, it reads once."""

    def __init__(self, presets: Presets, permission: Permission, *, max_steps: int) -> None:
        self._presets = presets
        self._permission = permission
        self._max_steps = max_steps

    def find_broken(self, form_type: type[BaseModel], fields: dict[str, str]) -> list[dict[str, Any]]:
        """Return the rules that a form's fields break, besides those of the form. Raises `PresetNotAllowed`."""
        if issubclass(form_type, PreviewForm):
            return self._preset_rules.find_broken(fields)
        if not issubclass(form_type, ProcessForm) or "steps" not in fields:
            return []
        try:
            steps = parse_steps(fields["steps"])
        except ValueError:  # the form has said so
            return []
        given = {name for name, value in fields.items() if value.lower() != form_type.model_fields[name].default}
        return self._step_rules.find_broken(steps, given)

    def build_operation(self, form: OutputForm) -> Operation:
        """Return what a form that breaks no rule requests. Raises `InvalidForm` if its preset is gone by now."""
        if isinstance(form, PreviewForm):
            return build_operation(form, self._preset_rules.get(form.preset))
        operation = build_operation(form, None)
        if not isinstance(form, ProcessForm):
            return operation
        steps = self._step_rules.read(form.steps)
        changes = {"parameters": {"steps": steps.written}, "assets": list_assets(steps.assets), **steps.output}
        return operation.model_copy(update=changes)

    @cached_property
    def _preset_rules(self) -> PresetRules:
        return PresetRules(self._presets, self._permission)

    @cached_property
    def _step_rules(self) -> StepRules:
        self._presets.get()  # raises PresetsNotReady: then nobody knows which image files there are
        assets = {name: digest for preset in self._presets for name, digest in preset.assets.items()}
        return StepRules(assets, self._max_steps)
