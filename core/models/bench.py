"""How large models are and how fast they answer on this machine, several in turns. Nothing here imports torch.

Every model is measured in a process of its own, so that its memory is its own; while one is timed the others wait.
"""

from __future__ import annotations

import contextlib
import math
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.errors import BertloomError, ConfigError
from core.models.bench_process import Measured
from core.models.onnx_export import versions
from core.models.onnx_folder import is_onnx, read_about, read_graph
from core.models.sources import BUNDLED, longest_input, read_config, resolve
from core.models.weights import weight_files

__all__ = ["BATCHES", "LENGTHS", "bench_model", "bench_models", "machine", "usual_threads"]

BATCHES, LENGTHS = (1, 32), (16, 64, 256)
#: Times that the models take turns for each size of batch and text.
ROUNDS = 3
_LEAST = 2


def bench_model(
    source: str | Path,
    *,
    batches: Sequence[int] = BATCHES,
    lengths: Sequence[int] = LENGTHS,
    threads: int | None = None,
    seconds: float = 2.0,
    check: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Measure one model; see :func:`bench_models`.

    Returns
    -------
    dict
        What is said of the model, and ``threads``, ``machine``, ``versions``, ``measured``.

    Raises
    ------
    ConfigError, ModelError
        See :func:`bench_models`.
    """
    found = bench_models(
        {"model": source}, batches=batches, lengths=lengths, threads=threads, seconds=seconds, check=check
    )
    (one,) = found.pop("models").values()
    if "error" in one:
        raise one["error"]
    return {**one, **found}


def bench_models(
    sources: Mapping[str, str | Path],
    *,
    batches: Sequence[int] = BATCHES,
    lengths: Sequence[int] = LENGTHS,
    threads: int | None = None,
    seconds: float = 2.0,
    check: Callable[[], None] = lambda: None,
    tell: Callable[[float, str], None] = lambda share, doing: None,
) -> dict[str, Any]:
    """Measure models on the CPU with texts of random pieces, each length full, in turns.

    For each size of batch and text the models take turns three times, so that a busy moment of the machine hits all.

    Parameters
    ----------
    sources
        By a name of one's own: ``bundled``, a model folder (or a run's), an ONNX export, or ``hub:NAME``. A trained
        head is measured with its encoder.
    batches
        Texts at once.
    lengths
        Sub-words of a text; longer ones than a model reads are left out.
    threads
        Threads of torch and onnxruntime; as many as there are cores by default.
    seconds
        Spent on each model and size, about; at least six passes.
    check
        Called between measurements; may raise to stop.
    tell
        Called with the share that is done and what is being done.

    Returns
    -------
    dict
        ``models`` {name: what is said of it}, ``threads``, ``seconds``, ``machine`` {``processor``, ``cores``,
        ``system``}, ``versions``, ``measured`` (seconds since the epoch). Of a model: ``source``, ``format``
        (``safetensors``, ``onnx``, ``onnx-int8``), ``parameters``, ``file_bytes``, ``head`` (whether one was
        measured), ``memory_mb`` (most that its process held while it answered), ``libraries_mb`` (what it held before
        the model was loaded), ``left_out`` (lengths), ``timings`` [{``batch``, ``length``, ``p50_ms``, ``p95_ms``,
        ``texts_per_s`` (by the median), ``passes``}]; or ``error`` (a BertloomError) where it could not be measured.

    Raises
    ------
    ConfigError
        If there is nothing to measure, no length can be read, or a number is absurd.
    """
    wrong = [number for number in (*batches, *lengths) if not 1 <= number <= 16_384]
    if wrong or not batches or not lengths or not sources:
        raise ConfigError(
            f"These cannot be measured: batches {list(batches)}, lengths {list(lengths)}.", where="batches, lengths",
            expected="whole numbers from 1 to 16384",
        )  # fmt: skip
    used = threads or usual_threads()
    found: dict[str, dict[str, Any]] = {}
    with contextlib.ExitStack() as opened:
        processes: dict[str, Measured] = {}
        for number, (name, source) in enumerate(sources.items()):
            check()
            tell(0.1 * number / len(sources), f"loading {name}")
            try:
                found[name], folder, spare = _described(source, lengths)
                processes[name] = opened.enter_context(Measured(folder, threads=used))
                found[name].update(processes[name].facts, **spare)
            except BertloomError as error:
                found[name] = {"source": str(source), "error": error}
        times = _in_turns(processes, found, (batches, lengths), seconds, check, tell)
        for name, process in processes.items():
            if "error" not in found[name]:
                found[name]["memory_mb"] = process.peak_mb()
                found[name]["timings"] = [_timing(*size, values) for size, values in times[name].items()]
    return {
        "models": found, "threads": used, "seconds": seconds, "machine": machine(), "versions": versions(),
        "measured": round(time.time()),
    }  # fmt: skip


def _described(source: str | Path, lengths: Sequence[int]) -> tuple[dict[str, Any], Path, dict[str, Any]]:
    """Return what files say of a model, its folder, and what stands in for facts that its process does not know."""
    place = Path(source).expanduser()
    if is_onnx(place):
        graph, about, folder = read_graph(place), read_about(place), place.absolute()
        format = str(about.get("format") or ("onnx-int8" if graph.quantised else "onnx"))
        size = graph.bytes
        known = {"parameters": int(about.get("parameters") or graph.weights), "head": graph.head}
    else:
        if place.is_dir() and (place / "best").is_dir():
            source = place / "best"
        resolved = resolve(str(source))
        folder, format, known = resolved.folder, "safetensors", {}
        source = folder if resolved.kind == "folder" else resolved.source
        size = sum(file.stat().st_size for file in weight_files(folder))
    longest = longest_input(read_config(folder)) or max(lengths)
    usable = [length for length in lengths if length <= longest]
    if not usable:
        raise ConfigError(
            f"The model reads at most {longest} sub-words.", where="lengths", expected=f"a length up to {longest}"
        )
    left_out = [length for length in lengths if length > longest]
    shown = BUNDLED if str(source) == BUNDLED else str(source)
    return {"source": shown, "format": format, "file_bytes": size, "left_out": left_out}, folder, known


def _in_turns(
    processes: Mapping[str, Measured], found: Mapping[str, dict[str, Any]],
    sizes: tuple[Sequence[int], Sequence[int]], seconds: float, check: Callable[[], None],
    tell: Callable[[float, str], None],
) -> dict[str, dict[tuple[int, int], list[float]]]:  # fmt: skip
    times: dict[str, dict[tuple[int, int], list[float]]] = {name: {} for name in processes}
    work = [
        (batch, length, turn, name) for batch in sizes[0] for length in sizes[1] for turn in range(ROUNDS)
        for name in processes if length not in found[name]["left_out"]
    ]  # fmt: skip
    for number, (batch, length, turn, name) in enumerate(work):
        if "error" in found[name]:
            continue
        check()
        tell(0.1 + 0.9 * number / len(work), f"{batch} × {length}, turn {turn + 1} of {ROUNDS}: {name}")
        try:
            values = processes[name].time(batch, length, seconds / ROUNDS, _LEAST)
        except BertloomError as error:
            found[name]["error"] = error
            continue
        times[name].setdefault((batch, length), []).extend(values)
    return times


def _timing(batch: int, length: int, values: list[float]) -> dict[str, Any]:
    import numpy as np

    p50, p95 = (float(one) for one in np.percentile(values, [50, 95]))
    return {
        "batch": batch, "length": length, "p50_ms": round(1e3 * p50, 4), "p95_ms": round(1e3 * p95, 4),
        "texts_per_s": round(batch / p50 if p50 > 0 else math.inf, 2), "passes": len(values),
    }  # fmt: skip


def usual_threads() -> int:
    """Return how many threads are used where nobody says: ``OMP_NUM_THREADS``, else the cores of this process."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    if told.isdigit() and int(told):
        return int(told)
    import psutil

    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, psutil.cpu_count(logical=False) or allowed))


def machine() -> dict[str, Any]:
    """Return what this machine is, as far as it counts for speed: ``processor``, ``cores``, ``system``."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    return {
        "processor": name[:100],
        "cores": os.cpu_count() or 1,
        "system": f"{platform.system()} {platform.machine()}",
    }
