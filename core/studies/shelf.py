"""The shelf: sentences about training, and for each the arms, the measure and the comparisons that test it.

A claim is data. To add one, add an entry to :data:`CLAIMS`; the command line, the page, ``make claims`` and the docs
find it there. Arms of one name are one and the same training, whichever claim they serve, so they are trained once.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from core.config.claims import Part
from core.errors import ConfigError
from core.runs.compare import Verdict

__all__ = ["CLAIMS", "RATES", "STEPS", "Arm", "Claim", "Contrast", "Design", "Measure", "claim_named"]

Measure = Literal["score", "steps", "memory"]

#: Optimiser steps of a run unless a config says otherwise: what is small for a head is enough for an encoder.
STEPS: dict[Part, int] = {"head": 100, "full": 60}
#: Rates of the truth table.
RATES = (2e-5, 5e-5, 1e-4, 3e-4, 1e-3, 1e-2, 1e-1, 1.0)
#: The rates that suit a head alone, and a whole encoder; the truth table of docs/claims.md is where they come from.
_OWN: dict[Part, float] = {"head": 1e-2, "full": 1e-4}


@dataclass(frozen=True)
class Arm:
    """One way of training.

    Parameters
    ----------
    name
        For files and options.
    title
        For people.
    stages
        Changes of the stage, one dictionary a stage; ``share`` is the stage's share of the steps.
    data
        Changes of the data.
    apart
        Whether every run gets a process of its own, because its memory is measured.
    steps
        Optimiser steps, where they are no matter of taste.
    """

    name: str
    title: str
    stages: tuple[Mapping[str, Any], ...]
    data: Mapping[str, Any] = field(default_factory=dict)
    apart: bool = False
    steps: int | None = None


@dataclass(frozen=True)
class Contrast:
    """One comparison of two arms.

    Parameters
    ----------
    arm, reference
        Names of the arms.
    measure
        ``score``: the task's metric on test. ``steps``: optimiser steps until the gate metric reaches the target.
        ``memory``: the largest memory in MB.
    expected
        The verdicts that agree with the sentence; empty: shown beside, but no part of what the sentence says.
    """

    arm: str
    reference: str
    measure: Measure
    expected: frozenset[Verdict] = frozenset()

    @property
    def name(self) -> str:
        """Name of the comparison."""
        return f"{self.measure}: {self.arm} against {self.reference}"


@dataclass(frozen=True)
class Design:
    """The arms and comparisons of a claim for one part."""

    arms: tuple[Arm, ...]
    contrasts: tuple[Contrast, ...] = ()

    def arm(self, name: str) -> Arm:
        """Return an arm by its name."""
        return next(arm for arm in self.arms if arm.name == name)


@dataclass(frozen=True)
class Claim:
    """A sentence and how it is tested.

    Parameters
    ----------
    name
        For files and options.
    sentence
        What is claimed.
    tested
        What is trained and compared, for people.
    decided
        How the verdict is made, for people.
    designs
        Part → arms and comparisons.
    """

    name: str
    sentence: str
    tested: str
    decided: str
    designs: Mapping[Part, Design]

    @property
    def is_table(self) -> bool:
        """Whether nothing is claimed, only measured."""
        return not any(contrast.expected for design in self.designs.values() for contrast in design.contrasts)

    @property
    def measures(self) -> list[Measure]:
        """The measures that are compared, in order."""
        every = [contrast.measure for design in self.designs.values() for contrast in design.contrasts]
        return list(dict.fromkeys(every)) or ["score"]


_BETTER = frozenset({Verdict.BETTER})
_NOT_WORSE = frozenset({Verdict.BETTER, Verdict.EQUIVALENT})
_MORE = frozenset({Verdict.WORSE})


def _rate(rate: float, **more: Any) -> Arm:
    """Train all at one rate, which falls linearly after a tenth of warm-up."""
    return Arm(f"{rate:.0e}", f"{rate:.0e}", ({"lr": rate, **more},))


def _rates(*rates: float) -> tuple[Arm, ...]:
    return tuple(_rate(rate) for rate in rates)


def _name(rate: float) -> str:
    return f"{rate:.0e}"


def _own_head(rate: float, head: float) -> Arm:
    return Arm(f"{rate:.0e}-head-{head:.0e}", f"encoder {rate:.0e}, head {head:.0e}", ({"lr": rate, "head_lr": head},))


def _constant(rate: float) -> Arm:
    schedule = {"name": "constant_with_warmup", "warmup": 0.1}
    return Arm(f"constant-{rate:.0e}", f"{rate:.0e} throughout", ({"lr": rate, "schedule": schedule},))


def _raised(*rates: float) -> Arm:
    """Train with a constant rate that is raised from stage to stage, each from the weights before."""
    stages = tuple(
        {
            "name": f"at {rate:.0e}", "lr": rate, "share": 1 / len(rates),
            "schedule": {"name": "constant_with_warmup", "warmup": 0.1 if at == 0 else 0.0},
        }
        for at, rate in enumerate(rates)
    )  # fmt: skip
    words = " → ".join(f"{rate:.0e}" for rate in rates)
    return Arm("raised-" + "-".join(f"{rate:.0e}" for rate in rates), words, stages)


def _batch(size: int) -> Arm:
    """Train ten steps with batches of a size, in a process of its own, without evaluations that also need memory."""
    return Arm(
        f"batch-{size}", f"batch of {size}", ({"batch_size": size, "lr": 1e-4, "cache_activations": False},),
        data={"gate_share": 0.0, "test_share": 0.0, "gate_source": None, "test_source": None}, apart=True, steps=10,
    )  # fmt: skip


def _faster(*rates: float) -> Design:
    """Compare neighbouring rates, the lower with the higher, by the steps that they take to the target."""
    pairs = list(itertools.pairwise(rates)) + ([(rates[0], rates[-1])] if len(rates) > 2 else [])
    return Design(
        _rates(*rates), tuple(Contrast(_name(low), _name(high), "steps", _BETTER) for low, high in pairs)
    )  # fmt: skip


def _higher(usual: float, *rates: float) -> Design:
    return Design(
        _rates(usual, *rates), tuple(Contrast(_name(rate), _name(usual), "score", _BETTER) for rate in rates)
    )  # fmt: skip


def _production(usual: float, *rates: float) -> Design:
    steps = tuple(Contrast(_name(rate), _name(usual), "steps", _BETTER) for rate in rates)
    price = tuple(Contrast(_name(rate), _name(usual), "score") for rate in rates)
    return Design(_rates(usual, *rates), steps + price)


def _staged(part: Part, *rates: float) -> Design:
    small, raised, usual = _constant(rates[0]), _raised(*rates), _rate(_OWN[part])
    return Design(
        (small, raised, usual),
        (
            Contrast(raised.name, small.name, "score", _BETTER),
            Contrast(raised.name, usual.name, "score", _BETTER),
        ),
    )


_FAST = (
    "A run reaches the target at the first evaluation on gate whose smoothed score is at least halfway between the "
    "majority's share and the best that any arm reached; a run that never does counts with all its steps."
)

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "lower-is-faster",
        "The lower the learning rate, the faster the training.",
        "Three rates each, the same steps, batches and seeds: 2e-5, 1e-3 and 1e-2 for a head alone; 2e-5, 1e-4 and "
        "1e-3 for a whole encoder. Every step takes the same time, so steps are what counts.",
        "Holds if the lower rate of every pair needs fewer steps to the target. " + _FAST,
        {"head": _faster(2e-5, 1e-3, 1e-2), "full": _faster(2e-5, 1e-4, 1e-3)},
    ),
    Claim(
        "classifier-at-encoder-rate",
        "Fix everything and tune only the classifier, at the encoder's learning rate.",
        "Head alone: at 2e-5, a rate for whole encoders, against 1e-2. Full training at 2e-5: the head at the same "
        "rate, against the head at 1e-3.",
        "Holds if the encoder's rate is as good as the head's own: better or equivalent on test.",
        {
            "head": Design(_rates(2e-5, 1e-2), (Contrast("2e-05", "1e-02", "score", _NOT_WORSE),)),
            "full": Design(
                (_rate(2e-5), _own_head(2e-5, 1e-3)),
                (Contrast("2e-05", _own_head(2e-5, 1e-3).name, "score", _NOT_WORSE),),
            ),
        },
    ),
    Claim(
        "raise-to-1e-3",
        "Raise the learning rate to 1e-3 or 1e-2.",
        "1e-3 and 1e-2 against 5e-5, the same steps, batches and seeds.",
        "Holds if both score better on test.",
        {"head": _higher(5e-5, 1e-3, 1e-2), "full": _higher(5e-5, 1e-3, 1e-2)},
    ),
    Claim(
        "small-then-raise",
        "Begin with a small learning rate, then raise it in stages.",
        "Three stages of equal length, each from the weights before: 2e-5 → 1e-3 → 1e-2 for a head alone, "
        "2e-5 → 6e-5 → 2e-4 for a whole encoder. Against the small rate throughout, and against one stage at a "
        "fitting rate that falls linearly. All have the same steps.",
        "Holds if the raised rates score better on test than both.",
        {"head": _staged("head", 2e-5, 1e-3, 1e-2), "full": _staged("full", 2e-5, 6e-5, 2e-4)},
    ),
    Claim(
        "batch-memory",
        "Larger batches cost more memory.",
        "Batches of 8, 32 and 128: ten steps, each run in a process of its own, no evaluations. For a head alone the "
        "encoder runs for every batch, as it does without a cache of its outputs.",
        "Holds if the larger batch of every pair takes more memory, by 10 MB at least.",
        {
            part: Design(
                (_batch(8), _batch(32), _batch(128)),
                (Contrast("batch-32", "batch-8", "memory", _MORE), Contrast("batch-128", "batch-32", "memory", _MORE)),
            )
            for part in ("head", "full")
        },
    ),
    Claim(
        "production-rate",
        "For production, a larger learning rate converges faster.",
        "A usual rate against larger ones: 1e-3 against 1e-2 and 1e-1 for a head alone; 5e-5 against 3e-4 and 1e-3 "
        "for a whole encoder.",
        "Holds if each larger rate needs fewer steps to the target. What it does to the score on test is shown beside. "
        + _FAST,
        {"head": _production(1e-3, 1e-2, 1e-1), "full": _production(5e-5, 3e-4, 1e-3)},
    ),
    Claim(
        "rate-table",
        "Which learning rate does what?",
        "Eight rates from 2e-5 to 1, for a head alone and for a whole encoder.",
        "Nothing is claimed: a table to look rates up in.",
        {part: Design(_rates(*RATES)) for part in ("head", "full")},
    ),
)


def claim_named(name: str) -> Claim:
    """Return a claim of the shelf.

    Raises
    ------
    ConfigError
        If there is none of this name.
    """
    for claim in CLAIMS:
        if claim.name == name:
            return claim
    raise ConfigError(
        f"There is no claim {name[:60]!r} on the shelf.", where="claim",
        expected=", ".join(claim.name for claim in CLAIMS),
    )  # fmt: skip
