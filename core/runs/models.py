"""Models of a home: those that runs made, those that were exported, and the bundled one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from core.errors import BertloomError, ExportError, ModelError, RunNotFound
from core.runs import folder
from core.runs.plain import plain
from core.runs.records import RunRecord
from core.runs.store import Store
from core.settings import confine, safe_name

__all__ = ["export_target", "find_model_folder", "list_models", "model_of", "run_and_task"]

#: Models of runs that are listed, newest first; describing one reads its files' headers.
_NEWEST = 50
#: What stands behind the name of a folder among the exports that no run made.
_MADE = {"pruned": "(pruned)", "random": "(random weights)"}


def find_model_folder(store: Store, source: str) -> Path:
    """Return the model folder that a run (id, beginning, name), RUN/TASK of a joint run, or a path names.

    Raises
    ------
    ModelError
        If the run has no weights yet, or the path is no folder with a model.
    RunNotFound
        If it is neither a run nor a folder.
    """
    path = Path(source).expanduser()
    try:
        if (path / "config.json").is_file():
            return path.absolute()
        is_folder = path.is_dir()
    except (OSError, ValueError):
        is_folder = False
    try:
        record = store.runs.find(source)
    except RunNotFound:
        part = _of_task(store, source)
        if part is not None:
            return part
        if is_folder:
            raise ModelError(
                "The folder holds no model.",
                where=str(path),
                expected="a folder that Bertloom exported, with config.json",
            ) from None
        raise
    return model_of(store, record)


def model_of(store: Store, record: RunRecord, task: str = "") -> Path:
    """Return the folder with the best weights of a run, of a joint run those of a task.

    Raises
    ------
    ModelError
        If the run has no weights, has one model a task and none is named, or has none for this task.
    """
    best = store.home.run(record.id) / "best"
    tasks = _tasks(best)
    if task and task not in tasks:
        raise ModelError(
            f"The run {record.name!r} has no model for a task {task!r}.", where=f"run {record.id}",
            expected=" or ".join(f"{record.id}/{one}" for one in tasks) or "a joint run that has been evaluated",
        )  # fmt: skip
    if task:
        return best / task
    if tasks:
        raise ModelError(
            f"The run {record.name!r} has a model for each of its tasks.", where=f"run {record.id}",
            expected=" or ".join(f"{record.id}/{name}" for name in tasks),
        )  # fmt: skip
    if not folder.has_model(best.parent):
        why = (
            "its weights were deleted"
            if record.status == "finished"
            else f"it is {record.status.value} and has no weights yet"
        )
        raise ModelError(
            f"The run {record.name!r} has no model: {why}.", where=f"run {record.id}",
            expected="a run that was evaluated at least once and keeps its best weights (runtime.keep)",
        )  # fmt: skip
    return best


def run_and_task(store: Store, source: str) -> tuple[RunRecord, str]:
    """Return the run that a text names (id, beginning, name), and of RUN/TASK the task; ``""`` without one.

    Raises
    ------
    RunNotFound
        If there is no such run.
    """
    try:
        return store.runs.find(source), ""
    except RunNotFound:
        name, _, task = source.rpartition("/")
        if not name or not task:
            raise
        try:
            return store.runs.find(name), task
        except RunNotFound:
            pass
        raise


def _of_task(store: Store, source: str) -> Path | None:
    """Return the folder that RUN/TASK names; None where it names no run."""
    try:
        record, task = run_and_task(store, source)
    except RunNotFound:
        return None
    return model_of(store, record, task)


def _tasks(best: Path) -> list[str]:
    """Return the tasks of a joint run that have a model of their own; none of other runs."""
    one = not best.is_dir() or (best / "config.json").is_file()
    return [] if one else sorted(path.parent.name for path in best.glob("*/config.json"))


def list_models(store: Store, describe: Callable[..., Any]) -> list[dict[str, Any]]:
    """Return the bundled encoder, exported models and runs' models; what cannot be described is left out."""
    found = []
    for source, title in _candidates(store):
        try:
            info = plain(describe(source))
        except BertloomError:
            continue
        if title is not None:
            made = _MADE.get(str(info.get("origin")))
            info["title"] = f"{title.removesuffix('(exported)')}{made}" if made else title
        found.append(info)
    return found


def _candidates(store: Store) -> Iterator[tuple[str, str | None]]:
    yield "bundled", None
    if store.home.exports.is_dir():
        for path in sorted(store.home.exports.iterdir()):
            if (path / "config.json").is_file():
                yield str(path), f"{path.name} (exported)"
    made = [record for record in store.runs.list() if record.has_model]
    for record in made[:_NEWEST]:
        yield str(store.home.run(record.id) / "best"), f"{record.name} ({record.id})"


def export_target(
    store: Store, record: RunRecord, target: Path | None, format: str = "safetensors", task: str = ""
) -> Path:
    """Return the folder to export to: the given one, or one in ``exports/`` named after run, task and format."""
    if target is not None:
        wanted = target.expanduser().absolute()
        if wanted.exists() and not wanted.is_dir():
            raise ExportError("The target is a file.", where=str(wanted), expected="a folder that is new or empty")
        return wanted
    ending = "" if format == "safetensors" else f"-{format}"
    words = [_plain(record.name) or "model", *([_plain(task)] if task else []), record.id]
    return confine(store.home.exports / safe_name("-".join(words) + ending), store.home.exports)


def _plain(name: str) -> str:
    return "".join(char if char.isalnum() or char in "._-" else "-" for char in name).strip(".-")[:60]
