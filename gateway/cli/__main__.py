"""`python -m gateway.cli`: the `darkroom` command."""

from __future__ import annotations

from gateway.cli.app import main

main()
