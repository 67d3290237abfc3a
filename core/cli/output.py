"""What the command line prints: one JSON object with ``--json``, else text for people; exit statuses; errors."""

from __future__ import annotations

import json
import math
import re
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
    "visible",
]  # fmt: skip

DONE = 0
FAILED = 1
USAGE = 2
CANCELLED = 130

JsonOption = typer.Option(False, "--json", help="Print one JSON object on standard output and nothing else.")

#: People read standard error while a run goes on; standard output carries results only.
console = Console(stderr=True, highlight=False, emoji=False)
_out = Console(highlight=False, soft_wrap=True, emoji=False)
#: Control characters (a terminal obeys them), marks that turn the direction of text, and halves of characters.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
#: Whether this command has printed its one JSON object.
_answered: list[bool] = []


def plain_json(value: Any) -> Any:
    """Return `value` with NaN and infinities as None, so that any JSON reader takes it."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): plain_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(item) for item in value]
    return value


def visible(text: str) -> str:
    """Return words of users for a terminal: control characters are spelled, line ends and tabs stay."""
    return _CONTROL.sub(lambda match: ascii(match[0])[1:-1], text)


def answer(value: dict[str, Any] | None, *, as_json: bool, text: Any = None) -> None:
    """Print the result: `value` as one JSON object, or `text` (a string or a rich renderable)."""
    if as_json:
        line = json.dumps(plain_json(value), ensure_ascii=False, allow_nan=False)
        try:
            line.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
        except UnicodeEncodeError:  # a stream that is not UTF-8, or half a character: escapes mean the same
            line = json.dumps(plain_json(value), allow_nan=False)
        _answered.append(True)
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    elif text is not None:
        _out.print(visible(text), markup=False) if isinstance(text, str) else _out.print(text)


def note(text: str) -> None:
    """Say something beside the result, on standard error."""
    console.print(escape(visible(text)))


def fail(error: BertloomError, *, as_json: bool, status: int) -> NoReturn:
    """Print an error and leave with `status`."""
    if as_json:
        answer({**error.as_dict(), "message": error.message()}, as_json=True)
    console.print(f"[bold red]Error[/] {escape(visible(error.message()))}")
    raise typer.Exit(status)


@contextmanager
def errors(as_json: bool = False, *, status: int | None = None) -> Iterator[None]:
    """Turn errors of the family into a message and an exit status: 2 for bad usage or config, else 1."""
    _answered.clear()
    try:
        yield
    except (ConfigError, PathRefused, RunNotFound) as error:
        fail(error, as_json=as_json, status=USAGE if status is None else status)
    except BertloomError as error:
        fail(error, as_json=as_json, status=FAILED if status is None else status)
    except KeyboardInterrupt:
        if as_json and not _answered:
            answer(
                {"error": "Cancelled", "what": "Cancelled by Ctrl-C.", "message": "Cancelled by Ctrl-C."}, as_json=True
            )
        raise typer.Exit(CANCELLED) from None
    except (typer.Exit, typer.Abort, BrokenPipeError):
        raise
    except Exception as error:  # nobody foresaw it: the trace goes to standard error, the object stays one
        if as_json and not _answered:
            what = f"Unexpected error: {type(error).__name__}: {str(error)[:500]}"
            answer({"error": type(error).__name__, "what": what, "message": what}, as_json=True)
        raise
