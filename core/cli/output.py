"""What the command line prints: one JSON object with ``--json``, else text for people; exit statuses; errors."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from core.errors import BertloomError, ConfigError, PathRefused, RunNotFound

__all__ = [
    "CANCELLED", "DONE", "FAILED", "USAGE", "JsonOption", "answer", "console", "errors", "fail", "note", "plain_json",
]  # fmt: skip

DONE = 0
FAILED = 1
USAGE = 2
CANCELLED = 130

JsonOption = typer.Option(False, "--json", help="Print one JSON object on standard output and nothing else.")

#: People read standard error while a run goes on; standard output carries results only.
console = Console(stderr=True, highlight=False, emoji=False)
_out = Console(highlight=False, soft_wrap=True, emoji=False)


def plain_json(value: Any) -> Any:
    """Return `value` with NaN and infinities as None, so that any JSON reader takes it."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): plain_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(item) for item in value]
    return value


def answer(value: dict[str, Any] | None, *, as_json: bool, text: Any = None) -> None:
    """Print the result: `value` as one JSON object, or `text` (a string or a rich renderable)."""
    if as_json:
        sys.stdout.write(json.dumps(plain_json(value), ensure_ascii=False, allow_nan=False) + "\n")
        sys.stdout.flush()
    elif text is not None:
        _out.print(text, markup=False) if isinstance(text, str) else _out.print(text)


def note(text: str) -> None:
    """Say something beside the result, on standard error."""
    console.print(escape(text))


def fail(error: BertloomError, *, as_json: bool, status: int) -> NoReturn:
    """Print an error and leave with `status`."""
    if as_json:
        answer({**error.as_dict(), "message": error.message()}, as_json=True)
    console.print(f"[bold red]Error[/] {escape(error.message())}")
    raise typer.Exit(status)


@contextmanager
def errors(as_json: bool = False, *, status: int | None = None) -> Iterator[None]:
    """Turn errors of the family into a message and an exit status: 2 for bad usage or config, else 1."""
    try:
        yield
    except (ConfigError, PathRefused, RunNotFound) as error:
        fail(error, as_json=as_json, status=USAGE if status is None else status)
    except BertloomError as error:
        fail(error, as_json=as_json, status=FAILED if status is None else status)
    except KeyboardInterrupt:
        raise typer.Exit(CANCELLED) from None
