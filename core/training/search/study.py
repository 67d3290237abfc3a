"""Proposals: Optuna's samplers and pruners behind ask and tell.

A search that is repeated, or goes on after a stop, proposes what it would have proposed: samplers whose proposals are a
function of the trials so far are made anew for each trial, seeded by its number; those with a state of their own are
taken through the earlier trials once more. The study lives in memory; its trials are kept by
:mod:`core.training.search.history`.
"""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from core.config import SearchConfig
from core.config.space import Dimension, Value
from core.training.search.history import Tried

__all__ = ["Study", "distribution"]

optuna.logging.set_verbosity(optuna.logging.ERROR)

#: Samplers with a state beyond the trials: a place in the sequence, a covariance matrix.
_STATEFUL = ("qmc", "cmaes")
#: With fewer finished trials nothing is said about importance.
LEAST_FOR_IMPORTANCE = 8

Direction = Literal["maximize", "minimize"]

_STATES = {"finished": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}


def distribution(one: Dimension) -> BaseDistribution:
    """Return Optuna's distribution of a dimension."""
    if one.kind == "choice":
        return CategoricalDistribution(one.choices)
    if one.kind == "int":
        return IntDistribution(int(one.low), int(one.high), log=one.log, step=int(one.step or 1))
    return FloatDistribution(one.low, one.high, log=one.log, step=one.step)


