"""What a checkpoint says of a run: tensors of all stages so far, and everything else as plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from core.errors import BertloomError, ModelError
from core.training.checkpoints import Loaded, restore_random_state
from core.training.distil.maps import PREFIX
from core.training.joint.weighting import PREFIX as WEIGHTS
from core.training.kinds import StageOutcome

if TYPE_CHECKING:
    from core.training.run import Run
    from core.training.stage import StageRun

__all__ = ["restore", "resume_stage", "save", "state_of", "tensors_of"]

#: Marks the whole word embedding of which a stage trains some rows, where an earlier stage has changed it.
_BASE = "|base"


def save(run: Run, *, wanted: bool = False) -> bool:
    """Write a checkpoint of this moment, and tell it where a person asked for it.

    Returns
    -------
    bool
        Whether it stands on the disk.
    """
    if run.checkpoints is None or run.best is None:
        return False
    if run.current is not None and run.current.ready:
        run.current.attempt.judge()
    run.context.flush()
    if not run.best.write() or not run.points.settle():
        run.checkpoints.postpone()
        return False  # a checkpoint must not speak of what is not on the disk
    tensors, optimizer = tensors_of(run)
    saved = run.checkpoints.save(run.step, tensors, optimizer, state_of(run))
    if saved:
        run.points.rely(run.needed_points())
        if wanted:
            run.event("checkpoint", f"Checkpoint at step {run.step}.", step=run.step)
    return saved


def tensors_of(run: Run) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Return what a checkpoint holds of model and optimiser, by name.

    Parameters that no stage so far has changed are rebuilt from plan and seed, not kept. In the middle of a stage that
    trains some rows of the word embedding, these rows stand under its name.
    """
    material = run.material
    parameters = material.parameters
    tensors = {name: parameters[name].detach() for name in sorted(material.touched)}
    tensors.update(material.kept_buffers())
    if material.rows is not None and material.touched_before:
        name = next(name for name, parameter in parameters.items() if parameter is material.rows.rows)
        if name in material.touched_before:
            tensors[name + _BASE] = material.rows.base
    if run.current is not None and run.current.ready:  # learned maps are the stage's, not the model's
        tensors.update({name: one.detach() for name, one in run.current.session.maps.items()})
    open_stage = run.current is not None and run.current.ready
    return tensors, run.current.session.optimiser.state_tensors() if open_stage and run.current else {}


def state_of(run: Run) -> dict[str, Any]:
    """Return everything else that an exact resume needs, as plain data."""
    current = run.current if run.current is not None and run.current.ready else None
    place = [run.index, 0, 0, False]
    if current is not None:
        place = [run.index, current.attempt.number, current.attempt.own, current.done is not None]
        place.append(current.teaching.applied if current.teaching is not None else 0)
    assert run.keeper is not None
    return {
        "place": place, "index": run.index, "origin": run.origin, "stages": [stage.name for stage in run.active],
        "choices": run.choices, "seconds": run.elapsed(), "entries": run.entries, "decisions": run.decisions,
        "kept": run.kept, "keeper": run.keeper.state_dict(), "best_index": run.best_index,
        "stopped_early": run.stopped_early, "ended": run.ended, "touched": sorted(run.material.touched),
        "touched_before": sorted(run.material.touched_before),
        "points": sorted(run.needed_points()), "stage": None if current is None else _state_of_stage(current),
    }  # fmt: skip


def _state_of_stage(part: StageRun) -> dict[str, Any]:
    rows = part.session.prepared.rows
    done = None if part.done is None else vars(part.done)
    return {
        "name": part.stage.name, "steps": part.session.prepared.steps, "row_decay": part.session.row_decay,
        "rows": None if rows is None else int(rows.rows.shape[0]),
        "attempt": part.attempt.state_dict(), "rest": part.attempt.rest_dict(),
        "begun_again": part.begun_again, "repeating": part.repeating, "attempts": part.attempts,
        "start": part.start, "began_with": part.began_with, "keeper": part.keeper.state_dict(),
        "best": part.best, "gate": part.gate, "gate_seconds": part.gate_seconds, "seconds": part.elapsed(),
        "done": done, "alike": part.session.alike, "session": part.session.state_dict(),
        "teaching": None if part.teaching is None else part.teaching.state_dict(),
    }  # fmt: skip


