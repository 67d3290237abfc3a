"""How long a shape takes on this machine: measured, stored with the shape, and read by every search.

What else a machine does lengthens passes, and seldom all of them: passes come in rounds, and the quietest round counts.
Shapes that are compared take turns, so that a busy moment hits all of them.

Only workers and commands measure: that loads torch.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.config.shape import EncoderShape
from core.errors import StorageError
from core.training.files import write_json

__all__ = ["LENGTH", "Latency", "keep", "latency_of", "latency_path", "measure", "measure_in_turns", "stored"]

#: Sub-words of a text, and texts of the larger batch.
LENGTH, BATCH = 64, 32
#: Rounds of a shape; passes of one round with one text, and with many.
_ROUNDS, _REPEATS, _BATCH_REPEATS = 5, 9, 1
_WARM = 2
#: A 95th percentile above so many medians is that of a busy machine.
_STEADY = 1.5
#: Rows of the embedding that is built for measuring: looking up one row costs the same in a table of any length.
_ROWS = 2048


@dataclass(frozen=True)
class Latency:
    """Milliseconds of a forward pass.

    Parameters
    ----------
    p50, p95
        Median and 95th percentile for one text of 64 sub-words, in the quietest round.
    batch_p50
        Median for 32 such texts, in the quietest round.
    repeats
        Passes with one text in all rounds.
    threads
        torch threads.
    """

    p50: float
    p95: float
    batch_p50: float
    repeats: int
    threads: int

    @property
    def unsteady(self) -> bool:
        """Whether something else kept the machine busy while it was measured."""
        return self.p95 > _STEADY * self.p50

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def latency_path(shape: EncoderShape, cache: Path, threads: int) -> Path:
    """Return where a shape's latency on this machine is kept; another torch or another machine has another place."""
    from importlib.metadata import version

    # the vocabulary is left out: it has no influence
    told = {
        "shape": shape.model_dump(mode="json", exclude={"vocabulary"}), "threads": threads, "torch": version("torch"),
        "machine": [platform.node(), platform.machine(), platform.processor(), os.cpu_count()],
    }  # fmt: skip
    key = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:24]
    return cache / "latency" / f"{key}.json"


def stored(shape: EncoderShape, cache: Path, threads: int) -> Latency | None:
    """Return what was measured before, or None."""
    try:
        found = json.loads(latency_path(shape, cache, threads).read_text(encoding="utf-8"))
        return Latency(**found["latency"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def latency_of(shape: EncoderShape, cache: Path, threads: int, *, check: Callable[[], None] = lambda: None) -> Latency:
    """Return a shape's latency on this machine, measured if it was not yet.

    Parameters
    ----------
    shape
        The shape.
    cache
        The home's cache folder.
    threads
        torch threads to measure with.
    check
        Called between passes; may raise to stop.

    Raises
    ------
    StorageError
        If what was measured cannot be kept.
    """
    found = stored(shape, cache, threads)
    if found is None:
        found = measure(shape, threads, check=check)
        keep(found, shape, cache)
    return found


def keep(found: Latency, shape: EncoderShape, cache: Path) -> None:
    """Store what was measured, in the place of what was measured before.

    Raises
    ------
    StorageError
        If it cannot be kept.
    """
    path = latency_path(shape, cache, found.threads)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"The cache cannot be written: {error.strerror}.", where=str(path.parent)) from error
    write_json(path, {"shape": shape.model_dump(mode="json"), "latency": found.as_dict(), "measured": time.time()})


def measure(shape: EncoderShape, threads: int, *, check: Callable[[], None] = lambda: None) -> Latency:
    """Time forward passes of an encoder of this shape with random weights, on the CPU."""
    return measure_in_turns({"shape": shape}, threads, check=check)["shape"]


def measure_in_turns(
    shapes: Mapping[str, EncoderShape], threads: int, *, check: Callable[[], None] = lambda: None
) -> dict[str, Latency]:
    """Time forward passes of several shapes with random weights, on the CPU, a round of each in turn.

    Parameters
    ----------
    shapes
        By a name of one's own. All are held in memory.
    threads
        torch threads to measure with.
    check
        Called between passes; may raise to stop.
    """
    import torch

    models = {name: _built(shape) for name, shape in shapes.items()}
    one: dict[str, list[list[float]]] = {name: [] for name in shapes}
    many: dict[str, list[list[float]]] = {name: [] for name in shapes}
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            for _ in range(_ROUNDS):
                for name, model in models.items():
                    one[name].append(_timed(model, 1, _REPEATS, check))
                    many[name].append(_timed(model, BATCH, _BATCH_REPEATS, check))
    finally:
        torch.set_num_threads(before)
    return {name: _quietest(one[name], many[name], threads) for name in shapes}


def _quietest(one: list[list[float]], many: list[list[float]], threads: int) -> Latency:
    """Return what the rounds with the lowest medians say."""
    import numpy as np

    p50, p95 = np.quantile(min(one, key=np.median), [0.5, 0.95])
    batch = min(float(np.median(passes)) for passes in many)
    return Latency(
        round(float(p50), 4), round(float(p95), 4), round(batch, 4), sum(len(passes) for passes in one), threads
    )


def _built(shape: EncoderShape) -> Any:
    import torch
    from transformers import AutoModel

    from core.models.shaped.configuration import config_of
    from core.models.shaped.register import register

    register()
    small = shape.model_copy(update={"vocabulary": min(shape.vocabulary, _ROWS)})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return AutoModel.from_config(config_of(small)).eval()


def _timed(model: Any, texts: int, repeats: int, check: Callable[[], None]) -> list[float]:
    """Return the milliseconds of each pass over so many texts."""
    import torch

    ids = (torch.arange(texts * LENGTH) * 7 % 100 + 1).view(texts, LENGTH) % int(model.config.vocab_size)
    mask = torch.ones_like(ids)
    found = []
    warm = _WARM if texts == 1 else 0
    for number in range(warm + repeats):
        check()
        began = time.perf_counter()
        model(input_ids=ids, attention_mask=mask)
        if number >= warm:
            found.append(1000 * (time.perf_counter() - began))
    return found