class Study:
    """A search's proposals.

    Parameters
    ----------
    search
        Sampler, pruner, number of trials.
    space
        The dimensions.
    directions
        ``maximize`` or ``minimize``, one an objective.
    seed
        What the proposals depend on, beside the results.
    evaluations
        Evaluations of a whole trial, for Hyperband.
    """

    def __init__(
        self,
        search: SearchConfig,
        space: Sequence[Dimension],
        directions: Sequence[Direction],
        seed: int,
        evaluations: int,
    ) -> None:
        self._search = search
        self._space = list(space)
        self._seed = seed
        self._distributions = {one.key: distribution(one) for one in self._space}
        with _calm():
            self._study = optuna.create_study(
                directions=list(directions), sampler=self._sampler(0), pruner=_pruner(search, evaluations),
                study_name="bertloom",
            )  # fmt: skip
        self._trial: optuna.Trial | None = None

    # ---- proposals -------------------------------------------------------------------------------------------------

    def ask(self) -> tuple[int, dict[str, Value]]:
        """Return number and values of the next trial."""
        number = len(self._study.get_trials(deepcopy=False))
        with _calm():
            if self._search.sampler not in _STATEFUL:
                self._study.sampler = self._sampler(number)
            self._trial = self._study.ask(self._distributions)
        return self._trial.number, {one.key: self._trial.params[one.key] for one in self._space}

    def report(self, value: float, at: int) -> bool:
        """Tell the pruner an intermediate value; returns whether the trial is to end here."""
        assert self._trial is not None
        if len(self._study.directions) > 1:
            return False
        with _calm():
            self._trial.report(value, at)
            return bool(self._trial.should_prune())

    def tell(self, tried: Tried) -> None:
        """Take how the trial that was asked for last has ended; notes its rungs in `tried`."""
        assert self._trial is not None
        state = _STATES[tried.state]
        with _calm():
            if state is TrialState.COMPLETE:
                self._study.tell(self._trial, tried.scores)
            else:
                self._study.tell(self._trial, state=state)
        attributes = self._study.get_trials(deepcopy=False)[self._trial.number].system_attrs
        tried.rungs = {name: value for name, value in attributes.items() if name.startswith("completed_rung")}
        self._trial = None

    def restore(self, trials: Sequence[Tried]) -> list[int]:
        """Take the trials of an earlier part of the search.

        Returns
        -------
        list of int
            Numbers of trials that this version of the sampler would have proposed otherwise. They count all the same.
        """
        strange: list[int] = []
        for tried in trials:
            if self._search.sampler in _STATEFUL and not strange:
                number, values = self.ask()
                if (number, values) == (tried.number, tried.values):
                    for at, value in sorted(tried.steps.items()):
                        self.report(value, at)
                    self.tell(tried)
                    continue
                assert self._trial is not None
                self._study.tell(self._trial, state=TrialState.FAIL)
                strange.append(tried.number)
            with _calm():
                self._study.add_trial(self._frozen(tried))
        return strange

    # ---- results ---------------------------------------------------------------------------------------------------

    def front(self) -> list[int]:
        """Return the numbers of the finished trials that no other beats in all objectives, in order."""
        if not self._finished():
            return []
        return sorted(trial.number for trial in self._study.best_trials)

    def best(self) -> int | None:
        """Return the number of the best trial by the first objective (among the front); the earliest of equal ones."""
        front = set(self.front())
        sign = -1 if self._study.directions[0].name == "MAXIMIZE" else 1
        found = [trial for trial in self._finished() if trial.number in front]
        return min(found, key=lambda trial: (sign * trial.values[0], trial.number)).number if found else None

    def importance(self, names: Sequence[str]) -> dict[str, dict[str, float]] | None:
        """Return how much each field that moved explains of each objective (PED-ANOVA, Watanabe et al. 2023).

        Parameters
        ----------
        names
            Names of the objectives.

        Returns
        -------
        dict or None
            Objective → {field: share}; None with fewer than eight finished trials, or if nothing differed.
        """
        finished = self._finished()
        moving = [
            one.key for one in self._space
            if not one.is_fixed and len({repr(trial.params[one.key]) for trial in finished}) > 1
        ]  # fmt: skip
        if len(finished) < LEAST_FOR_IMPORTANCE or not moving:
            return None
        found: dict[str, dict[str, float]] = {}
        for at, name in enumerate(names):
            scores = [trial.values[at] for trial in finished]
            if len(set(scores)) < 2 or not all(map(math.isfinite, scores)):
                continue

            def target(trial: optuna.trial.FrozenTrial, at: int = at) -> float:
                return float(trial.values[at]) * (-1 if self._study.directions[at].name == "MAXIMIZE" else 1)

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it tells that lower is better, which `target` sees to
                shares = optuna.importance.get_param_importances(self._study, params=moving, target=target)
            found[name] = {key: float(share) for key, share in shares.items()}
        return found or None

    # ---- parts -----------------------------------------------------------------------------------------------------

    def _finished(self) -> list[optuna.trial.FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))

    def _sampler(self, number: int) -> optuna.samplers.BaseSampler:
        stateful = self._search.sampler in _STATEFUL
        entropy = [self._seed, 0x5EED] if stateful else [self._seed, 0x5EED, number]
        seed = int(np.random.SeedSequence(entropy).generate_state(1)[0] >> 1)
        begin = self._search.startup_trials
        samplers = optuna.samplers
        base: optuna.samplers.BaseSampler
        if self._search.sampler == "tpe":
            base = samplers.TPESampler(n_startup_trials=begin, seed=seed, multivariate=True)
        elif self._search.sampler == "gp":
            base = samplers.GPSampler(n_startup_trials=begin, seed=seed, warn_independent_sampling=False)
        elif self._search.sampler == "cmaes":
            base = samplers.CmaEsSampler(
                n_startup_trials=max(1, begin), seed=seed, warn_independent_sampling=False,
                independent_sampler=samplers.RandomSampler(seed=seed),
            )  # fmt: skip
        elif self._search.sampler == "qmc":
            base = samplers.QMCSampler(scramble=True, seed=seed, warn_independent_sampling=False)
        else:
            base = samplers.RandomSampler(seed=seed)
        fixed = {one.key: one.fixed for one in self._space if one.is_fixed}
        return samplers.PartialFixedSampler(fixed, base) if fixed else base

    def _frozen(self, tried: Tried) -> optuna.trial.FrozenTrial:
        state = _STATES[tried.state]
        values: Mapping[str, Any] = {}
        if state is TrialState.COMPLETE:
            values = {"values": tried.scores}
        elif state is TrialState.PRUNED and tried.steps and len(self._study.directions) == 1:
            values = {"value": tried.steps[max(tried.steps)]}
        return create_trial(
            state=state, params=tried.values, distributions=self._distributions, intermediate_values=tried.steps,
            system_attrs=dict(tried.rungs), **values,
        )  # fmt: skip


def _pruner(search: SearchConfig, evaluations: int) -> optuna.pruners.BasePruner:
    pruners = optuna.pruners
    if search.pruner == "median":
        return pruners.MedianPruner(n_startup_trials=search.startup_trials)
    if search.pruner == "patient":
        return pruners.PatientPruner(pruners.MedianPruner(n_startup_trials=search.startup_trials), patience=2)
    if search.pruner == "hyperband":
        return pruners.HyperbandPruner(min_resource=1, max_resource=max(2, evaluations))
    if search.pruner == "wilcoxon":
        return pruners.WilcoxonPruner(p_threshold=0.1)
    return pruners.NopPruner()


@contextlib.contextmanager
def _calm() -> Iterator[None]:
    """Keep Optuna from warning that samplers used here are experimental."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield
