"""The command line, ``bertloom …``: the same engine and the same config as the dashboard."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command line; the entry point of the console script."""
    from core.cli.app import run_app

    run_app()
