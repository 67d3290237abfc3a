"""Around long work of ``bertloom graph …``: where it may write, what libraries read first, and how far it is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from core.cli.output import console
from core.config import GraphConfig, LinkConfig, ProbeConfig
from core.errors import StorageError

__all__ = ["bar", "cache_folder", "can_write", "memory_told", "phases_of", "prepare"]


def can_write(out: Path) -> None:
    """Refuse a target that could not be written, before anything is computed for it."""
    folder = out.absolute().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK) or out.is_dir():
        raise StorageError(
            "The file cannot be written there.", where=str(out), expected="a file in a folder that you may write to"
        )


def prepare(config: GraphConfig | ProbeConfig | LinkConfig, made: dict[str, Any] | None = None) -> None:
    """Set what libraries read when they are imported: offline, unless a hub source is named."""
    from core.runs.backends.process import worker_environment
    from core.runs.sources import names_hub

    hub = names_hub(config.model_dump(mode="json")) or names_hub(made or {})
    wanted = worker_environment(hub=hub)
    if hub:
        for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"):
            if name not in wanted:
                os.environ.pop(name, None)
    os.environ.update(wanted)


def cache_folder() -> Path:
    """Return the home's cache folder."""
    from core.settings import home

    return home().ensure().cache


@contextmanager
def memory_told(torch: bool) -> Iterator[None]:
    """Tell a lack of memory as such; torch is imported only where it is used anyway."""
    if not torch:
        yield
        return
    from core.training.device import reading_errors

    with reading_errors():
        yield


@contextmanager
def bar(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar a phase on standard error."""
    columns = (
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, disable=quiet, transient=True) as shown:
        tasks: dict[str, Any] = {}

        def progress(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = shown.add_task(escape(phase), total=total or None)
            shown.update(tasks[phase], completed=done, total=total or None)

        yield progress


def phases_of(progress: Callable[[str, int, int], None]) -> Callable[[str], Callable[[int, int], None]]:
    """Return what gives a phase's progress by its name."""

    def phase(name: str) -> Callable[[int, int], None]:
        return lambda done, total: progress(name, done, total)

    return phase
