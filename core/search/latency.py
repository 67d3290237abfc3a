"""How long a shape takes on this machine: measured once, stored with the shape, and read by every search.

Only workers and commands measure: that loads torch.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.config.shape import EncoderShape
from core.errors import StorageError
from core.training.files import write_json

__all__ = ["LENGTH", "Latency", "latency_of", "latency_path", "measure", "stored"]

#: Sub-words of a text, and texts of the larger batch.
LENGTH, BATCH = 64, 32
_REPEATS, _BATCH_REPEATS = 31, 5
_WARM = 4
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
        Median and 95th percentile for one text of 64 sub-words.
    batch_p50
        Median for 32 such texts.
    repeats
        Passes with one text.
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
        path = latency_path(shape, cache, threads)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"The cache cannot be written: {error.strerror}.", where=str(path.parent)) from error
        write_json(path, {"shape": shape.model_dump(mode="json"), "latency": found.as_dict(), "measured": time.time()})
    return found


def measure(shape: EncoderShape, threads: int, *, check: Callable[[], None] = lambda: None) -> Latency:
    """Time forward passes of an encoder of this shape with random weights, on the CPU."""
    import numpy as np
    import torch

    model = _built(shape)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            one = _timed(model, 1, _REPEATS, check)
            many = _timed(model, BATCH, _BATCH_REPEATS, check)
    finally:
        torch.set_num_threads(before)
    p50, p95 = np.quantile(one, [0.5, 0.95])
    return Latency(round(float(p50), 4), round(float(p95), 4), round(float(np.median(many)), 4), len(one), threads)


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
    for number in range(_WARM + repeats):
        check()
        began = time.perf_counter()
        model(input_ids=ids, attention_mask=mask)
        if number >= _WARM:
            found.append(1000 * (time.perf_counter() - began))
    return found