def restore(run: Run, loaded: Loaded) -> None:
    """Put a run where a checkpoint left off; the stage in the middle takes its part when it is built.

    Raises
    ------
    ModelError
        If model, data or plan changed since it was written.
    BertloomError
        If it was written on another kind of device.
    """
    state, material = loaded.state, run.material
    if state["origin"] != run.origin or state["stages"] != [stage.name for stage in run.active]:
        raise _does_not_fit(run)
    chosen = state["choices"]
    if chosen and material.device.type != chosen["device"].split(":")[0]:
        raise BertloomError(
            f"The run began on {chosen['device']}; this is {material.device}.",
            where="runtime.device", advice="Resume it on the same kind of device, or start a new run.",
        )  # fmt: skip
    middle = state["stage"] is not None
    whole = {
        name.removesuffix(_BASE): tensor for name, tensor in loaded.tensors.items()
        if name + _BASE not in loaded.tensors and not name.startswith((PREFIX, WEIGHTS))
    }  # fmt: skip
    material.put(whole, skip_other_shapes=middle)
    material.touched = set(state["touched_before"] if middle else state["touched"])
    run.step, run.index, run.choices = loaded.step, state["index"], chosen
    run.seconds, run.entries, run.decisions = state["seconds"], state["entries"], state["decisions"]
    run.kept, run.best_index = state["kept"], state["best_index"]
    run.stopped_early, run.ended = state["stopped_early"], state["ended"]
    assert run.keeper is not None
    run.keeper.load_state_dict(state["keeper"])
    if middle:
        run.loaded = loaded
    else:
        restore_random_state(loaded.random, loaded.state["random"])


def resume_stage(part: StageRun, loaded: Loaded) -> None:
    """Put a stage where a checkpoint in the middle of it left off.

    Raises
    ------
    ModelError
        If model, data or plan changed since it was written.
    """
    state, prepared = loaded.state["stage"], part.session.prepared
    rows = None if prepared.rows is None else int(prepared.rows.rows.shape[0])
    if state["steps"] != prepared.steps or state["rows"] != rows or state["name"] != part.stage.name:
        raise _does_not_fit(part.run)
    if state.get("alike") is not None:
        part.session.alike = [(own, other) for own, other in state["alike"]]
    part.session.put(loaded.tensors, state["row_decay"])
    part.session.optimiser.load_state_tensors(loaded.optimizer)
    part.attempt.load_state_dict(state["attempt"])
    part.attempt.load_rest_dict(state["rest"])
    part.begun_again, part.repeating = state["begun_again"], state["repeating"]
    part.attempts, part.start, part.began_with = state["attempts"], state["start"], state["began_with"]
    part.keeper.load_state_dict(state["keeper"])
    part.best, part.gate = state["best"], state["gate"]
    part.gate_seconds, part.seconds = state["gate_seconds"], state["seconds"]
    part.taught = state.get("teaching")
    part.session.load_state_dict(state.get("session") or {})
    if state["done"] is not None:
        part.done = StageOutcome(**state["done"])
    restore_random_state(loaded.random, loaded.state["random"])
    part.run.event("info", f"Resumed at step {part.run.step}.", step=part.run.step)


def _does_not_fit(run: Run) -> ModelError:
    return ModelError(
        "The checkpoint does not fit: model, data or plan changed since it was written.",
        where=str(run.folder / "checkpoints"),
        expected="the same files as when the run began",
        advice="Put the files back, or start a new run.",
    )
