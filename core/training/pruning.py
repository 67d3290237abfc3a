"""Pruning a model folder: importance on calibration texts, a smaller folder, and what it cost and gained, measured."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from core.config import DataConfig, ModelConfig, TaskConfig
from core.data.tasks.base import Encoded, Task
from core.errors import ConfigError, StorageError
from core.models.shaped.importance import by_energy, by_gradient
from core.models.shaped.prune import choose_kept, prune, shape_of_model
from core.training.batches import evaluation_batches
from core.training.evaluation import role_logits

__all__ = ["Pruning", "prune_folder"]

_TOKENS = 4096
_REPEATS = 7


@dataclass(frozen=True)
class Pruning:
    """What to keep, and how it is chosen.

    Parameters
    ----------
    heads, units
        Shares of attention heads and FFN units to keep.
    spread
        See :func:`core.models.shaped.prune.choose_kept`.
    measure
        ``gradient`` needs a trained head and labels; ``energy`` needs texts only; ``auto`` takes the gradient where it
        can.
    rows
        Texts that importance is measured on.
    max_length
        Sub-words that a text is cut at, for an encoder without a head.
    """

    heads: float = 1.0
    units: float = 1.0
    spread: Literal["layer", "global"] = "layer"
    measure: Literal["auto", "gradient", "energy"] = "auto"
    rows: int = 256
    max_length: int = 128


@dataclass
class _Source:
    model: Any
    tokenizer: Any
    task: Task
    trained: bool
    max_length: int
    roles: Any


def prune_folder(
    source: str,
    out: str | Path,
    wanted: Pruning,
    data: DataConfig,
    *,
    cache: Path,
    task: TaskConfig | None = None,
    check: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Write a pruned copy of a model.

    Parameters
    ----------
    source
        ``bundled``, ``hub:NAME``, or a folder: an encoder, or a model that a run trained.
    out
        Folder to write; new or empty.
    wanted
        What to keep.
    data
        Calibration and test rows. A trained model needs data with its labels.
    cache
        The home's cache folder.
    task
        How the data is read, for an encoder without a head.
    check
        Called between batches; may raise to stop.

    Returns
    -------
    dict
        ``out``, ``trained``, ``measure``, ``rows`` {calibration, test}, ``parameters`` and ``body`` {before, after}
        (`body`: between embeddings and pooler), ``seconds`` {before, after, ratio} (median of one batch, taken in
        turns), ``lost``: for a trained model the ``metric`` with {before, after}, for an encoder ``similarity`` (mean
        cosine of its hidden states before and after), ``layers``: [{``width``, ``heads``, ``intermediate``}].

    Raises
    ------
    BertloomError
        If model or data cannot be used, or the folder cannot be written.
    """
    place = Path(out).expanduser().absolute()
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise StorageError("The folder is not empty.", where=str(place), expected="a folder that is new or empty")
    if wanted.heads >= 1 and wanted.units >= 1:
        raise ConfigError("Nothing would be pruned.", expected="a share of heads or units below 1")
    found = _load(source, data, task, wanted.max_length, cache)
    check()
    train = found.roles.train
    calibration = found.task.encode(
        train.select(range(min(wanted.rows, len(train)))), found.tokenizer, found.max_length
    )
    if wanted.measure == "gradient" and not found.trained:
        raise ConfigError(
            "The gradient of a loss needs a trained head, and this is an encoder without one.", where="measure",
            expected="energy, or a model that a run trained",
        )  # fmt: skip
    gradient = found.trained and wanted.measure != "energy"
    importance = (
        by_gradient(found.model, _batches(found, calibration, check), _loss(found.task))
        if gradient
        else by_energy(found.model, _inputs(found, calibration, check))
    )
    kept = choose_kept(importance, heads=wanted.heads, units=wanted.units, spread=wanted.spread)
    smaller = prune(found.model, kept)
    rows = found.roles.test if found.roles.test is not None and len(found.roles.test) else found.roles.gate
    test = found.task.encode(rows, found.tokenizer, found.max_length)
    lost = _lost(found, smaller, test, rows, check)
    seconds = _seconds(found, smaller, test, check)
    _save(found, smaller, place, lost)
    models = {"before": found.model.base_model, "after": smaller.base_model}
    return {
        "out": str(place),
        "trained": found.trained,
        "measure": "gradient" if gradient else "energy",
        "rows": {"calibration": len(calibration.features), "test": len(test.features)},
        "parameters": {name: sum(one.numel() for one in model.parameters()) for name, model in models.items()},
        "body": {name: sum(one.numel() for one in model.encoder.parameters()) for name, model in models.items()},
        "seconds": seconds,
        "lost": lost,
        "layers": [
            {"width": layer.width, "heads": layer.heads, "intermediate": layer.intermediate}
            for layer in shape_of_model(smaller).layers
        ],
    }


