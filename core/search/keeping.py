"""Which layers of an encoder a student may begin as: those that stand for neighbours that are much alike.

Neighbouring layers whose states are alike (linear CKA, Kornblith et al. 2019) are put together so that as little as
possible differs within a part; the layer kept of a part is the one most alike all others in it. Of the last part it is
the last layer, because that is what a head reads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.config import DataConfig, TaskConfig
from core.errors import ConfigError
from core.search.depth import best_partition

__all__ = ["choose_layers", "layers_to_keep"]

#: Sub-words that are compared, at most.
TOKENS = 4096
_BATCH = 32


def choose_layers(likeness: np.ndarray, keep: int) -> tuple[list[int], list[tuple[int, int]]]:
    """Choose layers, from 1, and say which neighbours each stands for.

    Parameters
    ----------
    likeness
        Linear CKA of all pairs of layers, shape (layers, layers); what is no number counts as 0.
    keep
        How many.

    Returns
    -------
    (list of int, list of (int, int))
        The layers, lowest first, and first and last layer of the part that each stands for.

    Raises
    ------
    ConfigError
        If there are fewer layers.
    """
    count = len(likeness)
    if not 1 <= keep <= count:
        raise ConfigError(f"{keep} layers cannot be kept: there are {count}.", where="--keep", expected=f"1 to {count}")
    alike = np.nan_to_num(np.asarray(likeness, dtype=np.float64), nan=0.0)
    _, bounds = best_partition(alike, keep)
    found = []
    for first, last in bounds:
        inner = alike[first - 1 : last, first - 1 : last].sum(axis=1)
        found.append(count if last == count else first + int(np.argmax(inner)))
    return found, bounds


def layers_to_keep(
    source: str,
    keep: int,
    data: DataConfig,
    *,
    cache: Path,
    task: TaskConfig | None = None,
    max_length: int = 128,
    check: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Measure how alike an encoder's layers are on training rows, and choose those that a student begins as.

    Parameters
    ----------
    source
        ``bundled``, ``hub:NAME``, or a folder: an encoder, or a trained model.
    keep
        How many layers.
    data
        Its training rows are read, at even distances up to :data:`TOKENS` sub-words.
    cache
        The home's cache folder.
    task
        How the data is read, for an encoder without a head.
    max_length
        Sub-words that a text is cut at, for an encoder without a head.
    check
        Called between batches; may raise to stop.

    Returns
    -------
    dict
        ``source``, ``layers`` (how many there are), ``keep`` (numbers from 1), ``segments`` (first and last layer that
        each stands for), ``likeness`` (matrix, None where a layer gives the same for all sub-words), ``tokens``.

    Raises
    ------
    BertloomError
        If model or data cannot be used, or there are fewer layers.
    """
    model, matrix, tokens = _likeness(source, data, cache, task, max_length, keep, check)
    kept, bounds = choose_layers(matrix, keep)
    shown = [[None if np.isnan(one) else round(float(one), 4) for one in row] for row in matrix]
    return {
        "source": source, "layers": model, "keep": kept, "segments": [list(one) for one in bounds],
        "likeness": shown, "tokens": tokens,
    }  # fmt: skip


def _likeness(
    source: str, data: DataConfig, cache: Path, task: TaskConfig | None, max_length: int, keep: int,
    check: Callable[[], None],
) -> tuple[int, np.ndarray, int]:  # fmt: skip
    import torch

    from core.data.roles import load_roles
    from core.models import structure
    from core.models.cka import CkaAccumulator
    from core.training.distil.sizes import sizes_of
    from core.training.distil.states import Watch

    model, tokenizer, found, longest = _loaded(source, task, max_length)
    layers = list(structure(model).layers)
    if not 1 <= keep <= len(layers):  # before any row is read
        choose_layers(np.eye(len(layers)), keep)
    rows = load_roles(data, found.config, cache=cache).train
    encoded = found.encode(rows, tokenizer, longest, labelled=False)
    chosen = _spread(encoded.lengths)
    watch, sums = Watch(layers, sizes_of(model.config, len(layers))), CkaAccumulator(len(layers))
    model.eval()
    for start in range(0, len(chosen), _BATCH):
        check()
        batch = found.collate([encoded.features[at] for at in chosen[start : start + _BATCH]], tokenizer)
        inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
        with torch.inference_mode(), watch.reading(set(range(1, len(layers) + 1)), set()):
            model(**inputs)
        here = batch["attention_mask"].bool()
        sums.add([watch.hidden[at][here].float().numpy() for at in range(1, len(layers) + 1)])
        watch.clear()
    return len(layers), sums.matrix(), sums.count


def _loaded(source: str, task: TaskConfig | None, max_length: int) -> tuple[Any, Any, Any, int]:
    """Return model, tokeniser, task, and how long a text may be."""
    from core.config import ModelConfig
    from core.data.tasks import example_labels, task_for
    from core.models import build_model, load_finished, resolve
    from core.models.folders import read_side_file

    folder = resolve(source).folder
    if read_side_file(folder):
        done = load_finished(folder)
        return done.model, done.tokenizer, done.task, done.max_length
    asked = task or TaskConfig()
    found = task_for(asked, example_labels(asked.kind, relations=asked.relations))
    model, tokenizer = build_model(ModelConfig(source=source, max_length=max_length), found, seed=0)
    return model, tokenizer, found, max_length


def _spread(lengths: Sequence[int]) -> list[int]:
    """Return rows at even distances, so many that their sub-words are at most about :data:`TOKENS`."""
    sizes = np.asarray(lengths)
    count = max(1, min(len(sizes), int(TOKENS / max(1.0, float(sizes.mean())))))
    return np.unique(np.linspace(0, len(sizes) - 1, count).astype(int)).tolist()
