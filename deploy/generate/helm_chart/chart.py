"""The chart as texts: made of both overlays, of which it can be either.

What the overlays have in common is in the templates as it is, unless it is a value. Where they differ and no value says
so, `build` fails: name a value in table.py.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any

from deploy.generate.helm_chart import pointers
from deploy.generate.helm_chart.pointers import POD
from deploy.generate.helm_chart.resources import HOST, KUBERNETES, NAMESPACE, Resource, read_overlays
from deploy.generate.helm_chart.table import ALLOWED_HOSTS, SECRETS, table
from deploy.generate.helm_chart.table_stores import CONTAINER
from deploy.generate.helm_chart.template import Expressions, dump
from deploy.generate.helm_chart.values import Place, Value, render_differences, render_schema, render_values
from deploy.generate.kustomize import Manifest

CHART = KUBERNETES / "chart"
BY_HAND = {"Chart.yaml", ".helmignore", "templates/NOTES.txt", "templates/secrets.yaml"}
HEAD = "Made from deploy/kubernetes by `python -m deploy.generate.helm_chart`: change it there."
VALUES_HEAD = f"# {HEAD}\n# Values of the overlay `small`; values-production.yaml has those of `production`.\n"
PRODUCTION_HEAD = f"# {HEAD}\n# Redis, MongoDB and a bucket from outside; pools that grow with their queues.\n"
ONLY_WITH_BLOBS = ("volumes", "containers/0/volumeMounts")


class Different(Exception):
    """The overlays differ where no value says so."""


def build() -> dict[str, str]:
    """Return the generated files of the chart by their paths in it."""
    resources, values = read_overlays(), table()
    defaults = _read_defaults(resources, values)
    others = _read_defaults(resources, values, production=True)
    expressions = Expressions()
    documents: dict[str, list[str]] = {}
    for resource in resources:
        documents.setdefault(resource.file, []).append(_render(resource, values, defaults, expressions))
    files = {f"templates/{name}.yaml": f"{{{{- /* {HEAD} */}}}}\n" + "".join(each) for name, each in documents.items()}
    return files | {
        "values.yaml": VALUES_HEAD + render_values(values, defaults),
        "values-production.yaml": PRODUCTION_HEAD + render_differences(values, defaults, others),
        "values.schema.json": render_schema(values, defaults),
    }


def write() -> None:
    """Write the generated files, and remove those of before."""
    files = build()
    for old in CHART.rglob("*"):
        name = old.relative_to(CHART).as_posix()
        if old.is_file() and name not in files and name not in BY_HAND:
            old.unlink()
    for name, text in files.items():
        file = CHART / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def _read_defaults(resources: list[Resource], values: list[Value], *, production: bool = False) -> dict[str, Any]:
    """Return each value as the overlay has it, or as the other has it."""
    found = {}
    for value in values:
        read = [] if value.lines else list(_read(resources, value, production=production))
        if any(each != read[0] for each in read):
            raise Different(f"{value.path} has several values: {read}")
        given = value.default if value.production is None or not production else value.production
        found[value.path] = copy.deepcopy(read[0]) if read else given
    found["host"] = HOST
    found["image.repository"], found["image.tag"] = _read_image(resources, "gateway")
    found["image.frontendRepository"], _ = _read_image(resources, "frontend")
    found["settings"] = {name: each for name, each in found["settings"].items() if name != ALLOWED_HOSTS}
    return found


def _read(resources: list[Resource], value: Value, *, production: bool) -> Iterator[Any]:
    for resource in resources:
        for at in _places(value, resource):
            manifest = (resource.production if production else resource.small) or resource.any
            yield pointers.read(manifest, at.pointer)


def _read_image(resources: list[Resource], name: str) -> tuple[str, str]:
    (deployment,) = (each.any for each in resources if (each.kind, each.name) == ("Deployment", name))
    repository, _, tag = pointers.read(deployment, f"{CONTAINER}/image").rpartition(":")
    return repository, tag


def _places(value: Value, resource: Resource) -> Iterator[Place]:
    for at in value.places:
        matches = ((at.kind, resource.kind), (at.name, resource.name), (at.part, resource.part))
        if all(re.fullmatch(pattern, each) for pattern, each in matches):
            yield at


def _render(resource: Resource, values: list[Value], defaults: Mapping[str, Any], expressions: Expressions) -> str:
    """Return the document of a resource, with its condition."""
    forms = [copy.deepcopy(each) for each in (resource.small, resource.production) if each]
    _make_blobs_conditional(resource, forms, expressions)
    for manifest in forms:
        for value in values:
            for at in _places(value, resource):
                _put(manifest, value, at, expressions)
    forms = [_replace_texts(each, defaults, expressions) for each in forms]
    if any(each != forms[0] for each in forms):
        raise Different(f"{resource.kind} {resource.name} differs in the overlays: name a value in table.py for it")
    text = "---\n" + expressions.render(forms[0])
    return f"{{{{- if {resource.condition} }}}}\n{text}{{{{- end }}}}\n" if resource.condition else text


def _put(manifest: Manifest, value: Value, at: Place, expressions: Expressions) -> None:
    if value.lines:
        if value.path == "ingress.tlsSecret":
            pointers.remove(manifest, f"{at.pointer}/tls")
        pointers.replace(manifest, f"{at.pointer}/{expressions.lines(value.lines)}", None)
        return
    expression = value.expression or f".Values.{value.path}"
    now = pointers.read(manifest, at.pointer)
    if isinstance(now, dict | list):
        token = expressions.block(expression)
    else:
        token = expressions.inline(f"{expression} | {'int' if isinstance(now, int) else 'quote'}")
    pointers.replace(manifest, at.pointer, token)


def _make_blobs_conditional(resource: Resource, forms: list[Manifest], expressions: Expressions) -> None:
    """Take the volume of the blobs out of a pod, and put lines in its place that depend on a value."""
    if resource.small is None or resource.kind not in {"Deployment", "CronJob"}:
        return
    for name in ONLY_WITH_BLOBS:
        pointer = f"{POD[resource.kind]}/{name}"
        items = [each for each in pointers.read(resource.small, pointer) if each["name"] == "blobs"]
        if not items:
            continue
        token = expressions.lines(f"{{{{- if .Values.blobs.enabled }}}}\n{dump(items)}{{{{- end }}}}")
        for manifest in forms:
            others = [each for each in pointers.read(manifest, pointer) if each["name"] != "blobs"]
            pointers.replace(manifest, pointer, [*others, token])


def _replace_texts(manifest: Manifest, defaults: Mapping[str, Any], expressions: Expressions) -> Manifest:
    """Return the manifest with names that stand in many places replaced by values."""
    texts = {HOST: ".Values.host | quote"}
    for name in ("repository", "frontendRepository"):
        image = f"{defaults[f'image.{name}']}:{defaults['image.tag']}"
        texts[image] = f'printf "%s:%s" .Values.image.{name} .Values.image.tag | quote'
    for name in SECRETS:
        texts[defaults[f"secrets.{name}"]] = f".Values.secrets.{name} | quote"
    manifest = _replace_whole(manifest, {text: expressions.inline(each) for text, each in texts.items()})
    manifest["metadata"]["namespace"] = expressions.inline(".Release.Namespace | quote")
    namespace, domain = expressions.inline(".Release.Namespace"), expressions.inline(".Values.clusterDomain")
    found: Manifest = pointers.replace_text(manifest, f".{NAMESPACE}.svc.cluster.local", f".{namespace}.svc.{domain}")
    return found


def _replace_whole(value: Any, tokens: Mapping[str, str]) -> Any:
    """Return the value with whole strings replaced."""
    if isinstance(value, dict):
        return {key: _replace_whole(each, tokens) for key, each in value.items()}
    if isinstance(value, list):
        return [_replace_whole(each, tokens) for each in value]
    return tokens.get(value, value) if isinstance(value, str) else value
