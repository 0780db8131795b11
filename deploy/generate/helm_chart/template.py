"""Manifests with expressions of Helm's templates in them, and their text.

An expression is a token while the manifest is data, and itself in the text.
"""

from __future__ import annotations

import re
from typing import Any

import yaml  # type: ignore[import-untyped]  # its types are another package

from deploy.generate.kustomize import Manifest

TOKEN = re.compile(r"HELM\d{4}")


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]  # it has no types
    """Writes texts of several lines as such, and no anchors."""

    def ignore_aliases(self, _data: object) -> bool:
        return True


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)


def dump(value: Any) -> str:
    """Return the YAML of a value."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=10**6, allow_unicode=True)
    return text


class Expressions:
    """The tokens in use. The same expression has the same token, so manifests with tokens can be compared."""

    def __init__(self) -> None:
        self._tokens: dict[tuple[str, str], str] = {}

    def inline(self, expression: str) -> str:
        """Return a token for an expression within a line."""
        return self._token("inline", f"{{{{ {expression} }}}}")

    def block(self, expression: str) -> str:
        """Return a token for an expression that is a mapping or a list."""
        return self._token("block", expression)

    def lines(self, text: str) -> str:
        """Return a token for whole lines. Those with `{{-` are not indented; INDENT is that of their content."""
        return self._token("lines", text)

    def _token(self, form: str, text: str) -> str:
        return self._tokens.setdefault((form, text), f"HELM{len(self._tokens):04}")

    def render(self, manifest: Manifest) -> str:
        """Return the template of a manifest. Braces that are no expressions of ours are kept from Helm."""
        self._by_token = {token: key for key, token in self._tokens.items()}
        lines = dump(manifest).replace("{{", '{{ "{{" }}').splitlines()
        return "\n".join(self._render_line(line) for line in lines) + "\n"

    def _render_line(self, line: str) -> str:
        found = TOKEN.search(line)
        if found is None:
            return line
        form, text = self._by_token[found[0]]
        indent = re.match(r" *", line)[0]  # type: ignore[index]  # it always matches
        if form == "lines":
            text = text.replace("INDENT", str(len(indent) + 2))
            return "\n".join(each if each.startswith("{{-") else indent + each for each in text.splitlines())
        if form == "block":
            depth = len(re.match(r"[ -]*", line)[0]) + 2  # type: ignore[index]
            return line.replace(found[0], f"{{{{- toYaml {text} | nindent {depth} }}}}")
        return TOKEN.sub(lambda each: self._by_token[each[0]][1], line)
