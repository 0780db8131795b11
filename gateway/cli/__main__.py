"""`python -m gateway.cli`: the `darkroom` command."""

from __future__ import annotations

from .app import main

main()