def _load(source: str, data: DataConfig, task: TaskConfig | None, max_length: int, cache: Path) -> _Source:
    from core.data.roles import load_roles
    from core.data.tasks import task_for
    from core.models import build_model, load_finished
    from core.models.folders import read_side_file
    from core.models.sources import resolve

    folder = resolve(source).folder
    if read_side_file(folder):
        done = load_finished(folder)
        roles = load_roles(data, done.task.config, cache=cache)
        if list(roles.labels) != list(done.task.labels):
            raise ConfigError(
                "The data's labels are not those of the model.",
                where=data.source,
                expected=", ".join(done.task.labels[:20]),
            )
        return _Source(done.model, done.tokenizer, done.task, True, done.max_length, roles)
    settings = task or TaskConfig()
    roles = load_roles(data, settings, cache=cache)
    found = task_for(settings, roles.labels)
    model, tokenizer = build_model(ModelConfig(source=source, max_length=max_length), found, seed=0)
    return _Source(model.base_model, tokenizer, found, False, max_length, roles)


def _batches(found: _Source, encoded: Encoded, check: Callable[[], None]) -> Iterator[dict[str, torch.Tensor]]:
    for batch in evaluation_batches(encoded.lengths, _TOKENS):
        check()
        yield found.task.collate([encoded.features[index] for index in batch], found.tokenizer)


def _inputs(found: _Source, encoded: Encoded, check: Callable[[], None]) -> Iterator[dict[str, torch.Tensor]]:
    for batch in _batches(found, encoded, check):
        yield {name: tensor for name, tensor in batch.items() if name != "labels"}


def _loss(task: Task) -> Callable[[Any], torch.Tensor]:
    def total(pair: Any) -> torch.Tensor:
        output, labels = pair
        return task.loss(output.logits.float(), labels, label_smoothing=0.0, class_weights=None)[0]

    return total


def _lost(found: _Source, smaller: Any, test: Encoded, rows: Any, check: Callable[[], None]) -> dict[str, Any]:
    if not found.trained:
        near = total = 0.0
        for batch in _inputs(found, test, check):
            mask = batch["attention_mask"].bool()
            with torch.inference_mode():
                before, after = (model(**batch).last_hidden_state[mask] for model in (found.model, smaller))
            near += float(torch.nn.functional.cosine_similarity(before, after, dim=-1).sum())
            total += float(mask.sum())
        return {"similarity": near / max(1.0, total)}
    scores = []
    for model in (found.model, smaller):

        def forward(
            features: Any, indices: np.ndarray, model: Any = model
        ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
            batch = found.task.collate(features, found.tokenizer)
            return model(**{name: tensor for name, tensor in batch.items() if name != "labels"}).logits, batch

        scores.append(found.task.evaluate(role_logits(forward, test, check=check), test, rows).metrics)
    metric = found.task.primary_metric
    return {"metric": metric, "before": scores[0][metric], "after": scores[1][metric]}


def _seconds(found: _Source, smaller: Any, test: Encoded, check: Callable[[], None]) -> dict[str, float]:
    """Time one batch by both models in turns."""
    batch = next(_inputs(found, test, check))
    taken: list[list[float]] = [[], []]
    with torch.inference_mode():
        for repeat in range(_REPEATS + 1):
            check()
            for times, model in zip(taken, (found.model, smaller), strict=True):
                started = time.perf_counter()
                model(**batch)
                if repeat:
                    times.append(time.perf_counter() - started)
    before, after = (statistics.median(times) for times in taken)
    return {"before": before, "after": after, "ratio": after / before}


def _save(found: _Source, smaller: Any, place: Path, lost: dict[str, Any]) -> None:
    from core.models import save_model
    from core.models.atomic import new_folder
    from core.models.loading import quiet

    if found.trained:
        metrics = {f"test/{lost['metric']}": float(lost["after"])}
        save_model(place, smaller, found.tokenizer, found.task, max_length=found.max_length, plan=None, metrics=metrics)
        return
    try:
        with new_folder(place) as partial, quiet():
            smaller.save_pretrained(partial)
            found.tokenizer.save_pretrained(partial)
    except OSError as error:
        raise StorageError(f"The model cannot be written: {error.strerror or error}.", where=str(place)) from error
