"""The command line, ``bertloom …``: the same engine and the same config as the dashboard."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; the entry point of the console script."""
    try:
        from core.cli.app import run_app

        run_app()
    except KeyboardInterrupt:  # while modules were still being imported
        sys.exit(130)
