"""The README, and what it links to, say what the code does."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from itertools import chain
from pathlib import Path

import pytest

from deploy.generate import settings_table
from stages.errors import STAGE_ERRORS
from stages.formats import MEDIA_TYPES, OUTPUT_FORMATS
from tests.support.problem_codes import CODES

README = Path("README.md").read_text(encoding="utf-8")
PAGES = [Path("README.md"), Path("deploy/kubernetes/README.md"), *sorted(Path("deploy/docs").glob("*.md"))]
TEXTS = {page: page.read_text(encoding="utf-8") for page in PAGES}
API = TEXTS[Path("deploy/docs/API.md")]
ROW = re.compile(r"^\| `(DARKROOM_\w+)` \| (.*?) \|", re.MULTILINE)
DEFAULTS = dict(ROW.findall("\n".join(settings_table.render_sections())))
COMPOSE = [Path("docker-compose.yml"), *sorted(Path("deploy/compose").glob("*.yml"))]
INNER = re.compile(r"\$\{(DARKROOM_[A-Z_]+):-([^${}]*)\}")


def _interpolated(text: str) -> dict[str, str]:
    """Return the default of each variable of a compose file; a default may name another variable."""
    found = dict(INNER.findall(text))
    return found | _interpolated(INNER.sub(r"\2", text)) if found else found


INTERPOLATED = dict(
    chain.from_iterable(_interpolated(file.read_text(encoding="utf-8")).items() for file in reversed(COMPOSE))
)
ELSEWHERE = {  # what is no setting, and read by whom
    "DARKROOM_SECRETS_DIR": "pipeline/settings.py",
    "DARKROOM_HOME": "deploy/local/home.py",
    "DARKROOM_PORT": "deploy/local/up.py",
    "DARKROOM_REDIS_PORT": "deploy/local/up.py",
    "DARKROOM_MONGO_PORT": "deploy/local/up.py",
    "DARKROOM_POOLS": "deploy/local/pools.py",
    "DARKROOM_HEALTH": "deploy/compose/health.py",
    "DARKROOM_GATEWAY": "deploy/nginx/start.sh",
    "DARKROOM_BODY_BYTES": "deploy/nginx/start.sh",
    "DARKROOM_TRUSTED_PROXIES": "deploy/nginx/start.sh",
    "DARKROOM_SERVER": "deploy/compose/workers.yml",
    "DARKROOM_STORES_BIND": "deploy/compose/open-stores.yml",
    "DARKROOM_TAG": "deploy/compose/release.py",
    "DARKROOM_IMAGES": "deploy/compose/release.py",
    "DARKROOM_METRICS_LISTEN": "deploy/nginx/start.sh",
    "DARKROOM_URL": "gateway/cli/command.py",
    "DARKROOM_API_KEY": "gateway/cli/command.py",
    "DARKROOM_SIGNING_SECRET": "gateway/cli/commands/token.py",
    "DARKROOM_WEBHOOK_SECRET": "gateway/cli/commands/listen.py",
}
TASKS = set(re.findall(r"^  ([a-z-]+)\)", Path("run").read_text(encoding="utf-8"), re.MULTILINE))
SHOWN = [line.split("|")[1:-1] for line in API.splitlines() if line.startswith("| ")]


@pytest.mark.parametrize("code", sorted(CODES | set(STAGE_ERRORS)))
def test_every_code_is_listed(code: str) -> None:
    assert f"`{code}`" in API


@pytest.mark.parametrize("name", sorted(MEDIA_TYPES))
def test_every_accepted_format_has_its_row(name: str) -> None:
    rows = [
        cells for cells in SHOWN if name.upper() in cells[0].upper() and cells[1].strip().startswith(("yes", "with"))
    ]

    assert len(rows) == 1


@pytest.mark.parametrize("name", [name for name in OUTPUT_FORMATS if name != "auto"])
def test_every_format_that_can_be_asked_for_says_so(name: str) -> None:
    row = next(cells for cells in SHOWN if re.search(rf"\b{name}\b", cells[0], re.IGNORECASE) and len(cells) == 6)

    assert row[2].strip().startswith("yes")


@pytest.mark.parametrize(
    "variable", sorted(set(chain(*(re.findall(r"DARKROOM_[A-Z_]+", text) for text in TEXTS.values()))))
)
def test_every_variable_is_read_by_something(variable: str) -> None:
    if variable.endswith("_"):  # of all that begin so
        assert any(name.startswith(variable) for name in DEFAULTS)
    elif reader := ELSEWHERE.get(variable):
        assert variable in Path(reader).read_text(encoding="utf-8")
    else:
        assert variable in DEFAULTS.keys() | INTERPOLATED.keys()


def test_the_table_of_settings_is_up_to_date() -> None:
    text = settings_table.FILE.read_text(encoding="utf-8")

    assert settings_table.render_settings(text) == text, "./run docs writes it anew"


def test_a_table_without_its_place_is_not_written() -> None:
    with pytest.raises(ValueError, match="begin"):
        settings_table.render_settings("no markers")


def test_the_usual_settings_have_their_defaults() -> None:
    usual = dict(ROW.findall(README))

    assert len(usual) > 9
    assert usual == {name: DEFAULTS[name] for name in usual}


def test_the_example_of_an_env_file_has_what_compose_reads_with_its_defaults() -> None:
    shown = dict(re.findall(r"^#([A-Z_]+)=(.*)$", Path(".env.example").read_text(encoding="utf-8"), re.MULTILINE))
    chosen = {"DARKROOM_BLOB_URL"}  # by a folder of one's own

    assert INTERPOLATED.keys() <= shown.keys()
    assert {name: shown[name] for name in INTERPOLATED.keys() - chosen} == {
        name: default for name, default in INTERPOLATED.items() if name not in chosen
    }
    settings = shown.keys() & DEFAULTS.keys() - INTERPOLATED.keys() - chosen
    assert {name: f"`{shown[name]}`" for name in settings} == {name: DEFAULTS[name] for name in settings}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", TEXTS[page]):
        name, _, heading = target.partition("#")
        found = page.parent / name if name else page

        assert found.exists(), target
        assert not heading or heading in _headings(found), target


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_task_that_is_told_of_exists(page: Path) -> None:
    assert set(re.findall(r"\./run ([a-z][a-z-]*)", TEXTS[page])) <= TASKS


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_command_can_be_pasted_into_bash_and_zsh(page: Path) -> None:
    for command in _commands(page):
        words = shlex.split(command.replace("\\|", "|"))
        bare = re.sub(r"'[^']*'|\"[^\"]*\"", "", command)
        is_of_result = any("/result/" in word for word in words)

        assert not re.search(r"://\S*[?&*\[]|…\S*[?&*\[]", bare), f"zsh takes it for a pattern: {command}"
        assert not is_of_result or {"-o", "-O", "-OJ", "--output"} & set(words), f"curl refuses: {command}"


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_no_command_is_followed_by_a_comment(page: Path) -> None:
    assert [line for line in _lines(page) if re.search(r"(^|\s)#", line)] == [], "zsh takes none"


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_nothing_is_installed_under_a_name_that_is_not_ours(page: Path) -> None:
    assert not re.search(r"(pip|pipx|uv|uvx)\b[^\n`]*\bdarkroom\b", TEXTS[page])


def test_the_key_has_one_name_everywhere() -> None:
    pages = [*TEXTS.values(), *(path.read_text(encoding="utf-8") for path in Path("deploy/frontend").rglob("*.js"))]
    names = {name for text in pages for name in re.findall(r"\$\{?(DARKROOM_\w*KEY\b)", text)}

    assert names == {"DARKROOM_API_KEY"}


def test_no_change_is_listed_twice() -> None:
    beginnings = re.findall(r"^- (.{60})", Path("CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert [text for text, times in Counter(beginnings).items() if times > 1] == []


def test_the_tree_is_there() -> None:
    tree = README.partition("## Where things are\n\n```\n")[2].partition("```")[0]
    folders: list[Path] = []
    for line in tree.splitlines():
        names = [Path(name) for name in re.findall(r"(?<![\w./])(\.?\w+)/(?=\s)", line)]
        parent = folders[-1] if line.startswith(" ") else Path()
        folders += [] if line.startswith(" ") else names

        assert [str(name) for name in names if not (parent / name).is_dir()] == [], line
    assert {Path("deploy"), Path("tests"), Path(".github")} < set(folders)


def _lines(page: Path) -> list[str]:
    """Return the lines of shells' blocks."""
    blocks = re.findall(r"^```sh\n(.*?)^```", TEXTS[page], re.MULTILINE | re.DOTALL)
    return [line.strip() for block in blocks for line in block.splitlines()]


def _commands(page: Path) -> list[str]:
    """Return the lines of shells' blocks, and the code within sentences, that call curl or the darkroom command."""
    return [
        text
        for text in _lines(page) + re.findall(r"`(curl [^`\n]+)`", TEXTS[page])
        if re.match(r"(.*\b(curl|xargs .*curl)|darkroom|id=\$\(curl) ", text) and not text.startswith("docker")
    ]


def _headings(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
