"""The help as plain text, with its panels as sections: the one that typer writes imports rich."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup, TyperOption


def write_parameters(command: TyperCommand | TyperGroup, ctx: Any, formatter: Any) -> None:
    """Write a section for each panel of parameters: the arguments first, the options without a panel last."""
    sections: dict[str, list[tuple[str, str]]] = {"Arguments": []}
    others = []
    for parameter in command.get_params(ctx):
        if record := parameter.get_help_record(ctx):
            panel = getattr(parameter, "rich_help_panel", None)
            if (isinstance(parameter, TyperOption) and not panel) or parameter.name == "help":
                others.append(record)
            else:
                sections.setdefault(panel or "Arguments", []).append(record)
    write_sections(sections | {"Options": others}, formatter)


def write_sections(sections: dict[str, list[tuple[str, str]]], formatter: Any) -> None:
    """Write the sections that have rows, with one width of their first columns."""
    for title, rows in sections.items():
        if rows:
            with formatter.section(title):
                formatter.write_dl(rows)


class Command(TyperCommand):
    """A command whose options are listed by panel."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the parameters."""
        write_parameters(self, ctx, formatter)


class Group(TyperGroup):
    """The program: its commands and options are listed by panel."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the options before the name of a command. They are flags; typer imports pydantic to convert a None."""
        for parameter in self.get_params(ctx):
            parameter.default = parameter.default or False
        return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options, then the commands."""
        write_parameters(self, ctx, formatter)
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, command in self.commands.items():
            panel = getattr(command, "rich_help_panel", None) or "Commands"
            sections.setdefault(panel, []).append((name, command.get_short_help_str(limit=200)))
        write_sections(sections, formatter)
