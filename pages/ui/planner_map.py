"""The freeze map: what each stage does to each unit of the encoder, and what a click changes in the stage's fields.

Units are embeddings, layer 0 … n-1 and head, lowest first. Pure functions; rates come from
:func:`core.training.groups.resolve`, the function that the training itself divides its parameters with.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from core.config import ParameterGroup, Stage
from core.errors import ConfigError
from core.training.groups import resolve, unit_names

__all__ = [
    "Cell",
    "Parameters",
    "cells",
    "is_shorthand",
    "matched",
    "span",
    "toggled",
    "trained_share",
    "trained_words",
]

_SHORTHAND = re.compile(r"^(all|head|embeddings|encoder|layers?:\d+(-\d+)?)$")
#: Searched fields that decide whether, or how fast, encoder and head are trained.
_ENCODER = ("lr", "layer_decay", "freeze_layers", "freeze_encoder", "reinit_top_n")


@dataclass(frozen=True)
class Parameters:
    """Every parameter of the encoder with its head.

    Parameters
    ----------
    names, units
        Name of each, and the unit that it belongs to.
    sizes, dimensions
        How many numbers it holds, and in how many dimensions.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    sizes: tuple[int, ...]
    dimensions: tuple[int, ...]

    @classmethod
    def of(cls, answer: Mapping[str, Sequence[Any]]) -> Parameters:
        """Read what the model desk answers."""
        return cls(*(tuple(answer[name]) for name in ("names", "units", "sizes", "dimensions")))


@dataclass(frozen=True)
class Cell:
    """What a stage does to a unit.

    Parameters
    ----------
    unit
        Name of the unit.
    state
        ``frozen``, ``trained``, or ``searched`` where a search decides about it.
    low, high
        Learning rates of its parameters, the lowest and the highest; ``None`` when frozen.
    trained, parameters
        How many of its parameters are trained, and how many there are; ``None`` as long as nobody has counted.
    """

    unit: str
    state: Literal["frozen", "trained", "searched"]
    low: float | None = None
    high: float | None = None
    trained: int | None = None
    parameters: int | None = None


def is_shorthand(pattern: str) -> bool:
    """Tell whether a pattern names units (head, layer:0-3 …) and is no regular expression."""
    return bool(_SHORTHAND.match(pattern.strip().lower()))


def cells(stage: Stage, layers: int, parameters: Parameters | None = None) -> list[Cell]:
    """Return what a stage does to each unit, lowest first.

    Parameters
    ----------
    stage
        The stage.
    layers
        Number of the encoder's layers.
    parameters
        The model's parameters. Without them patterns that are regular expressions are left out of account.
    """
    units = unit_names(layers)
    if parameters is None:
        names, owners, sizes = units, {unit: unit for unit in units}, None
        listed = [(unit, 2) for unit in units]
    else:
        names = list(parameters.names)
        owners = dict(zip(names, parameters.units, strict=True))
        sizes = dict(zip(names, parameters.sizes, strict=True))
        listed = list(zip(names, parameters.dimensions, strict=True))
    rates = _rates(stage, layers, listed, owners)
    searched = _searched(stage)
    found = []
    for unit in units:
        own = [name for name in names if owners[name] == unit]
        moving = [rates[name] for name in own if name in rates]
        low, high = (min(moving), max(moving)) if moving else (None, None)
        if stage.kind == "range_test" and moving:
            low, high = _tested(stage, moving)
        state: Literal["frozen", "trained", "searched"] = "trained" if moving else "frozen"
        if ("head" if unit == "head" else "encoder") in searched:
            state = "searched"
        trained = None if sizes is None else sum(sizes[name] for name in own if name in rates)
        total = None if sizes is None else sum(sizes[name] for name in own)
        found.append(Cell(unit, state, low, high, trained, total))
    return found


def toggled(stage: Stage, layers: int, unit: str) -> dict[str, Any]:
    """Return the fields of a stage that freeze a unit that is trained, or train one that is frozen.

    The lowest layers are frozen by ``freeze_layers`` and the whole encoder by ``freeze_encoder``; what else is frozen
    stands as groups before all others. Groups with rates of their own stay.

    Parameters
    ----------
    stage
        The stage.
    layers
        Number of the encoder's layers.
    unit
        Name of the unit.

    Returns
    -------
    dict
        ``freeze_layers``, ``freeze_encoder`` and ``groups`` as plain values.

    Raises
    ------
    ConfigError
        If nothing would be left to train, or there is no such unit.
    """
    units = unit_names(layers)
    if unit not in units:
        raise ConfigError(f"The encoder has no unit {unit!r}.", expected=", ".join(units))
    frozen = {cell.unit for cell in cells(_plain(stage), layers) if cell.state == "frozen"} ^ {unit}
    if frozen == set(units):
        raise ConfigError("Something has to be trained.", advice="Train another unit before this one is frozen.")
    kept = [group for group in stage.groups if not (group.frozen and is_shorthand(group.pattern))]
    whole = set(units[:-1]) <= frozen
    lowest = 0
    if not whole and "embeddings" in frozen:
        lowest = next(index for index in range(layers) if f"layer {index}" not in frozen)
    base = _plain(stage).model_copy(update={"freeze_encoder": whole, "freeze_layers": lowest, "groups": kept})
    still = {cell.unit for cell in cells(base, layers) if cell.state == "frozen"}
    extra = [ParameterGroup(pattern=pattern, frozen=True) for pattern in _patterns(frozen - still, layers)]
    return {
        "freeze_encoder": whole,
        "freeze_layers": lowest,
        "groups": [group.model_dump(mode="json") for group in [*extra, *kept]],
    }


