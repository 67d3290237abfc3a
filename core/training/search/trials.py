"""One seed of one trial as a child run: its stage and plan, its training, and how the child ends."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from core.config import Plan, SearchConfig, Stage
from core.config.space import Value, trial_stage
from core.errors import ConfigError, DeviceError, TrainingDiverged
from core.training.device import reading_errors
from core.training.files import remove
from core.training.results import write_results
from core.training.search.told import pruned_words

if TYPE_CHECKING:
    from core.training.context import ChildContext
    from core.training.run import Run
    from core.training.search.history import Tried
    from core.training.search.study import Study
    from core.training.snapshot import Snapshot
    from core.training.stage import Evaluated
    from core.training.trial import Trained

__all__ = ["TRIAL_ERRORS", "Trials"]

#: What ends a trial and not the search: it diverged, its values do not fit, or it needs more memory than there is.
TRIAL_ERRORS = (TrainingDiverged, ConfigError, DeviceError)


class Trials:
    """The child runs of a search stage.

    Parameters
    ----------
    run
        The run that searches.
    stage
        Its search stage.
    index
        The stage's place among those that are executed.
    seed
        Seed of the first seed of every trial.
    names
        What trials are judged by; the first decides.
    study
        Whom evaluations are reported to.
    """

    def __init__(self, run: Run, stage: Stage, index: int, seed: int, names: list[str], study: Study) -> None:
        assert stage.search is not None
        self.run, self.stage, self.index, self.seed, self.names, self.study = run, stage, index, seed, names, study
        self.search: SearchConfig = stage.search
        #: What every trial begins with.
        self.start: Snapshot = run.snapshot()

    def train(self, tried: Tried, values: dict[str, Value], at: int) -> tuple[Trained, ChildContext]:
        """Train one seed of a trial; one that is pruned is closed already.

        Raises
        ------
        TrainingDiverged, ConfigError, DeviceError
            If the trial failed; its child run has ended with the reason.
        """
        run = self.run
        stage = self._stage(values, at)
        child = self._child(tried.number, stage, at)
        tried.runs.append(child.id)
        run.restore(self.start)

        def watch(seen: Evaluated) -> bool:
            value = seen.metrics.get(self.names[0], math.nan)
            if self.search.pruner in ("none", "wilcoxon") or at > 0 or not math.isfinite(value):
                return False
            evaluation = len(tried.steps) + 1
            tried.steps[evaluation] = value
            return self.study.report(value, evaluation)

        try:
            with reading_errors():
                trained = run.train_stage(stage, self.index, context=child, on_evaluation=watch, keep_best=True)
        except TRIAL_ERRORS as error:
            child.finish("failed", error=error)
            _tidy(child)
            raise
        except BaseException:  # a person stopped the run, or something else went wrong: the child ends with it
            child.leave()
            raise
        if trained.pruned:
            told = pruned_words(tried, self.names[0], self.search.pruner)
            child.event("decision", f"Ended early: {told}", data={"rule": "search"})
            self.close(child, "cancelled", trained)
        return trained, child

    def again(self, tried: Tried, at: int) -> Trained:
        """Train a seed of a trial once more, for its weights: nothing is reported, nothing prunes it."""
        stage = self._stage(tried.values, at)
        child = self._child(tried.number, stage, at)
        self.run.restore(self.start)
        try:
            trained = self.run.train_stage(stage, self.index, context=child, keep_best=True)
        except BaseException:
            child.leave()
            raise
        self.close(child, "finished", trained)
        return trained

    def close(self, child: ChildContext, ended: Any, trained: Trained, error: BaseException | None = None) -> None:
        """End a child run with what it reached."""
        metrics = {f"gate/{name}": float(value) for name, value in trained.metrics.items()}
        results = {
            "metrics": metrics, "details": {}, "choices": self.run.choices,
            "training": {"best": trained.best, "seconds": round(trained.seconds, 2), "parameters": trained.parameters},
            "stages": [
                {"name": self.stage.name, "kind": "train", "index": self.index, "outcome": trained.outcome,
                 **trained.entry}
            ],
        }  # fmt: skip
        write_results(child.folder, results)
        _tidy(child)
        last = max((one.get("last_step") or 0 for one in trained.entry.get("attempts", [])), default=0)
        child.progress(phase="finished", step=last, best=trained.best, eta_s=0.0)
        child.finish(ended, metrics=metrics, error=error)

    def _child(self, number: int, stage: Stage, at: int) -> ChildContext:
        plan, seeds = self._plan(number, stage, at), self.search.seeds
        key = f"{self.index}-{number}" + (f"-{at}" if seeds > 1 else "")
        return self.run.context.child(key, name=plan.name, plan=plan, tags=["trial"])

    def _stage(self, values: dict[str, Value], at: int) -> Stage:
        """Return the stage of one seed of a trial: an ordinary one, with every value in it."""
        stage = trial_stage(self.stage, values)
        changes: dict[str, Any] = {"lr_from": None, "seed": _seed_of(self.seed, at)}
        if len(self.names) == 1 and self.names[0] not in ("seconds", "parameters"):
            changes["metric"] = self.names[0]  # its best evaluation is the one that it is judged by
        return stage.model_copy(update=changes)

    def _plan(self, number: int, stage: Stage, at: int) -> Plan:
        """Return the plan up to the stage, with the trial's values."""
        plan = self.run.plan
        place = next(place for place, one in enumerate(plan.stages) if one.name == self.stage.name)
        seed = f" · seed {at + 1}" if self.search.seeds > 1 else ""
        name = f"{plan.name[:60]} · {self.stage.name[:30]} {number + 1}{seed}"
        return plan.model_copy(update={"name": name, "stages": [*plan.stages[:place], stage]}, deep=True)


def _seed_of(seed: int, at: int) -> int:
    return seed if at == 0 else int(np.random.SeedSequence([seed, 0x7121A1, at]).generate_state(1, np.uint32)[0])


def _tidy(child: ChildContext) -> None:
    for name in ("restore", "checkpoints", "best"):
        remove(child.folder / name)
