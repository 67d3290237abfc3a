"""Which shapes are tried: from the prior, drawn evenly, of one width, made by hand, or given. Pure, no torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.config.shape import EncoderShape
from core.config.structure import StructureConfig
from core.errors import ConfigError
from core.search.structure.budget import SearchParent, space_of
from core.search.widths import TOLERANCE, Space, even_shape, sample_even, sample_prior, shape_for

__all__ = ["PROFILES", "Proposal", "Sample", "even_shapes", "hand_made", "permuted", "sample", "widths_of"]

#: How wide layers are by the mean, from the lowest to the highest: falling, rising, widest in the middle.
PROFILES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "taper": lambda at: 1.5 - at, "reverse taper": lambda at: 0.5 + at,
    "bulge": lambda at: 1.4 - 1.6 * np.abs(at - 0.5),
}  # fmt: skip
#: Of so many times the shapes that are needed those are taken that are fast enough, where there is a limit.
_SPARE = 4


@dataclass(frozen=True)
class Proposal:
    """A shape that is to be tried.

    Parameters
    ----------
    shape
        The shape.
    source
        ``prior``, ``random`` (drawn evenly), ``uniform`` (one width: the reference), ``hand``, ``given`` or ``tpe``.
    label
        What it is called where a source has several: ``taper``, say.
    """

    shape: EncoderShape
    source: str
    label: str = ""

    @property
    def depth(self) -> int:
        """Number of layers."""
        return len(self.shape.layers)


@dataclass
class Sample:
    """What is tried, and what a person should know of it."""

    proposals: list[Proposal] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


def widths_of(shape: EncoderShape) -> tuple[int, ...]:
    """Return the widths of the layers."""
    return tuple(layer.width for layer in shape.layers)


def permuted(needed: Sequence[int], seed: int) -> list[int]:
    """Return d* permuted over the layers, drawn at random: what is left of a prior that knows only the values."""
    rng = np.random.default_rng([0x9E43, seed, len(needed)])
    return [int(one) for one in rng.permutation(np.asarray(needed))]


def hand_made(space: Space) -> dict[str, EncoderShape]:
    """Return the shapes of the profiles that meet the budget, by name."""
    found = {}
    for name, profile in PROFILES.items():
        shape = _scaled(space, profile(np.linspace(0, 1, space.layers) if space.layers > 1 else np.array([0.5])))
        if shape is not None and len(set(widths_of(shape))) > 1:  # of one width it is another candidate's
            found[name] = shape
    return found


def even_shapes(space: Space) -> list[EncoderShape]:
    """Return up to three shapes whose layers are all of one width, the one of the usual FFN ratio first.

    The others are the widest that meets the budget, which has few FFN units, and one between: which of them is the best
    reference is not known before they are ranked. Without a readout the last layer is full-width all the same.
    """
    usual = even_shape(space)
    if usual is None:
        return []
    first, found = usual.layers[0].width, {}
    for width in (one for one in space.grid if one >= first):
        widths = [width] * space.layers
        if not space.readout:
            widths[-1] = space.stream
        shape = shape_for(space, widths)
        if shape is not None:
            found[width] = shape
    ordered = sorted(found)
    chosen = dict.fromkeys([first, ordered[-1], ordered[len(ordered) // 2]])
    return [found[width] for width in chosen]


def _scaled(space: Space, profile: np.ndarray) -> EncoderShape | None:
    """Return the shape of a profile whose parameters, before FFN units close the rest, are nearest to the budget."""
    best: tuple[float, list[int]] | None = None
    for scale in np.geomspace(space.head_size / 2, 4 * space.stream, 400):
        heads = np.clip(np.round(scale * profile / space.head_size), 1, space.stream // space.head_size)
        widths = [int(one) * space.head_size for one in heads]
        if not space.readout:
            widths[-1] = space.stream
        off = abs(space.body(widths) - space.budget)
        if best is None or off < best[0]:
            best = off, widths
    assert best is not None
    return shape_for(space, best[1])


def sample(
    config: StructureConfig,
    parent: SearchParent,
    segments: Mapping[int, Sequence[Mapping[str, Any]]],
    *,
    admit: Callable[[EncoderShape], bool] | None = None,
) -> Sample:
    """Choose the candidates of a search; a function of the config and the statistics, of nothing else.

    Parameters
    ----------
    config
        The search.
    parent
        Its parent.
    segments
        For each depth that is tried, which of the parent's layers each layer stands for, with ``least``, its d*.
    admit
        Whether a shape is fast enough; without it all are.

    Returns
    -------
    Sample
        Depths take turns, the even shapes of each first. With sampler ``tpe`` only what is not sampled stands here.

    Raises
    ------
    ConfigError
        If nothing is admitted.
    """
    allowed = admit or (lambda shape: True)
    found, lists = Sample(), list[list[Proposal]]()
    fixed = {depth: _fixed(config, parent, depth, allowed, found.notices) for depth in sorted(segments)}
    held = sum(map(len, fixed.values()))
    if held > config.candidates:
        found.notices.append(
            f"{held} shapes are fixed (even, by hand, or given), more than the {config.candidates} candidates that "
            "were asked for: all of them are tried."
        )
    free = max(0, config.candidates - held)
    for place, depth in enumerate(sorted(segments)):
        number = free // len(segments) + (place < free % len(segments))
        drawn = list[Proposal]()
        if config.sampler == "prior":
            known = {widths_of(one.shape) for one in fixed[depth]}
            drawn = _drawn(config, space_of(config, parent, depth), segments[depth], number, known, allowed)
            if len(drawn) < number:
                found.notices.append(
                    f"Only {len(drawn)} of {number} different shapes of {depth} layers were found within "
                    f"{TOLERANCE:.0%} of the budget{' and the limit of time' if admit else ''}."
                )
        lists.append([*fixed[depth], *drawn])
    most = max(map(len, lists), default=0)
    found.proposals = [one[at] for at in range(most) for one in lists if at < len(one)]
    if not found.proposals and config.sampler == "prior":
        raise ConfigError(
            "No shape meets the budget.", where="budget",
            expected=f"a shape within {TOLERANCE:.0%} of the parameters{' that is fast enough' if admit else ''}",
        )  # fmt: skip
    return found


def _fixed(
    config: StructureConfig, parent: SearchParent, depth: int, allowed: Callable[[EncoderShape], bool],
    notices: list[str],
) -> list[Proposal]:  # fmt: skip
    """Return what is not drawn: the even shape, those by hand, those that are given."""
    space = space_of(config, parent, depth)
    wanted = list[Proposal]()
    even = even_shapes(space)
    if not even:
        notices.append(
            f"No shape of {depth} layers of one width meets the budget: there is no reference at this depth."
        )
    else:
        wanted += [Proposal(shape, "uniform") for shape in even]
    if config.hand_made:
        wanted += [Proposal(shape, "hand", name) for name, shape in hand_made(space).items()]
    for number, widths in enumerate(config.given):
        if len(widths) == depth:
            wanted.append(Proposal(_given(space, widths, f"given.{number}"), "given", f"given {number + 1}"))
    found: dict[tuple[int, ...], Proposal] = {}
    for one in wanted:
        key = widths_of(one.shape)
        if key in found:
            continue
        if allowed(one.shape):
            found[key] = one
        else:
            name = one.label or f"even shape of {depth} layers"
            notices.append(f"The {name} takes longer than the limit of time and is left out.")
    return list(found.values())


def _given(space: Space, widths: Sequence[int], where: str) -> EncoderShape:
    shape = shape_for(space, widths)
    if shape is None:
        usual = space.body(widths)
        raise ConfigError(
            f"The widths {', '.join(map(str, widths))} do not meet the budget of {space.budget:,} parameters, whatever "
            "their FFN units.", where=where, expected=f"a budget near {usual:,}, or other widths",
        )  # fmt: skip
    return shape


def _drawn(
    config: StructureConfig, space: Space, segments: Sequence[Mapping[str, Any]], number: int,
    known: set[tuple[int, ...]], allowed: Callable[[EncoderShape], bool],
) -> list[Proposal]:  # fmt: skip
    """Return so many shapes that are not known yet, prior and even ones mixed."""
    prior_share, _ = config.shares
    prior = math.floor(prior_share * number + 0.5)
    seed, needed = config.runtime.seed, [int(one["least"]) for one in segments]
    most = _SPARE * number + len(known) + number
    lists: dict[str, list[Proposal]] = {"prior": [], "random": []}

    def take(source: str, shapes: Sequence[EncoderShape], count: int) -> None:
        for shape in shapes:
            if len(lists[source]) >= count:
                return
            if widths_of(shape) not in known and allowed(shape):
                known.add(widths_of(shape))
                lists[source].append(Proposal(shape, source))

    if prior:
        take("prior", sample_prior(space, needed, most, seed=seed, deviation=config.deviation), prior)
    if number > len(lists["prior"]):  # also in place of what the prior could not give
        take("random", sample_even(space, most, seed=seed), number - len(lists["prior"]))
    rng = np.random.default_rng([0x31C5, seed, space.layers])
    both = [*lists["prior"], *lists["random"]]
    return [both[int(at)] for at in rng.permutation(len(both))]
