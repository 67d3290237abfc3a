"""The search stage: ask for values, train a child run with them, tell how it went, go on with the best weights."""

from __future__ import annotations

import hashlib
import json
import math
import time
from typing import TYPE_CHECKING, Any

from core.config import Objective, Stage
from core.config.space import Dimension, Value, combinations, dimensions, extremes, trial_stage
from core.errors import ConfigError, TrainingDiverged
from core.training.batches import stage_seed
from core.training.demands import check_labels, located
from core.training.groups import resolve
from core.training.kinds import StageOutcome
from core.training.schedules import rate_function
from core.training.search.history import History, Tried
from core.training.search.study import Study
from core.training.search.told import best_words, summary, trial_words
from core.training.search.trials import TRIAL_ERRORS, Trials

if TYPE_CHECKING:
    from core.training.run import Run
    from core.training.snapshot import Snapshot
    from core.training.trial import Trained

__all__ = ["Search", "run_stage"]

_IMPORTANCE_EVERY = 5


def run_stage(run: Run, stage: Stage, index: int) -> StageOutcome:
    """Execute a stage of kind ``search``.

    Parameters
    ----------
    run
        The run; see docs/stages.md.
    stage
        The stage.
    index
        Its place among the stages that are executed.

    Raises
    ------
    ConfigError
        If a value that may be proposed does not fit the model or the task.
    TrainingDiverged
        If no trial finished.
    """
    return Search(run, stage, index).execute()


