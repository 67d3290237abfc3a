"""What the experiment's teacher and students cost: as safetensors, ONNX, and ONNX with weights of 8 bits, in turns."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.config import Plan
from core.models import export_model
from core.models.bench import bench_models
from core.training import MemoryContext, Outcome, train
from tests.benchmarks.distillation_arms import LAYERS, TASKS, Job, student_plan

__all__ = ["EXPORTED", "SECONDS", "costs", "measure_speed"]

#: The task whose models are measured as ONNX too: with both it would take twice as long and say the same of speed.
EXPORTED = TASKS[0]
#: Seconds for each model and size, about; large batches take longer, because at least six passes count.
SECONDS = 0.5
#: What a file of results keeps of what is said of a model.
_KEPT = ("format", "parameters", "file_bytes", "memory_mb", "libraries_mb", "timings")
_CHECKED = ("role", "rows", "of", "metric", "torch", "onnx", "agreement", "why")


def measure_speed(cache: Path) -> dict[str, Any]:
    """Measure the first seed's teacher of each task and students of it.

    Parameters
    ----------
    cache
        Holds the teachers, and keeps the trained students.

    Returns
    -------
    dict
        By task what :func:`costs` returns; tasks without a teacher are left out.
    """
    found: dict[str, Any] = {}
    for task in TASKS:
        teacher = cache / f"{task}_0" / "best"
        if not teacher.is_dir():
            continue
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="bertloom-speed-") as folder:
            models = {"teacher": teacher}
            for layers in LAYERS:
                # Of exports answers are compared too, and an untrained student's say little.
                steps = None if task == EXPORTED else 1
                models[str(layers)] = _student(task, layers, teacher, cache, Path(folder), steps)
            print(f"{task}: students are there after {time.monotonic() - started:.0f} s", flush=True)
            found[task] = costs(models, Path(folder), exports=task == EXPORTED, cache=cache)
        print(f"{task}: measured after {time.monotonic() - started:.0f} s", flush=True)
    return found


def _student(task: str, layers: int, teacher: Path, cache: Path, folder: Path, steps: int | None) -> Path:
    """Return a student by plain distillation: a whole one is kept in the cache, one of a few steps is not."""
    job = Job(task, 0, layers, "plain")
    kept = cache / "students" / job.key
    if steps is None and (kept / "results.json").exists():
        return kept / "best"
    place = folder / job.key
    place.mkdir()
    plan = student_plan(job, str(teacher)).model_dump()
    if steps is not None:
        plan["stages"][0] |= {"steps": steps, "kind": "train", "distil": None}
    if train(Plan.model_validate(plan), MemoryContext(place, cache), resume=False) is not Outcome.FINISHED:
        raise SystemExit(f"{job.key} was not finished")
    if steps is not None:
        return place / "best"
    shutil.rmtree(kept, ignore_errors=True)
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(place, kept)
    return kept / "best"


def costs(
    models: Mapping[str, Path], folder: Path, *, exports: bool, cache: Path | None = None, **bench: Any
) -> dict[str, Any]:
    """Measure models, and their exports, in turns.

    Parameters
    ----------
    models
        Folders by name; the first is what others are compared with.
    folder
        Where exports are written.
    exports
        Whether they are measured as ONNX too.
    cache
        Where read data lies, for comparing answers on rows.
    bench
        Passed to :func:`core.models.bench.bench_models`.

    Returns
    -------
    dict
        ``models`` {name, or name and format: what was measured, ``of`` (the name), and of exports ``check``
        {``max_difference`` and ``agreement`` on random pieces, ``rows``}}, ``threads``, ``machine``, ``versions``,
        ``measured``.

    Raises
    ------
    BertloomError
        If a model cannot be exported or measured.
    """
    places, of, checks = dict(models), {name: name for name in models}, {}
    for name, source in models.items() if exports else ():
        for format in ("onnx", "onnx-int8"):
            key = f"{name} {format}"
            places[key] = export_model(source, folder / key.replace(" ", "-"), format=format, cache=cache)
            of[key] = name
            about = json.loads((places[key] / "onnx.json").read_text(encoding="utf-8"))
            rows = about["rows"] and {what: about["rows"][what] for what in _CHECKED if what in about["rows"]}
            checks[key] = {**{what: about["batches"][what] for what in ("max_difference", "agreement")}, "rows": rows}
    found = bench_models(places, **{"seconds": SECONDS, **bench})
    measured: dict[str, Any] = {}
    for key, one in found.pop("models").items():
        if "error" in one:
            raise one["error"]
        measured[key] = {"of": of[key], **{what: one[what] for what in _KEPT}}
        if key in checks:
            measured[key]["check"] = checks[key]
    return {"models": measured, **found}
