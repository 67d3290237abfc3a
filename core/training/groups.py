"""Parameter groups: which parameters are trained, at what rate, with what decay — and what the group is called.

Layers count from 0 (the lowest), as in parameter names. The rates of units (embeddings, layers, head) are found
without a
model, so that a form can draw their curves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from core.config import ParameterGroup, Stage
from core.errors import ConfigError

__all__ = ["GroupSpec", "base_rates", "resolve", "unit_names"]

_LAYERS = re.compile(r"^layers?:(\d+)(?:-(\d+))?$")


@dataclass
class GroupSpec:
    """Parameters that share learning rate and weight decay.

    Parameters
    ----------
    name
        Readable, e.g. ``head`` or ``layers 0-2``; two specs of one name differ in weight decay only.
    lr
        Base learning rate.
    weight_decay
        Decoupled weight decay.
    parameters
        Names of the parameters.
    """

    name: str
    lr: float
    weight_decay: float
    parameters: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Rule:
    """Learning rate of a unit; `lr` None means frozen. `own` names the pattern that made the rule."""

    lr: float | None
    weight_decay: float
    own: str | None = None


def unit_names(layers: int) -> list[str]:
    """Return the units of an encoder, lowest first: embeddings, layer 0 … layer n-1, head."""
    return ["embeddings", *(f"layer {index}" for index in range(layers)), "head"]


def _shorthand(pattern: str, layers: int) -> set[str] | None:
    """Return the units that a shorthand names; None if the pattern is a regular expression."""
    text = pattern.strip().lower()
    units = unit_names(layers)
    if text == "all":
        return set(units)
    if text in ("head", "embeddings"):
        return {text}
    if text == "encoder":
        return set(units[:-1])
    match = _LAYERS.match(text)
    if not match:
        return None
    first = int(match[1])
    last = int(match[2]) if match[2] is not None else first
    return {f"layer {index}" for index in range(first, last + 1) if index < layers}


def _rules(stage: Stage, layers: int, where: str) -> dict[str, _Rule]:
    """Return the rule of each unit from the stage's rates, layer decay and freezing, before patterns."""
    if stage.freeze_layers > layers:
        raise ConfigError(
            f"freeze_layers is {stage.freeze_layers}, but the encoder has {layers} layers.",
            where=f"{where}.freeze_layers",
            expected=f"0 to {layers}",
        )
    if stage.reinit_top_n > layers:
        raise ConfigError(
            f"reinit_top_n is {stage.reinit_top_n}, but the encoder has {layers} layers.",
            where=f"{where}.reinit_top_n",
            expected=f"0 to {layers}",
        )
    rules: dict[str, _Rule] = {}
    for depth, unit in enumerate(unit_names(layers)[:-1]):  # depth 0: embeddings
        frozen = stage.freeze_encoder or (stage.freeze_layers > 0 and depth <= stage.freeze_layers)
        lr = stage.lr * stage.layer_decay ** (layers - depth)
        rules[unit] = _Rule(None if frozen else lr, stage.weight_decay)
    rules["head"] = _Rule(stage.head_lr if stage.head_lr is not None else stage.lr, stage.weight_decay)
    return rules


def _apply(rule: _Rule, group: ParameterGroup, name: str) -> _Rule:
    """Return the rule after a pattern; only a rate of its own makes it a group of its own."""
    if group.frozen:
        return _Rule(None, rule.weight_decay, name)
    lr = group.lr if group.lr is not None else rule.lr
    decay = group.weight_decay if group.weight_decay is not None else rule.weight_decay
    return _Rule(lr, decay, name if group.lr is not None else rule.own)


def _merge(rates: Sequence[tuple[str, float]], layers: int) -> dict[str, str]:
    """Return unit → group name: neighbouring units of equal rate share one."""
    runs: list[tuple[list[str], float]] = []
    everything = unit_names(layers)
    for unit, lr in rates:
        if runs and runs[-1][1] == lr and everything.index(unit) == everything.index(runs[-1][0][-1]) + 1:
            runs[-1][0].append(unit)
        else:
            runs.append(([unit], lr))
    named: dict[str, str] = {}
    for units, _ in runs:
        inner = [unit for unit in units if unit.startswith("layer ")]
        parts: list[str] = []
        if units == everything:
            parts = ["all"]
        elif units == everything[:-1]:
            parts = ["encoder"]
        else:
            if "embeddings" in units:
                parts.append("embeddings")
            if len(inner) == 1:
                parts.append(inner[0])
            elif inner:
                parts.append(f"layers {inner[0].split()[1]}-{inner[-1].split()[1]}")
            if "head" in units:
                parts.append("head")
        for unit in units:
            named[unit] = " + ".join(parts)
    return named


