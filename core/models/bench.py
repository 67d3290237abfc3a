"""How large a model is and how fast it answers on this machine. Only commands and helpers import torch here."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from core.errors import ConfigError, ModelError
from core.models.sources import longest_input, read_config, resolve
from core.models.weights import weight_files

__all__ = ["BATCHES", "LENGTHS", "bench_model"]

BATCHES, LENGTHS = (1, 32), (16, 64, 256)
_WARM = 3
_LEAST, _MOST = 5, 200


def bench_model(
    source: str | Path,
    *,
    batches: Sequence[int] = BATCHES,
    lengths: Sequence[int] = LENGTHS,
    threads: int | None = None,
    seconds: float = 2.0,
    check: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Measure a model on the CPU with texts of random pieces, each length full.

    Parameters
    ----------
    source
        ``bundled``, a model folder (or a run's), or ``hub:NAME``. A trained head is measured with it.
    batches
        Texts at once.
    lengths
        Sub-words of a text; longer ones than the model reads are left out.
    threads
        torch threads; all cores by default.
    seconds
        Spent on each combination, about; at least five passes.
    check
        Called between passes; may raise to stop.

    Returns
    -------
    dict
        ``source``, ``parameters``, ``file_bytes``, ``head`` (whether one was measured), ``threads``, ``memory_mb``
        (the process' resident set after the largest pass), ``left_out`` (lengths), ``timings`` [{``batch``, ``length``,
        ``p50_ms``, ``p95_ms``, ``texts_per_s``, ``passes``}].

    Raises
    ------
    ConfigError
        If no length can be read, or a number is absurd.
    ModelError
        If the model cannot be loaded.
    """
    import psutil
    import torch

    wrong = [number for number in (*batches, *lengths) if not 1 <= number <= 16_384]
    if wrong or not batches or not lengths:
        raise ConfigError(
            f"These cannot be measured: batches {list(batches)}, lengths {list(lengths)}.", where="batches, lengths",
            expected="whole numbers from 1 to 16384",
        )  # fmt: skip
    place = Path(source).expanduser()
    if place.is_dir() and (place / "best").is_dir():
        source = place / "best"
    resolved = resolve(str(source))
    config = read_config(resolved.folder)
    longest = longest_input(config) or max(lengths)
    usable = [length for length in lengths if length <= longest]
    if not usable:
        raise ConfigError(
            f"The model reads at most {longest} sub-words.", where="lengths", expected=f"a length up to {longest}"
        )
    model, head = _loaded(resolved.folder)
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    generator = torch.Generator().manual_seed(0)
    pieces = int(model.get_input_embeddings().num_embeddings)
    timings = []
    try:
        for batch in batches:
            for length in usable:
                ids = torch.randint(0, pieces, (batch, length), generator=generator)
                inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
                timings.append({"batch": batch, "length": length, **_timed(model, inputs, seconds, check)})
        used = psutil.Process().memory_info().rss / 1e6
        measured = torch.get_num_threads()
    finally:
        torch.set_num_threads(before)
    return {
        "source": str(resolved.folder if resolved.kind == "folder" else resolved.source),
        "parameters": sum(one.numel() for one in model.parameters()),
        "file_bytes": sum(file.stat().st_size for file in weight_files(resolved.folder)),
        "head": head, "threads": measured, "memory_mb": round(used, 1),
        "left_out": [length for length in lengths if length not in usable], "timings": timings,
    }  # fmt: skip


def _loaded(folder: Path) -> tuple[Any, bool]:
    """Return the model with its trained head, or the encoder where it has none."""
    import torch
    from transformers import AutoModel

    from core.models.folders import load_finished
    from core.models.loading import quiet
    from core.models.shaped.register import know

    try:
        return load_finished(folder).model.eval(), True
    except ModelError as error:
        if "no trained head" not in error.what:
            raise
    know(read_config(folder))
    try:
        with quiet():
            model = AutoModel.from_pretrained(
                str(folder), trust_remote_code=False, local_files_only=True, use_safetensors=True, dtype=torch.float32
            )
    except Exception as error:
        raise ModelError(
            f"The encoder cannot be loaded: {(str(error).splitlines() or [''])[0][:300]}", where=str(folder),
            expected="an encoder that transformers has built in",
        ) from error  # fmt: skip
    return model.eval(), False


def _timed(model: Any, inputs: dict[str, Any], seconds: float, check: Callable[[], None]) -> dict[str, Any]:
    import numpy as np
    import torch

    times: list[float] = []
    with torch.inference_mode():
        for _ in range(_WARM):
            check()
            model(**inputs)
        until = time.perf_counter() + seconds
        while len(times) < _LEAST or (time.perf_counter() < until and len(times) < _MOST):
            check()
            started = time.perf_counter()
            model(**inputs)
            times.append(time.perf_counter() - started)
    p50, p95 = (float(one) for one in np.percentile(times, [50, 95]))
    rate = len(inputs["input_ids"]) / p50 if p50 > 0 else math.inf
    return {
        "p50_ms": round(1e3 * p50, 4), "p95_ms": round(1e3 * p95, 4), "texts_per_s": round(rate, 2),
        "passes": len(times),
    }  # fmt: skip
