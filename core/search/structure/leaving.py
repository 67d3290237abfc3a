"""What a trained candidate leaves in its child run: results and encoder, as a run of kind ``distil`` leaves them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.config.shape import EncoderShape
from core.models.loading import load_tokenizer
from core.models.shaped import count
from core.models.shaped.distance import distance
from core.models.shaped.inherit import Inherited
from core.models.sources import resolve
from core.search.distil_card import card
from core.search.inheriting import Calibration
from core.search.structure.records import Candidate
from core.search.structure.students import Students
from core.search.structure.work import Work
from core.search.students import write_model
from core.training.context import ChildContext
from core.training.files import remove, write_json

__all__ = ["close", "encoder_of", "export", "keep_front"]


def close(
    work: Work, candidate: Candidate, child: ChildContext, student: Inherited, calibration: Calibration
) -> None:  # fmt: skip
    """Write ``results.json`` of a candidate that a rung has trained, and end its run."""
    found = _found(work, candidate, student, calibration)
    metrics = {
        "held/after": found["after"], "held/before": found["before"],
        "parameters/student": float(candidate.total), "parameters/parent": float(work.record.parent["parameters"]),
        "held/last_state": found["distance"]["last"],
    }  # fmt: skip
    details = {
        "distil": found,
        "candidate": {
            "search": work.folder.name, "key": candidate.key, "source": candidate.source, "label": candidate.label,
            "rungs": [one.number for one in candidate.rungs],
        },
    }  # fmt: skip
    write_json(child.folder / "results.json", {"metrics": metrics, "details": details})
    last = candidate.rungs[-1]
    best = {"metric": "held/loss", "value": last.loss, "step": last.steps}
    child.progress(phase="finished", step=last.steps, best=best, eta_s=0.0)
    child.finish("finished", metrics=metrics)


def export(work: Work, candidate: Candidate, students: Students, calibration: Calibration) -> None:
    """Write the encoder of a candidate into its child run, if it is not there."""
    assert candidate.run is not None
    place = encoder_of(work, candidate)
    if (place / "config.json").is_file():
        return
    kept = students.read(candidate.key)
    if kept is None:
        work.note(f"The weights of {'-'.join(map(str, candidate.widths))} are gone; it keeps no encoder.")
        return
    student = students.with_weights(candidate, kept.weights)
    found = _found(work, candidate, student, calibration)
    plain = candidate.encoder_shape.plain
    words = card(work.distil_config(candidate, candidate.steps), found, shaped=not plain, run_id=candidate.run)
    # one that has cut no text: a tokenizer keeps the length that it cut at
    tokenizer = load_tokenizer(resolve(work.config.model.source, work.config.model.revision))
    report = {name: value for name, value in found.items() if name not in ("seconds", "curve")}
    place.parent.mkdir(parents=True, exist_ok=True)
    write_model(place, student.model, tokenizer, words, report)


def encoder_of(work: Work, candidate: Candidate) -> Path:
    """Return the folder of a candidate's encoder."""
    assert candidate.run is not None
    return work.folder_of(candidate.run) / "best"


def keep_front(work: Work, students: Students, calibration: Calibration) -> None:
    """Write the encoders of the front, and remove all other weights."""
    for candidate in work.candidates.values():
        if candidate.run is None:
            continue
        if candidate.key in work.record.front:
            export(work, candidate, students, calibration)
        else:
            remove(encoder_of(work, candidate))
            if candidate.finetune_run is not None:
                remove(work.folder_of(candidate.finetune_run) / "best")
    students.clear()
    work.record.bytes = sum(
        path.stat().st_size
        for candidate in work.candidates.values() for run in (candidate.run, candidate.finetune_run) if run
        for path in (work.folder_of(run) / "best").glob("*") if path.is_file()
    )  # fmt: skip


def _found(work: Work, candidate: Candidate, student: Inherited, calibration: Calibration) -> dict[str, Any]:
    """Return what results.json of a run of kind ``distil`` has under ``details.distil``."""
    shape: EncoderShape = candidate.encoder_shape
    after = distance(student, calibration.held_out)
    cost, first, last, parent = count(shape), candidate.rungs[0], candidate.rungs[-1], work.record.parent
    return {
        "before": first.before, "after": last.loss, "steps": last.steps,
        "seconds": round(sum(one.seconds for one in candidate.rungs), 2),
        "distance": after.as_dict(), "curve": [list(point) for one in candidate.rungs for point in one.curve],
        "parameters": {"parent": parent["parameters"], "student": cost.total},
        "body": {"parent": parent["body"], "student": cost.body},
        "shape": shape.model_dump(mode="json", exclude_none=True),
        "layers": [
            {
                "layer": at, "width": layer.width, "heads": layer.heads, "intermediate": layer.intermediate,
                "parent": source + 1, "reaches": reaches + 1,
                "basis": "identity" if layer.width >= parent["width"] else "pca", "after": error,
            }
            for at, (layer, (source, reaches), error) in enumerate(
                zip(shape.layers, candidate.segments, after.layers, strict=True), 1
            )
        ],
        "segments": [list(pair) for pair in candidate.segments],
        "tokens": {
            "fit": calibration.fit.tokens, "held_out": calibration.held_out.tokens,
            "train": sum(map(len, calibration.train)),
        },
        "parent": work.parent.source,
    }  # fmt: skip
