"""The order of things in a training run: loading, stage after stage, testing, results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import core.training.stage  # noqa: F401  (a waiting worker imports this module so that training begins at once)
from core.config import Plan, Stage
from core.errors import TrainingDiverged
from core.training.context import Outcome, Request, RunContext
from core.training.device import exclusive, reading_errors
from core.training.distil.controls import FILE as CHANGES
from core.training.distil.places import TAUGHT
from core.training.files import recover, remove, sweep, write_json
from core.training.kinds import executor
from core.training.pointing import look_at_test
from core.training.results import environment, load_best, write_results
from core.training.run import Run, Stopped
from core.training.state import restore

if TYPE_CHECKING:
    import numpy as np

__all__ = ["execute", "train"]


def train(plan: Plan, context: RunContext, *, resume: bool = True) -> Outcome:
    """Execute a plan.

    Parameters
    ----------
    plan
        The complete plan.
    context
        Where numbers, events and files go, and where requests come from.
    resume
        Go on from the run folder's newest whole checkpoint, if there is one.

    Returns
    -------
    Outcome
        Finished, paused or cancelled.

    Raises
    ------
    BertloomError
        If data, model or plan cannot be used, the memory does not suffice, or a guard holds.
    """
    with reading_errors(), exclusive(deterministic=plan.runtime.deterministic):
        return execute(Run(plan, context), resume=resume)


def execute(run: Run, *, resume: bool) -> Outcome:
    """Take a run from its loading to its results; the process must be its own (:func:`train` sees to that)."""
    try:
        if resume and (run.folder / "results.json").exists():
            run.event("info", "This run is already finished.")  # the end came between results and the record
            return Outcome.FINISHED
        _set_up(run, resume)
        _stages(run)
        _finish(run)
        return Outcome.FINISHED
    except Stopped as stopped:
        return stopped.outcome
    except TrainingDiverged as error:
        run.event("guard", error.message(), step=run.step)
        raise
    finally:
        run.close()
        run.context.flush()


def _set_up(run: Run, resume: bool) -> None:
    assert run.checkpoints is not None
    run.folder.mkdir(parents=True, exist_ok=True)
    if not resume:
        run.checkpoints.clear()
        run.points.clear()
        remove(run.folder / "best")
        (run.folder / "results.json").unlink(missing_ok=True)
        for place in (run.folder, *run.folder.glob(f"{TAUGHT}/*")):
            (place / CHANGES).unlink(missing_ok=True)
    sweep(run.folder)
    recover(run.folder / "best")
    run.points.tidy()
    material = run.load()
    run.begin_material(material)
    report = material.roles.report
    if report:
        write_json(run.folder / "data_report.json", report if isinstance(report, dict) else report.as_dict())
    loaded = run.checkpoints.load(material.device) if resume else None
    if loaded is not None:
        restore(run, loaded)
        run.points.rely(loaded.state["points"])


def _stages(run: Run) -> None:
    """Execute stage after stage. The last one, if it trains, stays open: its engine tests, and a stop resumes there."""
    while run.index < len(run.active) and not run.ended:
        middle = run.loaded is not None
        stage = _with_suggestion(run, run.active[run.index], told=middle)
        if not middle:
            _between(run, stage)
        outcome = executor(stage.kind)(run, stage, run.index)
        if stage.trains:
            run.outcome = outcome
            if outcome.stop or run.index == len(run.active) - 1:
                return
        elif outcome.metrics is not None:
            run.offer(outcome.metrics, run.index)
        run.leave(outcome, stage)


def _between(run: Run, stage: Stage) -> None:
    """Put the weights in place that a stage begins with, and write a checkpoint of this moment."""
    run.begin_with(stage.start_from)
    if not stage.trains:
        run.event(
            "stage", f"Stage {stage.name}: {stage.kind.replace('_', ' ')}.", step=run.step,
            data={"name": stage.name, "kind": stage.kind, "index": run.index, "attempt": 1, "own_step": 0,
                  "first_step": run.step + 1, "lr_scale": 1.0},
        )  # fmt: skip
        run.context.progress(stage=run.index, stage_name=stage.name, stages=len(run.active), attempt=1)
    if run.index > 0 or not stage.trains:
        run.save()


def _with_suggestion(run: Run, stage: Stage, *, told: bool) -> Stage:
    """Return the stage with the suggestion of the range test that it names in place of its rates."""
    if stage.lr_from is None:
        return stage
    found = next((entry["suggestion"] for entry in run.entries if entry["name"] == stage.lr_from), None)
    if not found or found.get("lr") is None:
        if not told:
            run.event(
                "warning", f"{stage.lr_from} suggests no learning rate; {stage.name} keeps its own, {stage.lr:.3g}.",
                step=run.step,
            )  # fmt: skip
        return stage
    lr = float(found["lr"])
    head = found.get("head_lr", lr if stage.head_lr is not None else None)
    if not told:
        words = f"{lr:.3g}" if head is None else f"{lr:.3g}, for the head {head:.3g}"
        run.event("info", f"{stage.name} takes its learning rate from {stage.lr_from}: {words}.", step=run.step)
    return stage.model_copy(update={"lr": lr, "head_lr": None if head is None else float(head)})


def _finish(run: Run) -> None:
    assert run.best is not None
    assert run.keeper is not None
    assert run.checkpoints is not None
    trains = [stage for stage in run.active if stage.kind != "range_test"]
    metrics: dict[str, float] = {}
    details: dict[str, Any] = {}
    teachers: list[dict[str, Any]] = []
    if trains:
        if "gate" in run.material.encoded:
            run.best.write(must=True)
            if run.keeper.step is None:
                raise TrainingDiverged(
                    "No evaluation on gate gave a number, so there is no best model.",
                    where=f"gate/{run.keeper.metric}",
                    advice="Lower the learning rate, and leave the guard against NaN on.",
                )
        else:
            run.best.write_last(run.step)
        run.phase("testing")
        kept: dict[str, list[np.ndarray]] | None = {} if run.taught else None
        metrics, details = _test(run, trains[-1], kept)
        if kept is not None:
            run.phase("testing the teacher")
            teachers = run.teacher_results(kept)
    training = {
        "steps": run.step, "total_steps": run.planned_steps(), "stopped_early": run.stopped_early,
        "best": run.best_dict(),
        "seconds": round(run.elapsed(), 2),
        "rows": {role: len(getattr(run.material.roles, role)) for role in run.material.encoded},
        "features": {role: len(encoded.features) for role, encoded in run.material.encoded.items()},
    }  # fmt: skip
    if run.plan.runtime.keep == "all":
        run.save()
    write_results(
        run.folder,
        {"metrics": metrics, "details": details, "choices": run.choices, "training": training,
         "stages": run.all_entries(), "decisions": run.decisions, **({"teachers": teachers} if teachers else {}),
         **run.told(), "environment": environment(run.material.device, run.choices)},
        run.material,
    )  # fmt: skip
    run.points.clear()
    if run.plan.runtime.keep != "all":
        run.checkpoints.clear()
    if run.plan.runtime.keep == "metrics":
        remove(run.best.folder)
    total = max(run.planned_steps(), run.step)
    run.context.progress(phase="finished", step=run.step, total_steps=total, eta_s=0.0)


def _test(
    run: Run, stage: Stage, keep: dict[str, list[np.ndarray]] | None
) -> tuple[dict[str, float], dict[str, Any]]:  # fmt: skip
    """Score gate and test with the best model, and put the last weights back; `keep` is given its logits."""
    assert run.best is not None
    current = run.current
    session = run.open(_plain(stage), 0, fresh=False) if current is None else current.session
    # Weights that another stage left do not belong to the activations in this one's cache.
    foreign = current is None or (run.best_index is not None and run.best_index != current.index)
    if foreign:
        for engine in session.engines:
            engine.feeds.clear()
    last = run.copies() if foreign else session.weights.take()

    def put_back() -> None:
        run.put_copies(last) if foreign else session.weights.put(last)

    def check() -> None:
        asked = run.context.request()
        if asked in (Request.PAUSE, Request.CANCEL):
            put_back()
            if current is None:
                session.close()
            run.save(wanted=True)
            raise Stopped(Outcome.PAUSED if asked is Request.PAUSE else Outcome.CANCELLED)

    try:
        load_best(run.material, run.best.folder)
        found = session.score_roles(check, keep)
        look_at_test(session, run.folder, max(0, len(run.active) - 1), run.step, run.event)
        put_back()
        return found
    finally:
        if current is None:
            session.close()


def _plain(stage: Stage) -> Stage:
    """Return a stage that is only to be scored."""
    return stage.model_copy(update={"kind": "train", "distil": None, "reinit_top_n": 0, "cache_activations": False})
