"""Pruning a model folder: importance on calibration texts, a smaller folder, and what it cost and gained, measured."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from core.config import DataConfig, ModelConfig, TaskConfig
from core.data.tasks.base import Encoded, Task
from core.data.tasks.heads import head_logits
from core.errors import ConfigError, StorageError
from core.models.origin import write_origin
from core.models.shaped.importance import by_energy, by_gradient, parts_of
from core.models.shaped.prune import choose_kept, prune, shape_of_model
from core.training.batches import evaluation_batches
from core.training.evaluation import role_logits

__all__ = ["Pruning", "prune_folder"]

_Batch = dict[str, torch.Tensor]
_TOKENS = 4096
_REPEATS = 7
#: Seconds after which no further batch is timed, as long as each model had three.
_TIMING_SECONDS = 6.0


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
        Training rows that importance is measured on, at even distances.
    max_length
        Sub-words that a text is cut at, for an encoder without a head.
    test_rows
        Test rows (gate rows, where there are none) that are scored before and after; ``None`` for all.
    revision
        Hub only: branch, tag or commit.
    """

    heads: float = 1.0
    units: float = 1.0
    spread: Literal["layer", "global"] = "layer"
    measure: Literal["auto", "gradient", "energy"] = "auto"
    rows: int = 256
    max_length: int = 128
    test_rows: int | None = None
    revision: str | None = None


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
    tell: Callable[[float, str], None] = lambda share, doing: None,
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
    tell
        Called with the share that is done (0 to 1) and what is being done.

    Returns
    -------
    dict
        What the folder's ``origin.json`` holds too: ``source``, ``revision``, ``out``, ``trained``, ``measure``,
        ``spread``, ``shares`` {heads, units} (to be kept), ``rows`` {calibration, test, of} (`of`: how many there
        are), ``parameters`` and ``body`` {before, after} (`body`: between embeddings and pooler), ``seconds`` {before,
        after, ratio} (median of one batch, taken in turns), ``lost``: for a trained model the ``metric`` with {before,
        after}, for an encoder ``similarity`` (mean cosine of its hidden states before and after), ``layers``:
        [{``width``, ``heads``, ``intermediate``}], and ``heads``: one list a layer of all heads it had, each
        {``score`` (by the layer's highest), ``kept``}.

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
    tell(0.0, "loading the model and the rows")
    found = _load(source, data, task, wanted, cache)
    parts_of(found.model)  # before anything is computed: whether its heads can be told apart
    check()
    calibration = found.task.encode(_sample(found.roles.train, wanted.rows), found.tokenizer, found.max_length)
    if wanted.measure == "gradient" and not found.trained:
        raise ConfigError(
            "The gradient of a loss needs a trained head, and this is an encoder without one.", where="measure",
            expected="energy, or a model that a run trained",
        )  # fmt: skip
    gradient = found.trained and wanted.measure != "energy"
    every = found.roles.test if found.roles.test is not None and len(found.roles.test) else found.roles.gate
    rows = _sample(every, wanted.test_rows)
    test = found.task.encode(rows, found.tokenizer, found.max_length)
    work = _Work(_passes(calibration) * (3 if gradient else 1) + 2 * _passes(test) + _REPEATS, check, tell)
    importance = (
        by_gradient(found.model, work.each(_batches(found, calibration), "measuring heads and units", 3), _loss(found))
        if gradient
        else by_energy(found.model, work.each(_inputs(found, calibration), "measuring heads and units"))
    )
    kept = choose_kept(importance, heads=wanted.heads, units=wanted.units, spread=wanted.spread)
    smaller = prune(found.model, kept)
    lost = _lost(found, smaller, test, rows, work)
    seconds = _seconds(found, smaller, test, work)
    models = {"before": found.model.base_model, "after": smaller.base_model}
    report = {
        "source": source,
        "revision": wanted.revision,
        "out": str(place),
        "trained": found.trained,
        "measure": "gradient" if gradient else "energy",
        "spread": wanted.spread,
        "shares": {"heads": wanted.heads, "units": wanted.units},
        "rows": {"calibration": len(calibration.features), "test": len(test.features), "of": len(every)},
        "parameters": {name: sum(one.numel() for one in model.parameters()) for name, model in models.items()},
        "body": {name: sum(one.numel() for one in model.encoder.parameters()) for name, model in models.items()},
        "seconds": seconds,
        "lost": lost,
        "layers": [
            {"width": layer.width, "heads": layer.heads, "intermediate": layer.intermediate}
            for layer in shape_of_model(smaller).layers
        ],
        "heads": [
            [
                {"score": float(score / scores.max().clamp(min=1e-30)), "kept": at in set(left)}
                for at, score in enumerate(scores)
            ]
            for scores, left in zip(importance.heads, kept.heads, strict=True)
        ],
    }
    check()
    tell(0.99, "writing the folder")
    _save(found, smaller, place, report)
    return report


class _Work:
    """Counts the batches that were computed, and tells it."""

    def __init__(self, whole: int, check: Callable[[], None], tell: Callable[[float, str], None]) -> None:
        self._whole, self._check, self._tell, self._done = whole, check, tell, 0

    def step(self, doing: str, weight: int = 1) -> None:
        """Count a batch that begins; `weight`: how many forward passes it takes."""
        self._check()
        self._tell(min(0.98, self._done / max(1, self._whole)), doing)
        self._done += weight

    def each(self, batches: Iterable[_Batch], doing: str, weight: int = 1) -> Iterator[_Batch]:
        """Count batches as they are taken."""
        for batch in batches:
            self.step(doing, weight)
            yield batch


def _passes(encoded: Encoded) -> int:
    return len(evaluation_batches(encoded.lengths, _TOKENS))


def _sample(rows: Any, most: int | None) -> Any:
    """Take rows at even distances: files are often sorted by label or source."""
    wanted = min(len(rows), most or len(rows))
    return rows.select([at * len(rows) // wanted for at in range(wanted)])


def _load(source: str, data: DataConfig, task: TaskConfig | None, wanted: Pruning, cache: Path) -> _Source:
    from core.data.roles import load_roles
    from core.data.tasks import task_for
    from core.models import build_model, load_finished
    from core.models.folders import read_side_file
    from core.models.pointer_card import points
    from core.models.sources import resolve

    folder = resolve(source, wanted.revision).folder
    if read_side_file(folder):
        done = load_finished(folder)
        if points(done.task):
            raise ConfigError(
                "The model's head points to words, and a pruned encoder has no class with such a head.", where=source,
                expected="a model with a linear head, or an encoder",
                advice="Prune the encoder that it began with, and train it then.",
            )  # fmt: skip
        roles = load_roles(data, done.task.config, cache=cache)
        if list(roles.labels) != list(done.task.labels):
            raise ConfigError(
                "The data's labels are not those of the model.",
                where=data.source,
                expected=", ".join(done.task.labels[:20]),
                advice="Prune with the rows that the model was trained on, or prune the encoder that it began with.",
            )
        return _Source(done.model, done.tokenizer, done.task, True, done.max_length, roles)
    settings = (task or TaskConfig()).model_copy(update={"head": "linear"})  # the encoder alone is pruned
    roles = load_roles(data, settings, cache=cache)
    found = task_for(settings, roles.labels)
    config = ModelConfig(source=source, revision=wanted.revision, max_length=wanted.max_length)
    model, tokenizer = build_model(config, found, seed=0)
    return _Source(model.base_model, tokenizer, found, False, wanted.max_length, roles)


def _batches(found: _Source, encoded: Encoded) -> Iterator[_Batch]:
    for batch in evaluation_batches(encoded.lengths, _TOKENS):
        yield found.task.collate([encoded.features[index] for index in batch], found.tokenizer)


def _inputs(found: _Source, encoded: Encoded) -> Iterator[_Batch]:
    for batch in _batches(found, encoded):
        yield {name: tensor for name, tensor in batch.items() if name != "labels"}


def _loss(found: _Source) -> Callable[[Any], torch.Tensor]:
    def total(pair: Any) -> torch.Tensor:
        output, labels = pair
        return found.task.loss(head_logits(output).float(), labels, label_smoothing=0.0, class_weights=None)[0]

    return total


def _lost(found: _Source, smaller: Any, test: Encoded, rows: Any, work: _Work) -> dict[str, Any]:
    if not found.trained:
        near = total = 0.0
        for batch in work.each(_inputs(found, test), "comparing hidden states before and after", 2):
            mask = batch["attention_mask"].bool()
            with torch.inference_mode():
                before, after = (model(**batch).last_hidden_state[mask] for model in (found.model, smaller))
            near += float(torch.nn.functional.cosine_similarity(before, after, dim=-1).sum())
            total += float(mask.sum())
        return {"similarity": near / max(1.0, total)}
    scores = []
    for model, when in ((found.model, "before"), (smaller, "after")):

        def forward(
            features: Any, indices: np.ndarray, model: Any = model, when: str = when
        ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
            work.step(f"scoring test rows {when}")
            batch = found.task.collate(features, found.tokenizer)
            inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
            return head_logits(model(**inputs)), batch

        scores.append(found.task.evaluate(role_logits(forward, test), test, rows).metrics)
    metric = found.task.primary_metric
    return {"metric": metric, "before": scores[0][metric], "after": scores[1][metric]}


def _seconds(found: _Source, smaller: Any, test: Encoded, work: _Work) -> dict[str, float]:
    """Time one batch by both models in turns."""
    batch = next(_inputs(found, test))
    taken: list[list[float]] = [[], []]
    begun = time.perf_counter()
    with torch.inference_mode():
        for repeat in range(_REPEATS + 1):
            if len(taken[1]) >= 3 and time.perf_counter() - begun > _TIMING_SECONDS:
                break
            work.step("timing a batch before and after")
            for times, model in zip(taken, (found.model, smaller), strict=True):
                started = time.perf_counter()
                model(**batch)
                if repeat:
                    times.append(time.perf_counter() - started)
    before, after = (statistics.median(times) for times in taken)
    return {"before": before, "after": after, "ratio": after / before}


def _save(found: _Source, smaller: Any, place: Path, report: dict[str, Any]) -> None:
    from core.models import save_model
    from core.models.atomic import new_folder
    from core.models.loading import quiet

    lost = report["lost"]
    try:
        if found.trained:
            metrics = {f"test/{lost['metric']}": float(lost["after"])}
            length = found.max_length
            save_model(place, smaller, found.tokenizer, found.task, max_length=length, plan=None, metrics=metrics)
            write_origin(place, "pruned", report)
            return
        with new_folder(place) as partial, quiet():
            smaller.save_pretrained(partial)
            found.tokenizer.save_pretrained(partial)
            write_origin(partial, "pruned", report)
    except OSError as error:
        raise StorageError(f"The model cannot be written: {error.strerror or error}.", where=str(place)) from error