def base_rates(stage: Stage, layers: int, *, where: str = "stages.0") -> dict[str, float]:
    """Return the base learning rate of every trained group, by name, without a model.

    Regular expressions among the groups cannot be resolved without parameter names; one with a rate stands under its
    own
    pattern.

    Parameters
    ----------
    stage
        The stage.
    layers
        Number of the encoder's layers.
    where
        Path of the stage in the plan, which errors name.
    """
    rules = _rules(stage, layers, where)
    taken: set[str] = set()
    extra: dict[str, float] = {}
    for group in stage.groups:
        units = _shorthand(group.pattern, layers)
        if units is None:
            if group.lr is not None and not group.frozen:
                extra.setdefault(group.pattern, group.lr)
            continue
        for unit in units - taken:
            rules[unit] = _apply(rules[unit], group, group.pattern)
        taken |= units
    plain = [(unit, rule.lr) for unit, rule in rules.items() if rule.lr is not None and rule.own is None]
    named = _merge(plain, layers)
    rates = {named[unit]: lr for unit, lr in plain}
    for rule in rules.values():
        if rule.lr is not None and rule.own is not None:
            rates[rule.own] = rule.lr
    return {**rates, **extra}


def resolve(
    parameters: Iterable[tuple[str, int]], units: dict[str, str], layers: int, stage: Stage, *, where: str = "stages.0"
) -> tuple[list[GroupSpec], list[str]]:
    """Divide a model's parameters into groups.

    Parameters
    ----------
    parameters
        (name, number of dimensions) of every parameter, in the model's order. Those of one dimension (biases,
        norms) get no weight decay.
    units
        Parameter name → unit (``embeddings``, ``layer k``, ``head``).
    layers
        Number of the encoder's layers.
    stage
        Rates, decay, freezing and patterns.
    where
        Path of the stage in the plan, which errors name.

    Returns
    -------
    list of GroupSpec
        The trained groups, in a fixed order.
    list of str
        Names of the frozen parameters.

    Raises
    ------
    ConfigError
        If a pattern matches nothing or is no regular expression, or nothing is left to train.
    """
    listed = list(parameters)
    rules = _rules(stage, layers, where)
    matched: dict[str, ParameterGroup] = {}
    for position, group in enumerate(stage.groups):
        hits = _matches(group, f"{where}.groups.{position}.pattern", [name for name, _ in listed], units, layers)
        for name in hits:
            matched.setdefault(name, group)
    found: dict[str, _Rule] = {}
    for name, _ in listed:
        rule = rules[units[name]]
        if name in matched:
            rule = _apply(rule, matched[name], matched[name].pattern)
        found[name] = rule
    plain_units = [
        (unit, rule.lr) for unit, rule in rules.items()
        if rule.lr is not None and any(units[name] == unit and found[name].own is None for name, _ in listed)
    ]  # fmt: skip
    named = _merge(plain_units, layers)
    specs: dict[tuple[str, float, float], GroupSpec] = {}
    frozen: list[str] = []
    for name, dimensions in listed:
        rule = found[name]
        if rule.lr is None:
            frozen.append(name)
            continue
        label = rule.own if rule.own is not None else named[units[name]]
        decay = rule.weight_decay if dimensions > 1 else 0.0
        key = (label, rule.lr, decay)
        specs.setdefault(key, GroupSpec(label, rule.lr, decay)).parameters.append(name)
    if not specs:
        raise ConfigError(
            "Every parameter is frozen: nothing is left to train.",
            where=where,
            advice="Leave at least the head trainable.",
        )
    return list(specs.values()), frozen


def _matches(group: ParameterGroup, where: str, names: list[str], units: dict[str, str], layers: int) -> list[str]:
    chosen = _shorthand(group.pattern, layers)
    if chosen is not None:
        hits = [name for name in names if units[name] in chosen]
    else:
        try:
            expression = re.compile(group.pattern)
        except re.error as error:
            raise ConfigError(
                f"The pattern {group.pattern!r} is not a regular expression: {error}.", where=where
            ) from error
        hits = [name for name in names if expression.search(name)]
    if not hits:
        raise ConfigError(
            f"The pattern {group.pattern!r} matches no parameter.",
            where=where,
            expected=f"head, embeddings, encoder, all, layer:0-{layers - 1}, or part of a name such as {names[-1]}",
        )
    return hits
