"""A dashboard without a face: watches a home until its standard input closes."""

from __future__ import annotations

import sys
from pathlib import Path

from core.api import Studio
from core.settings import Home


def main() -> None:
    with Studio(Home(Path(sys.argv[1]))):
        print("ready", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
