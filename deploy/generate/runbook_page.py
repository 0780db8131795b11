"""Write the runbook as a page that alerts link to: `.venv/bin/python -m deploy.generate.runbook_page`.

Prometheus serves it as a console, so it is there whenever an alert fires; the frontend serves it in a cluster.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

DEPLOY = Path(__file__).resolve().parents[1]
SOURCE = DEPLOY / "docs" / "RUNBOOK.md"
TARGET = DEPLOY / "prometheus" / "consoles" / "runbook.html"
ALERT = re.compile(r"(?:[A-Z][a-z]*){2,}")
"""The name of an alert. Dashboards link by it, because they cannot make it the anchor that it is on GitHub."""
HEAD = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Darkroom: runbook</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
:root { color-scheme: light dark }
pre, code { font: 14px/1.4 ui-monospace, monospace }
pre { padding: .8rem; overflow-x: auto; border: 1px solid; border-radius: 4px }
table { border-collapse: collapse }
th, td { border: 1px solid; padding: .3rem .5rem; text-align: left; vertical-align: top }
:target { outline: 2px solid; outline-offset: 4px }
</style>
</head>
<body>
"""


def render_page() -> str:
    """Return the page. Braces are written as entities: Prometheus takes a console for a template."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(SOURCE.read_text(encoding="utf-8"))
    for opening, title in pairwise(tokens):
        if opening.type == "heading_open":
            opening.attrSet("id", _slug(title.content))
            if ALERT.fullmatch(title.content):
                anchor = Token("html_inline", "", 0, content=f'<a id="{title.content}"></a>')
                title.children = [anchor, *(title.children or [])]
        title.children = list(_without_links_to_files(title.children or []))
    body = str(markdown.renderer.render(tokens, markdown.options, {}))
    return HEAD + body.replace("{", "&#123;").replace("}", "&#125;") + "</body>\n</html>\n"


def _slug(heading: str) -> str:
    """Return the anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _without_links_to_files(tokens: list[Token]) -> Iterator[Token]:
    """Yield the tokens of a text; a link to another document becomes its path, because only the runbook is served."""
    path = ""
    for token in tokens:
        if token.type == "link_open" and not str(token.attrGet("href")).startswith(("#", "http")):
            path = str(token.attrGet("href")).partition("#")[0]
        elif token.type == "link_close" and path:
            named = f"{Path('deploy/docs', path)}"
            yield Token("text", "", 0, content=" (")
            yield Token("code_inline", "code", 0, content=named)
            yield Token("text", "", 0, content=")")
            path = ""
        else:
            yield token


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(render_page(), encoding="utf-8")
