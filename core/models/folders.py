"""Trained models as folders: what stock transformers loads, and beside it what prediction needs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from core.config import Plan, TaskConfig
from core.data.tasks import task_for
from core.data.tasks.base import Task
from core.errors import DataError, ModelError, StorageError
from core.models.atomic import new_folder
from core.models.onnx_folder import is_onnx, load_onnx
from core.models.sources import longest_input, vet_folder

__all__ = [
    "SIDE_FILE", "Finished", "described", "guessed", "load_finished", "plain_numbers", "read_side_file", "save_model",
]  # fmt: skip

SIDE_FILE = "bertloom.json"
_FORMAT = 1
_USUAL_LENGTH = 512


@dataclass
class Finished:
    """A trained model, ready to predict.

    Parameters
    ----------
    model
        In float32 on the CPU, in evaluation mode.
    tokenizer
        Its fast tokenizer.
    task
        The task with its labels.
    max_length
        Sub-words a text (or window) may have.
    info
        What ``bertloom.json`` holds; empty for a folder that Bertloom did not write.
    folder
        Where it was loaded from.
    """

    model: Any
    tokenizer: Any
    task: Task
    max_length: int
    info: dict[str, Any] = field(default_factory=dict)
    folder: Path | None = None


def plain_numbers(value: Any) -> Any:
    """Return nested data with NaN and infinities as None: JSON has no word for them."""
    if isinstance(value, Mapping):
        return {str(key): plain_numbers(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_numbers(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def save_model(
    folder: str | Path,
    model: Any,
    tokenizer: Any,
    task: Task,
    *,
    max_length: int,
    plan: Plan | Mapping[str, Any] | None,
    metrics: Mapping[str, float],
) -> None:
    """Write a model folder: config with label names, safetensors, tokenizer, and ``bertloom.json``.

    Stock ``AutoModelFor…`` and ``AutoTokenizer`` load it. It appears whole or not at all; a folder that is there
    before is replaced.

    Raises
    ------
    StorageError
        If the disk is full or the place cannot be written.
    """
    from core.models.loading import quiet

    target = Path(folder)
    side = {
        "format": _FORMAT,
        "task": task.config.model_dump(mode="json"),
        "labels": list(task.labels),
        "max_length": max_length,
        "plan": plan.model_dump(mode="json") if isinstance(plan, Plan) else plan,
        "metrics": dict(metrics),
    }
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.model_max_length = max_length
    try:
        with new_folder(target) as partial, quiet():
            model.save_pretrained(partial)
            tokenizer.save_pretrained(partial)
            text = json.dumps(plain_numbers(side), ensure_ascii=False, indent=1, allow_nan=False)
            (partial / SIDE_FILE).write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"The model cannot be written: {error.strerror or error}.",
            where=str(target),
            advice="Free some space or choose another home folder.",
        ) from error


def read_side_file(folder: Path) -> dict[str, Any]:
    """Return what ``bertloom.json`` holds, or an empty dictionary where there is none.

    Raises
    ------
    ModelError
        If it cannot be read or is of a newer format.
    """
    file = folder / SIDE_FILE
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{SIDE_FILE} cannot be read: {error}.", where=str(file)) from error
    if not isinstance(found, dict) or found.get("format") != _FORMAT:
        version = found.get("format") if isinstance(found, dict) else None
        raise ModelError(
            f"{SIDE_FILE} is of format {version!r}.",
            where=str(file),
            expected=f"format {_FORMAT}",
            advice="It may be from a newer Bertloom: update this one.",
        )
    return found


def load_finished(folder: str | Path) -> Finished:
    """Load a trained model for prediction.

    A folder without ``bertloom.json`` is read too if its config names a stock head of a known task. An ONNX export is
    run by onnxruntime behind the same object.

    Raises
    ------
    ModelError
        If the folder is refused (see :func:`core.models.sources.vet_folder`), has no trained head, or its label names
        and weights do not fit.
    """
    from core.models.loading import load_tokenizer, load_with_head
    from core.models.pointer.entries import give_pieces

    place = Path(folder).expanduser().absolute()
    if is_onnx(place):
        return load_onnx(place)
    config = vet_folder(place)
    info = read_side_file(place)
    task, max_length = described(info, place) if info else guessed(config, place)
    model = load_with_head(place, task, seed=0, trained=True)
    tokenizer = load_tokenizer(place, words=task.kind in ("tagging", "dependency"))
    give_pieces(model, tokenizer, max_length)
    return Finished(model, tokenizer, task, max_length, info, place)


def described(info: dict[str, Any], folder: Path) -> tuple[Task, int]:
    """Return the task and the length that ``bertloom.json`` describes, or raise ModelError."""
    try:
        config = TaskConfig.model_validate(info["task"])
        labels, max_length = [str(label) for label in info["labels"]], int(info["max_length"])
        return task_for(config, labels), max_length
    except (KeyError, TypeError, ValueError, ValidationError, DataError) as error:
        raise ModelError(
            f"{SIDE_FILE} does not describe a task: {error}",
            where=str(folder / SIDE_FILE),
            expected="task, labels and max_length",
        ) from error


def guessed(config: dict[str, Any], folder: Path) -> tuple[Task, int]:
    """Return the task and the length of a stock head by its config, or raise ModelError where there is none."""
    names = " ".join(str(name) for name in config.get("architectures") or [])
    multi = config.get("problem_type") == "multi_label_classification"
    if "ForSequenceClassification" in names:
        settings = TaskConfig.model_validate({"kind": "classification", "multi_label": multi})
    elif "ForTokenClassification" in names:
        settings = TaskConfig.model_validate({"kind": "tagging"})
    elif "ForQuestionAnswering" in names:
        settings = TaskConfig.model_validate({"kind": "question_answering"})
    elif "ForDependency" in names and isinstance(config.get("pointers"), dict):
        pointers = config["pointers"]
        settings = TaskConfig.model_validate(
            {"kind": "dependency", "relations": bool(pointers.get("relations")), "tree": not pointers.get("itself")}
        )
    else:
        raise ModelError(
            "The model has no trained head, so it cannot predict.",
            where=str(folder),
            expected="a model that a run trained or exported",
            advice="Fine-tune it first: an encoder alone gives no labels.",
        )
    entries = config.get("id2label") or {}
    try:
        labels = [str(entries[key]) for key in sorted(entries, key=int)]
        if settings.kind == "question_answering":
            labels = ["start", "end"]
        task = task_for(settings, labels)
    except (TypeError, ValueError, DataError) as error:
        raise ModelError(
            f"The labels of the model cannot be used: {error}", where=str(folder / "config.json")
        ) from error
    return task, min(longest_input(config) or _USUAL_LENGTH, _USUAL_LENGTH)
