"""Sources that a plan names: absolute paths, hub or not, uploads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

from core.config import ClaimConfig, Comparison, DataConfig, LinkConfig, Plan, RunConfig, Stage, TaskConfig
from core.config.comparison import Strategy
from core.config.distil import DistilConfig
from core.config.joint import JointPlan, JointTask
from core.config.structure import StructureConfig
from core.data.samples import sample_names
from core.errors import StorageError
from core.settings import Home, confine, safe_name

__all__ = [
    "absolute_data", "absolute_model", "absolute_sources", "absolute_task", "data_uses_hub", "list_uploads",
    "names_hub", "save_upload", "stamp", "uses_hub",
]  # fmt: skip

#: Signs that files bear by custom, like ``rows (1).csv``, and that a name of ours does without.
_HARMLESS = str.maketrans(dict.fromkeys("()[]{},;+&@=~!#%'$", "_"))
_FIELDS = ("source", "gate_source", "test_source", "finetuning_source")
_Config = TypeVar("_Config", bound=RunConfig)
_Learning = TypeVar("_Learning", Stage, JointTask)


def names_hub(plan: Mapping[str, Any]) -> bool:
    """Whether a plan, as plain data, names a hub model or data set."""
    data, model, corpus = (plan.get(part) or {} for part in ("data", "model", "corpus"))
    named = [data.get(field) for field in _FIELDS] + [model.get("source"), corpus.get("source")]
    for task in plan.get("tasks") or []:
        named += [(task.get("data") or {}).get(field) for field in _FIELDS]
    for part in (*(plan.get("stages") or []), *(plan.get("tasks") or [])):
        named += [one.get("source") for one in (part.get("distil") or {}).get("teachers") or []]
    return any(isinstance(source, str) and source.startswith("hub:") for source in named)


def uses_hub(plan: Plan) -> bool:
    """Whether a plan names a hub model or data set."""
    teachers = [one.source for stage in plan.active if stage.distil for one in stage.distil.teachers]
    return data_uses_hub(plan.data) or any(one.startswith("hub:") for one in (plan.model.source, *teachers))


def data_uses_hub(data: DataConfig) -> bool:
    """Whether a hub data set is named."""
    return any((getattr(data, field) or "").startswith("hub:") for field in _FIELDS)


def absolute_data(data: DataConfig) -> DataConfig:
    """Return the config with relative paths of files that exist made absolute: the worker's folder may be another."""
    changes = {field: _absolute(getattr(data, field)) for field in _FIELDS}
    if data.source.startswith("hub:"):  # gate_source and test_source are splits then
        changes = {"source": data.source, "finetuning_source": _absolute(data.finetuning_source)}
    return data.model_copy(update=changes)


def absolute_task(task: TaskConfig) -> TaskConfig:
    """Return the config of a task with the path of its gazetteer made absolute."""
    if task.pointer.gazetteer is None:
        return task
    pointer = task.pointer.model_copy(update={"gazetteer": _absolute(task.pointer.gazetteer)})
    return task.model_copy(update={"pointer": pointer})


def _absolute_strategy(strategy: Strategy) -> Strategy:
    """Return a strategy with the path of the gazetteer that it gives its tasks made absolute."""
    pointer = strategy.task.get("pointer")
    if not isinstance(pointer, dict) or not isinstance(pointer.get("gazetteer"), str):
        return strategy
    own = {**pointer, "gazetteer": _absolute(pointer["gazetteer"])}
    return strategy.model_copy(update={"task": {**strategy.task, "pointer": own}})


def absolute_sources(plan: _Config, home: Home | None = None) -> _Config:
    """Return a run's config with relative paths of files and folders that exist made absolute.

    Parameters
    ----------
    plan
        The config.
    home
        Where runs are kept: a model may then be named by the id of the run that made it.
    """
    changes: dict[str, Any] = {}
    if not isinstance(plan, LinkConfig):
        changes["model"] = plan.model.model_copy(update={"source": absolute_model(plan.model.source, home)})
    if isinstance(plan, DistilConfig):
        changes["student"] = absolute_model(plan.student, home)
    if isinstance(plan, StructureConfig) and plan.finetune is not None:
        data = absolute_data(plan.finetune.data)
        changes["finetune"] = plan.finetune.model_copy(update={"data": data})
    if isinstance(plan, Plan):
        changes["stages"] = [_absolute_teachers(stage, home) for stage in plan.stages]
    if isinstance(plan, Comparison | JointPlan):
        for part in ("tasks", "beside") if isinstance(plan, JointPlan) else ("tasks",):
            changes[part] = [
                one.model_copy(update={"data": absolute_data(one.data), "task": absolute_task(one.task)})
                for one in getattr(plan, part)
            ]
        if isinstance(plan, Comparison):
            changes["strategies"] = [_absolute_strategy(one) for one in plan.strategies]
        else:
            changes["tasks"] = [_absolute_teachers(task, home, task.name) for task in changes["tasks"]]
    elif isinstance(plan, Plan | ClaimConfig):
        changes |= {"data": absolute_data(plan.data), "task": absolute_task(plan.task)}
    elif isinstance(plan, LinkConfig):
        changes["graph"] = _absolute(plan.graph)
    else:
        changes["corpus"] = plan.corpus.model_copy(update={"source": _absolute(plan.corpus.source)})
    return cast(_Config, plan.model_copy(update=changes))


