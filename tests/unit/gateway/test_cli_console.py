"""The console of the command."""

from __future__ import annotations

from io import StringIO

from rich.live import Live
from rich.text import Text

from gateway.cli.console import PlainTextConsole
from gateway.cli.timeline import plain_table


def test_text_of_a_server_is_shown_as_it_is_and_not_obeyed() -> None:
    evil = "\x1b]0;x\x07\x9b31m\u202e[/] [bold] :smile:"
    printed = StringIO()
    console = PlainTextConsole(width=80, file=printed, force_terminal=True, color_system=None)
    table = plain_table("name")
    table.add_row(evil)

    with Live(table, console=console, auto_refresh=False):
        console.print(evil)
        console.print(Text(evil))

    shown = printed.getvalue()
    assert shown.count("\ufffd]0;x\ufffd31m\ufffd[/] [bold] :smile:") == 2
    assert not any(sequence in shown for sequence in ("\x1b]", "\x07", "\x9b", "\u202e"))
