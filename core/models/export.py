"""Export: a folder that can be handed on, with weights or an ONNX graph, tokenizer, model card and plan."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from core.errors import ConfigError, ExportError, ModelError
from core.models.atomic import new_folder
from core.models.card import model_card
from core.models.folders import SIDE_FILE, described, plain_numbers, read_side_file
from core.models.onnx_folder import ABOUT, DATA, FORMATS, ONNX
from core.models.origin import DISTILLED, ORIGIN, read_origin
from core.models.pointer_card import points
from core.models.sources import vet_folder
from core.settings import confine

__all__ = ["export_model"]

_COPIED = (".safetensors", ".json", ".txt", ".model", ".jinja")
_WRITTEN = ("README.md", "plan.yaml", ONNX, DATA)
#: What belongs to weights by torch and not beside an ONNX graph.
_TORCH = (".safetensors", ".safetensors.index.json")


def export_model(
    source_folder: str | Path,
    target: str | Path,
    *,
    record: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    root: str | Path | None = None,
    format: str = "safetensors",
    cache: Path | None = None,
    tell: Callable[[float, str], None] = lambda share, doing: None,
) -> Path:
    """Export a trained model folder.

    Parameters
    ----------
    source_folder
        A run's ``best`` folder (of a training, or of a distilled student), or a folder that was exported before.
    target
        Folder to write; it appears whole or not at all.
    record
        What the model card shows, see :func:`core.models.card.model_card`. None: what stands beside `source_folder`
        in the run's folder (results.json, data_report.json, plan.yaml), else what ``bertloom.json`` holds.
    overwrite
        Replace a target that holds an earlier export. A folder with anything else in it is never replaced.
    root
        Folder that `target` must stay in, if any.
    format
        One of :data:`core.models.onnx_folder.FORMATS`. An ONNX export is checked against the model before it appears,
        see :func:`core.models.onnx_export.write_checked`.
    cache
        ONNX: the home's cache folder; with it the check also reads rows of the model's data.
    tell
        Called with the share that is done (0 to 1) and what is being done.

    Returns
    -------
    Path
        The absolute path of the export.

    Raises
    ------
    ConfigError
        If there is no such format.
    ExportError
        If the target is a file, is not empty, holds other files, lies in the source, or cannot be written; or if the
        model cannot be written as ONNX, or the graph does not answer as the model does.
    ModelError
        If the source is not a trained model.
    PathRefused
        If `target` leads out of `root`.
    """
    if format not in FORMATS:
        raise ConfigError(f"There is no format {format!r}.", where="format", expected=", ".join(FORMATS))
    source = Path(source_folder).expanduser().absolute()
    config = vet_folder(source)
    info = read_side_file(source)
    if not info and (read_origin(source) or ("",))[0] == DISTILLED:
        if format != "safetensors":
            raise ExportError(
                "The student has no trained head, and ONNX is written for models that answer.", where=str(source),
                expected="a model that was trained for a task",
                advice="Train it first, or export it as safetensors.",
            )  # fmt: skip
        place = confine(target, root) if root is not None else _absolute(target)
        return _export_encoder(source, place, overwrite)
    if not info:
        raise ModelError(
            f"The folder has no {SIDE_FILE}, so it is not a model that a run trained.", where=str(source),
            expected="a run's best folder, or an exported one",
        )  # fmt: skip
    task, max_length = described(info, source)
    if format != "safetensors" and points(task):
        raise ExportError(
            "A model whose head points to words is not written as ONNX: what is checked of a graph before it is handed "
            "on compares labels, and what reads it knows nothing of words.", where=str(source), expected="safetensors",
            advice="Export it as safetensors.",
        )  # fmt: skip
    if format != "safetensors" and task.kind == "question_answering":
        raise ExportError(
            "A model that answers questions is not written as ONNX: what is checked of a graph before it is handed on "
            "compares labels, not starts and ends of answers.", where=str(source), expected="safetensors",
            advice="Export it as safetensors.",
        )  # fmt: skip
    place = confine(target, root) if root is not None else _absolute(target)
    _check_target(place, source, overwrite)
    known = dict(record) if record is not None else _beside(source)
    known.setdefault("plan", info.get("plan"))
    known.setdefault("metrics", info.get("metrics"))
    known.setdefault("family", config.get("model_type"))
    try:
        with new_folder(place) as partial:
            for file in sorted(source.iterdir()):
                if _copied(file) and (format == "safetensors" or not file.name.endswith(_TORCH)):
                    shutil.copyfile(file, partial / file.name)
            if format != "safetensors":
                from core.models.onnx_export import write_checked

                known["onnx"] = write_checked(source, partial, format, cache=cache, tell=tell)
            side = {**info, "metrics": known.get("metrics")}
            text = json.dumps(plain_numbers(side), ensure_ascii=False, indent=1, allow_nan=False)
            (partial / SIDE_FILE).write_text(text, encoding="utf-8")
            fresh = record is not None or "details" in known or "onnx" in known
            card = None if fresh else _card_before(source)
            (partial / "README.md").write_text(card or model_card(task, max_length, known), encoding="utf-8")
            if known.get("plan"):
                plan = yaml.safe_dump(dict(known["plan"]), sort_keys=False, allow_unicode=True, width=120)
                (partial / "plan.yaml").write_text(plan, encoding="utf-8")
    except OSError as error:
        raise _unwritable(error, place) from error
    return place


def _copied(file: Path) -> bool:
    return file.is_file() and not file.is_symlink() and file.name.endswith(_COPIED) and file.name != ABOUT


def _export_encoder(source: Path, place: Path, overwrite: bool) -> Path:
    """Copy a student without a head, with the card that it was given when it was made."""
    _check_target(place, source, overwrite)
    try:
        with new_folder(place) as partial:
            for file in sorted(source.iterdir()):
                if file.is_file() and not file.is_symlink() and (file.name in _WRITTEN or file.name.endswith(_COPIED)):
                    shutil.copyfile(file, partial / file.name)
    except OSError as error:
        raise _unwritable(error, place) from error
    return place


def _unwritable(error: OSError, place: Path) -> ExportError:
    return ExportError(
        f"The model cannot be exported: {error.strerror or error}.", where=str(place),
        expected="a folder that this user may write to, with enough free space",
    )  # fmt: skip


def _absolute(target: str | Path) -> Path:
    if not str(target) or "\0" in str(target):
        raise ExportError("The target is empty or holds a NUL character.", expected="a folder that is new or empty")
    return Path(target).expanduser().absolute()


def _check_target(place: Path, source: Path, overwrite: bool) -> None:
    real, origin = place.resolve(), source.resolve()
    if real == origin or origin in real.parents or real in origin.parents:
        raise ExportError(
            "The target is the model's own folder, or one holds the other.", where=str(place), expected="another folder"
        )
    try:
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            raise ExportError(
                "The target is a file or a link.", where=str(place), expected="a folder that is new or empty"
            )
        names = sorted(entry.name for entry in place.iterdir()) if place.exists() else []
    except OSError as error:
        raise ExportError(f"The target cannot be read: {error.strerror or error}.", where=str(place)) from error
    if not names:
        return
    if not overwrite:
        raise ExportError(
            "The target folder is not empty.", where=str(place), expected="a folder that is new or empty",
            advice="Choose another folder, or allow overwriting.",
        )  # fmt: skip
    foreign = [
        name for name in names if (place / name).is_dir() or not (name in _WRITTEN or name.endswith(_COPIED))
    ]  # fmt: skip
    if foreign or not {SIDE_FILE, ORIGIN} & set(names):
        held = f" ({', '.join(foreign[:3])}{' …' if len(foreign) > 3 else ''})" if foreign else ""
        raise ExportError(
            f"The target folder holds other things than an earlier export{held}; replacing it would delete them.",
            where=str(place), expected="a new or empty folder, or an earlier export",
        )  # fmt: skip


def _beside(source: Path) -> dict[str, Any]:
    """Return what the run's folder knows of the model that stands in it."""
    run = source.parent
    if run.name == "best":
        return _beside_task(source)
    found: dict[str, Any] = {}
    results = _read_json(run / "results.json") if source.name == "best" else {}
    found.update({key: results[key] for key in ("metrics", "details", "choices", "environment") if results.get(key)})
    if source.name == "best":
        report = _read_json(run / "data_report.json")
        if report:
            found["data_report"] = report
        found["id"] = run.name
    return found


def _beside_task(source: Path) -> dict[str, Any]:
    """Return what the folder of a joint run knows of one task's model: what a run of that task alone would know."""
    run, name = source.parent.parent, source.name
    results, report = _read_json(run / "results.json"), _read_json(run / "data_report.json")
    metrics = {}
    for key, value in (results.get("metrics") or {}).items():
        role, _, rest = str(key).partition("/")
        if rest.startswith(f"{name}/"):
            metrics[f"{role}/{rest.removeprefix(f'{name}/')}"] = value
    parts = results.get("details") or {}
    details = {role: part[name] for role, part in parts.items() if isinstance(part, dict) and name in part}
    own = (report.get("tasks") or {}).get(name)
    found = {
        "metrics": metrics, "details": details, "choices": results.get("choices"),
        "environment": results.get("environment"), "data_report": own,
    }  # fmt: skip
    return {"id": f"{run.name}/{name}", **{key: value for key, value in found.items() if value}}


def _card_before(source: Path) -> str | None:
    """Return the card of a folder that was exported before: it knows more than ``bertloom.json`` does."""
    try:
        return (source / "README.md").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _read_json(file: Path) -> dict[str, Any]:
    """Return a JSON object; a card without it is better than no export, so what cannot be read is left out."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