def absolute_model(source: str | None, home: Home | None) -> str | None:
    """Return the absolute folder of a model that is named by a path, or by the id of a run (RUN/TASK of a joint one).

    Any other name stays as it is.
    """
    found = _absolute(source, folder=True)
    if home is None or not found or found == "bundled" or not found.isprintable() or set(found) & set("\\:~"):
        return found
    run, _, task = found.partition("/")
    if run in ("", ".", "..") or task in (".", "..") or "/" in task:
        return found
    best = home.runs / run / "best" / task
    return str(best.absolute()) if (best / "config.json").is_file() else found


def _absolute_teachers(part: _Learning, home: Home | None, task: str = "") -> _Learning:
    """Return a stage, or a task of a joint plan, with absolute folders of its teachers.

    A joint run that is named as a whole teaches a task what it learnt under the same name.
    """
    if part.distil is None:
        return part
    teachers = [
        one.model_copy(update={"source": _part_of(str(absolute_model(one.source, home)), home, task)})
        for one in part.distil.teachers
    ]
    return part.model_copy(update={"distil": part.distil.model_copy(update={"teachers": teachers})})


def _part_of(source: str, home: Home | None, task: str) -> str:
    """Return the folder of a task's model where a joint run, by its folder or id, has one; otherwise the source."""
    if not task or source.startswith("hub:"):
        return source
    try:
        whole = [Path(source).expanduser(), *([home.runs / source] if home is not None else [])]
        parts = [run / "best" / task for run in whole if (run / "best" / task / "config.json").is_file()]
    except (OSError, RuntimeError):  # a name that no path can have
        return source
    return str(parts[0].absolute()) if parts else source


def stamp(data: DataConfig | None, task: TaskConfig | None = None) -> tuple[Any, ...]:
    """Return what changes when one of the named files (or the task's gazetteer) changes: size and time of change."""
    found: list[Any] = []
    sources = [] if data is None else [getattr(data, field) for field in _FIELDS]
    for source in (*sources, None if task is None else task.pointer.gazetteer):
        if source:
            try:
                state = Path(source).stat()
                found.append((source, state.st_size, state.st_mtime_ns))
            except (OSError, ValueError):
                found.append((source, None, None))
    return tuple(found)


def save_upload(home: Home, name: str, content: bytes) -> Path:
    """Keep an uploaded file; see :meth:`core.api.DataDesk.save_upload`."""
    base = Path(name.replace("\\", "/")).name
    plain = safe_name(base.translate(_HARMLESS), what="name of the file")
    target = confine(home.uploads / plain, home.uploads)
    number = 1
    try:
        while target.exists():
            if target.is_file() and target.stat().st_size == len(content) and target.read_bytes() == content:
                return target
            number += 1
            target = confine(home.uploads / f"{Path(plain).stem}-{number}{Path(plain).suffix}", home.uploads)
        temporary = target.with_name(f".{target.name}.part")
        temporary.write_bytes(content)
        temporary.replace(target)
    except OSError as error:
        raise StorageError(
            f"The uploaded file cannot be written: {error.strerror or error}.", where=str(target),
            advice="Free some space or mend the permissions of the home folder.",
        ) from error  # fmt: skip
    return target


def list_uploads(home: Home) -> list[dict[str, Any]]:
    """Return the uploaded files, newest first."""
    found = []
    for path in home.uploads.iterdir() if home.uploads.is_dir() else ():
        if path.is_file() and not path.name.startswith("."):
            state = path.stat()
            found.append({"name": path.name, "path": str(path), "bytes": state.st_size, "time": state.st_mtime})
    return sorted(found, key=lambda item: (-item["time"], item["name"]))


def _absolute(source: str | None, *, folder: bool = False) -> str | None:
    if not source or source == "bundled" or source.startswith("hub:") or "\0" in source:
        return source
    if not folder and source in sample_names():  # a file of that name that happens to lie here does not take its place
        return source
    try:
        path = Path(source).expanduser()
        found = path.is_dir() if folder else path.is_file()
        return str(path.absolute()) if found else source
    except (OSError, RuntimeError):
        return source
