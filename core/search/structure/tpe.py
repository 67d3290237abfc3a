"""Widths proposed by a tree-structured Parzen estimator (Bergstra et al. 2011) on the losses of earlier candidates.

One study a depth, as losses are compared within one depth only. What is proposed is how wide layers are by one another;
the budget decides the scale. Optuna is imported when the first candidate is asked for.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from core.config.shape import EncoderShape
from core.search.structure.sampling import widths_of
from core.search.widths import Space, sample_even, scale_to_budget, shape_for

__all__ = ["Proposer"]

#: Candidates that are drawn evenly before losses decide.
STARTUP = 6
#: Layers are at most so many doublings wider or narrower than usual.
_DOUBLINGS = 1.5
_TRIES = 400


class Proposer:
    """Proposals at one depth; the same losses in the same order always give the same proposals.

    Parameters
    ----------
    space
        Depth and budget.
    seed
        Seed.
    """

    def __init__(self, space: Space, seed: int) -> None:
        self.space, self.seed = space, seed
        self._told = list[tuple[tuple[int, ...], float]]()
        self._even = sample_even(space, 4 * STARTUP, seed=seed)

    def tell(self, shape: EncoderShape, loss: float) -> None:
        """Take the loss of a candidate."""
        self._told.append((widths_of(shape), float(loss)))

    def ask(
        self, known: set[tuple[int, ...]], allowed: Callable[[EncoderShape], bool] = lambda shape: True
    ) -> EncoderShape | None:
        """Return a shape that is not known yet; None where nothing new is found."""
        if len(self._told) < STARTUP:
            return self._first(self._even, known, allowed)
        found = self._proposed(known, allowed)
        return found or self._first(sample_even(self.space, 400, seed=self.seed + 1), known, allowed)

    def _first(
        self, shapes: Sequence[EncoderShape], known: set[tuple[int, ...]], allowed: Callable[[EncoderShape], bool]
    ) -> EncoderShape | None:
        return next((one for one in shapes if widths_of(one) not in known and allowed(one)), None)

    def _proposed(self, known: set[tuple[int, ...]], allowed: Callable[[EncoderShape], bool]) -> EncoderShape | None:
        import optuna
        from optuna.distributions import FloatDistribution
        from optuna.trial import create_trial

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        names = [f"layer {layer}" for layer in range(self.space.layers)]
        each: dict[str, Any] = {name: FloatDistribution(-_DOUBLINGS, _DOUBLINGS) for name in names}
        # made anew for each proposal: a search that goes on after a stop proposes what it would have proposed
        mixed = int(np.random.SeedSequence([0x79E, self.seed, len(self._told)]).generate_state(1, np.uint32)[0])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            study = optuna.create_study(
                sampler=optuna.samplers.TPESampler(seed=mixed, multivariate=True, n_startup_trials=0)
            )
            for widths, loss in self._told:
                doublings = np.log2(np.asarray(widths, dtype=float))
                doublings = np.clip(doublings - doublings.mean(), -_DOUBLINGS, _DOUBLINGS)
                params = dict(zip(names, map(float, doublings), strict=True))
                study.add_trial(create_trial(params=params, distributions=each, value=loss))
            for _ in range(_TRIES):
                trial = study.ask(each)
                shape = self._shape([trial.params[name] for name in names])
                if shape is not None and widths_of(shape) not in known and allowed(shape):
                    return shape
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
        return None

    def _shape(self, doublings: Sequence[float]) -> EncoderShape | None:
        """Return the shape whose widths stand to one another like this, within the budget."""
        space = self.space
        wanted = 2.0 ** np.asarray(doublings)
        exact = scale_to_budget(space, [int(1000 * one) for one in wanted]) * np.asarray(1000 * wanted)
        heads = np.clip(np.round(exact / space.head_size), 1, space.stream // space.head_size)
        widths = [int(one) * space.head_size for one in heads]
        if not space.readout:
            widths[-1] = space.stream
        return shape_for(space, widths)