class Search:
    """One execution of a search stage. Use :func:`run_stage`."""

    def __init__(self, run: Run, stage: Stage, index: int) -> None:
        search = stage.search
        assert search is not None
        self.run, self.stage, self.index, self.search = run, stage, index, search
        # Values that an earlier range test or the run gave are concrete in each trial.
        self.seed = stage_seed(stage, index, run.plan.runtime.seed)
        self.space = dimensions(stage)
        self.objectives = search.objectives or [
            Objective(metric=stage.metric or run.material.task.primary_metric, direction=None)
        ]
        self.names = [one.metric for one in self.objectives]
        _check_model(run, stage, index, self.space)
        self.history = self._history()
        self.study = Study(search, self.space, [one.way for one in self.objectives], self.seed, self._evaluations())
        self.trials = Trials(run, stage, index, self.seed, self.names, self.study)
        #: Number of the trial whose weights are held, and what they score.
        self.best_number: int | None = None
        self.best_weights: Snapshot | None = None
        self.best_metrics: dict[str, float] = {}

    # ---- the search ------------------------------------------------------------------------------------------------

    def execute(self) -> StageOutcome:
        """Try until the trials, the time or the space is used up; leave the best weights in the model."""
        run, history = self.run, self.history
        began = time.monotonic()
        for number in self.study.restore(history.trials):
            run.event("warning", f"Trial {number + 1} was proposed by another version of the sampler; it counts.")
        if history.trials:
            run.event("info", f"The search goes on after {len(history.trials)} trials.")
        history.ended = None
        while history.ended is None:
            history.ended = self._why_end()
            if history.ended is None:
                self._next()
        best = history.trial(history.best)
        if best is None:
            failed = next((one.error for one in history.trials if one.error), "")
            self._write()
            raise TrainingDiverged(
                f"None of the {len(history.trials)} trials of the search finished.", where=self.stage.name,
                expected="at least one trial that ends", advice=f"The first said: {failed}",
            )  # fmt: skip
        history.importance = self.study.importance(self.names)
        self._write()
        self._put_best(best)
        self._decide(best)
        return StageOutcome(
            "searched",
            {"search": summary(best, self.names, history), "best": self._best_entry(best),
             "seconds": round(time.monotonic() - began, 3)},
            metrics=self.best_metrics or None,
        )  # fmt: skip

    def _why_end(self) -> str | None:
        history, search = self.history, self.search
        if len(history.trials) >= search.trials:
            return f"all {search.trials} trials were made"
        spent = math.fsum(one.seconds for one in history.trials)
        if search.timeout_s is not None and spent >= search.timeout_s:
            return f"{spent:.0f} s were spent, the limit is {search.timeout_s:g} s"
        tried = sum(one.repeats is None for one in history.trials)
        if tried >= combinations(self.space):
            return f"all {tried} combinations of values were tried"
        return None

    def _next(self) -> None:
        self.run.check()
        number, values = self.study.ask()
        self.run.context.progress(phase=f"trial {number + 1} of {self.search.trials}", eta_s=self._left())
        same = self.history.same(values)
        tried = self._try(number, values) if same is None else self._again(same, number)
        self.study.tell(tried)
        history = self.history
        history.trials.append(tried)
        history.best, history.front = self.study.best(), self.study.front()
        if len(history.trials) % _IMPORTANCE_EVERY == 0:
            history.importance = self.study.importance(self.names)
        self._write()
        self._tell(tried)

    def _left(self) -> float | None:
        """Return the seconds that the trials to come may take, by those that were made."""
        done = [one.seconds for one in self.history.trials if one.repeats is None]
        if not done:
            return None
        return round(math.fsum(done) / len(done) * (self.search.trials - len(self.history.trials)), 1)

    def _again(self, same: Tried, number: int) -> Tried:
        """Return the trial that a proposal repeats, under its new number: it would give the same results."""
        for at, value in sorted(same.steps.items()):
            self.study.report(value, at)
        return Tried(
            number, dict(same.values), same.state, same.scores, [list(one) for one in same.seeds], dict(same.steps),
            list(same.runs), 0.0, same.number, same.error,
        )  # fmt: skip

    # ---- one trial -------------------------------------------------------------------------------------------------

    def _try(self, number: int, values: dict[str, Value]) -> Tried:
        """Train with some values, once a seed."""
        began = time.monotonic()
        tried = Tried(number, values, "finished")
        kept: tuple[float, Trained] | None = None
        for at in range(self.search.seeds):
            try:
                trained, child = self.trials.train(tried, values, at)
            except TRIAL_ERRORS as error:
                tried.state, tried.error = "failed", error.what
                break
            tried.seconds = time.monotonic() - began
            if trained.pruned:
                tried.state = "pruned"
                break
            scores = self._scores(trained)
            if not all(map(math.isfinite, scores)):
                tried.state, tried.error = "failed", "No evaluation gave a number."
                self.trials.close(child, "failed", trained, error=TrainingDiverged(tried.error))
                break
            tried.seeds.append(scores)
            if kept is None or self._better(scores[0], kept[0]):
                kept = (scores[0], trained)
            last = at + 1 == self.search.seeds
            if self.search.pruner == "wilcoxon":
                tried.steps[at] = scores[0]
                if self.study.report(scores[0], at) and not last:
                    tried.state = "pruned"
            self.trials.close(child, "finished", trained)
            if tried.state == "pruned":
                break
        tried.seconds = round(time.monotonic() - began, 3)
        if tried.state == "finished":
            tried.scores = [math.fsum(column) / len(column) for column in zip(*tried.seeds, strict=True)]
            assert kept is not None
            self._keep(tried, kept[1])
        return tried

    def _scores(self, trained: Trained) -> list[float]:
        own = {"seconds": trained.seconds, "parameters": float(trained.parameters)}
        return [float(own.get(name, trained.metrics.get(name, math.nan))) for name in self.names]

    def _better(self, value: float, than: float) -> bool:
        return value > than if self.objectives[0].way == "maximize" else value < than

    def _keep(self, tried: Tried, trained: Trained) -> None:
        """Hold the weights of a trial if it is the best so far; those before are let go."""
        best = self.history.trial(self.history.best)
        assert tried.scores is not None
        if best is None or best.scores is None or self._better(tried.scores[0], best.scores[0]):
            self.best_weights, self.best_metrics = trained.weights, dict(trained.metrics)
            self.best_number = tried.number

    def _put_best(self, best: Tried) -> None:
        """Leave the best trial's weights in the model; if the run was stopped since, they are trained once more."""
        if self.best_weights is None or self.best_number != best.number:
            at = max(
                range(len(best.seeds)),
                key=lambda one: best.seeds[one][0] * (1 if self.objectives[0].way == "maximize" else -1),
            )
            self.run.event("info", f"Trial {best.number + 1} is trained once more: its weights were not kept.")
            trained = self.trials.again(best, at)
            self.best_weights, self.best_metrics = trained.weights, dict(trained.metrics)
        assert self.best_weights is not None
        self.run.restore(self.best_weights)
        self.best_weights = None

    # ---- words and numbers -----------------------------------------------------------------------------------------

    def _tell(self, tried: Tried) -> None:
        run, number, stage = self.run, tried.number + 1, self.stage.name
        best = self.history.trial(self.history.best)
        if tried.scores is not None:
            values = {f"search/{stage}/{name}": score for name, score in zip(self.names, tried.scores, strict=True)}
            if best is not None and best.scores is not None:
                values[f"search/{stage}/best"] = best.scores[0]
            run.context.metrics(number, values)
        is_best = self.history.best == tried.number
        data = {"stage": stage, "trial": tried.number, "values": tried.values, "state": tried.state,
                "scores": tried.scores, "runs": tried.runs}  # fmt: skip
        run.event("trial", trial_words(tried, self.names, best=is_best, pruner=self.search.pruner), data=data)

    def _decide(self, best: Tried) -> None:
        assert best.scores is not None
        counts = {state: sum(one.state == state for one in self.history.trials)
                  for state in ("finished", "pruned", "failed")}  # fmt: skip
        self.run.decide(
            self.stage, self.index, "search", "promote",
            best_words(self.stage.name, best, self.names, self.history),
            {"trial": best.number, "values": best.values, "scores": dict(zip(self.names, best.scores, strict=True)),
             "trials": counts, "ended": self.history.ended, "run": best.runs[0] if best.runs else None},
        )  # fmt: skip

    def _best_entry(self, best: Tried) -> dict[str, Any] | None:
        assert best.scores is not None
        if self.names[0] in ("seconds", "parameters"):
            return None
        return {"metric": f"gate/{self.names[0]}", "value": best.scores[0], "step": None}

    # ---- parts -----------------------------------------------------------------------------------------------------

    def _history(self) -> History:
        key = _key(self.stage, self.seed)
        objectives = [{"metric": one.metric, "direction": one.way} for one in self.objectives]
        found = History.read(self.run.folder, self.index)
        if found is not None and found.key == key:
            found.wanted = self.search.trials
            return found
        if found is not None:
            self.run.event("warning", "The trials of an earlier search do not belong to this stage; it begins anew.")
        return History.new(self.stage, self.index, self.space, objectives, key)

    def _write(self) -> None:
        self.run.context.flush()
        self.history.write(self.run.folder)

    def _evaluations(self) -> int:
        """Return how often a whole trial is evaluated, by the stage's own values."""
        stage = self.stage
        if stage.eval_every is not None and stage.steps is not None:
            return math.ceil(stage.steps / stage.eval_every)
        return max(1, math.ceil(stage.epochs or 1))


def _check_model(run: Run, stage: Stage, index: int, space: list[Dimension]) -> None:
    """Check every extreme of the space against the model, as the plan's own values were."""
    material = run.material
    where = material.where(index)
    shapes = [(name, parameter.ndim) for name, parameter in material.model.named_parameters()]
    for values in extremes(space):
        one = trial_stage(stage, values)
        try:
            resolve(shapes, material.units, len(material.layers), one, where=where)
            check_labels(one, list(material.roles.labels), where)
            with located(where):
                rate_function(one.schedule, one.steps or 1000, one.lr)
        except ConfigError as error:
            given = ", ".join(f"{key} = {value!r}" for key, value in values.items())
            raise ConfigError(
                f"The search may propose values that do not fit ({given}): {error.what}",
                where=f"{where}.search.space", expected=error.expected, advice="Narrow the space.",
            ) from error  # fmt: skip


def _key(stage: Stage, seed: int) -> str:
    """Return a fingerprint of what the trials depend on; how many there are to be may change."""
    data = stage.model_dump(mode="json")
    for name in ("trials", "timeout_s"):
        data["search"].pop(name)
    return hashlib.sha256(json.dumps([data, seed], sort_keys=True).encode()).hexdigest()[:32]