def matched(pattern: str, parameters: Parameters, layers: int) -> tuple[int, int]:
    """Return how many tensors a pattern matches, and how many parameters they hold; (0, 0) for a broken pattern."""
    probe = Stage(groups=[ParameterGroup(pattern=pattern, frozen=True)])
    listed = list(zip(parameters.names, parameters.dimensions, strict=True))
    owners = dict(zip(parameters.names, parameters.units, strict=True))
    try:
        _, frozen = resolve(listed, owners, layers, probe)
    except ConfigError as error:
        # A pattern that freezes everything leaves nothing to train: then it matches everything.
        hits = set(parameters.names) if error.where == "stages.0" else set()
    else:
        hits = set(frozen)
    sizes = dict(zip(parameters.names, parameters.sizes, strict=True))
    return len(hits), sum(sizes[name] for name in hits)


def trained_share(row: Sequence[Cell]) -> tuple[int, int] | None:
    """Return how many parameters a stage trains, and how many there are; ``None`` as long as nobody has counted."""
    if any(cell.trained is None or cell.parameters is None for cell in row):
        return None
    return sum(cell.trained or 0 for cell in row), sum(cell.parameters or 0 for cell in row)


def trained_words(row: Sequence[Cell]) -> str:
    """Return what a stage trains, in words: ``everything``, ``head only``, ``layers 3–5 and head``."""
    moving = [cell.unit for cell in row if cell.state != "frozen"]
    if len(moving) == len(row):
        return "everything"
    if moving == ["head"]:
        return "head only"
    if not moving:
        return "nothing"
    parts = [_run_words(run) for run in _runs([unit for unit in moving if unit.startswith("layer ")])]
    if "embeddings" in moving:
        parts.insert(0, "embeddings")
    if "head" in moving:
        parts.append("head")
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def span(rows: Sequence[Sequence[Cell]]) -> tuple[float, float] | None:
    """Return the lowest and the highest rate above 0 of a map; ``None`` where nothing is trained."""
    rates = [rate for row in rows for cell in row for rate in (cell.low, cell.high) if rate]
    return (min(rates), max(rates)) if rates else None


def _plain(stage: Stage) -> Stage:
    """Return the stage as one that trains, with shorthand patterns only: what clicks are about."""
    groups = [group for group in stage.groups if is_shorthand(group.pattern)]
    return Stage(
        lr=stage.lr, head_lr=stage.head_lr, layer_decay=stage.layer_decay, freeze_layers=stage.freeze_layers,
        freeze_encoder=stage.freeze_encoder, groups=groups,
    )  # fmt: skip


def _rates(stage: Stage, layers: int, listed: list[tuple[str, int]], owners: dict[str, str]) -> dict[str, float]:
    """Return the rate of every trained parameter; patterns that match nothing are left out of account."""
    groups = [group for group in stage.groups if _matches_any(group, layers, listed, owners)]
    update = {"groups": groups, "freeze_layers": min(stage.freeze_layers, layers), "reinit_top_n": 0}
    try:
        specs, _ = resolve(listed, owners, layers, stage.model_copy(update=update))
    except ConfigError:  # nothing is left to train
        return {}
    return {name: spec.lr for spec in specs for name in spec.parameters}


def _matches_any(group: ParameterGroup, layers: int, listed: list[tuple[str, int]], owners: dict[str, str]) -> bool:
    if not is_shorthand(group.pattern) and all(name == unit for name, unit in owners.items()):
        return False
    try:
        resolve(listed, owners, layers, Stage(groups=[group]))
    except ConfigError as error:
        return error.where == "stages.0"  # it freezes everything
    return True


def _searched(stage: Stage) -> set[str]:
    """Return which of encoder and head a search decides about."""
    if stage.kind != "search" or stage.search is None:
        return set()
    fields = {name for name, values in stage.search.space.items() if values.fixed is None}
    found = {"encoder"} if fields & set(_ENCODER) else set()
    if "head_lr" in fields or ("lr" in fields and stage.head_lr is None):
        found.add("head")
    return found


def _tested(stage: Stage, rates: Sequence[float]) -> tuple[float, float]:
    """Return the first and the last rate of a range test, which keeps the groups' rates in proportion."""
    from core.config import RangeTestConfig

    test = stage.range_test or RangeTestConfig()
    return test.lr_min, test.lr_max


def _patterns(units: set[str], layers: int) -> list[str]:
    """Return the shorthand patterns of units."""
    inner = [f"layer {index}" for index in range(layers) if f"layer {index}" in units]
    found = ["embeddings"] if "embeddings" in units else []
    for run in _runs(inner):
        first, last = run[0].split()[1], run[-1].split()[1]
        found.append(f"layer:{first}" if first == last else f"layer:{first}-{last}")
    return [*found, *(["head"] if "head" in units else [])]


def _runs(inner: Sequence[str]) -> list[list[str]]:
    """Divide layers into runs of neighbours."""
    runs: list[list[str]] = []
    for unit in inner:
        if runs and int(unit.split()[1]) == int(runs[-1][-1].split()[1]) + 1:
            runs[-1].append(unit)
        else:
            runs.append([unit])
    return runs


def _run_words(run: Sequence[str]) -> str:
    first, last = run[0].split()[1], run[-1].split()[1]
    return f"layer {first}" if first == last else f"layers {first}–{last}"
