"""The space of a search: which fields of a stage it may change, and whether every value that it may propose is one.

Plain data without Optuna: a plan is checked with it before anything starts.
"""

from __future__ import annotations

import itertools
import math
import random
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

if TYPE_CHECKING:
    from core.config.stage_parts import Distribution
from core.config.stages import Stage

__all__ = ["Dimension", "SpaceError", "combinations", "dimensions", "extremes", "trial_stage"]

Value = float | int | str | bool | None

#: Fields that say what a trial begins with, what it is judged by, or what it is: they are the same for all trials.
_HELD = (
    "name", "kind", "enabled", "start_from", "lr_from", "seed", "metric", "gate", "on_pass", "on_fail", "max_retries",
    "on_exhausted", "lr_factor", "lr_cap", "range_test", "search", "distil", "cache_activations", "cache_limit_mb",
)  # fmt: skip
_MOST_CORNERS = 200


class SpaceError(ValueError):
    """A space that cannot be searched.

    Parameters
    ----------
    key
        The field of the stage, or an empty text where it is a matter of several.
    what
        What is wrong with it.
    """

    def __init__(self, key: str, what: str) -> None:
        self.key = key
        self.what = what
        super().__init__(f"search.space.{key}: {what}" if key else f"search.space: {what}")


@dataclass(frozen=True)
class Dimension:
    """One searched field, checked against the stage's schema.

    Parameters
    ----------
    key
        Dotted field of the stage.
    kind
        ``float``, ``int`` or ``choice``.
    low, high, step, log
        The range of numbers, for the first two kinds; whole numbers for ``int``.
    choices
        The list, for the third kind.
    fixed
        The value at which it is held, if it `is_fixed`.
    """

    key: str
    kind: Literal["float", "int", "choice"]
    low: float = 0.0
    high: float = 0.0
    step: float | None = None
    log: bool = False
    choices: tuple[Value, ...] = ()
    fixed: Value = None

    @property
    def is_fixed(self) -> bool:
        """Whether the field is held at one value."""
        return self.fixed is not None

    @property
    def count(self) -> float:
        """How many values there are; infinity for a range of real numbers."""
        if self.is_fixed:
            return 1
        if self.kind == "choice":
            return len(self.choices)
        if self.step is None:
            return math.inf if self.kind == "float" else self.high - self.low + 1
        return math.floor((self.high - self.low) / self.step + 1e-9) + 1

    @property
    def ends(self) -> tuple[Value, ...]:
        """The values at the ends of the range, or all choices; the fixed one if it is held."""
        if self.is_fixed:
            return (self.fixed,)
        if self.kind == "choice":
            return self.choices
        if self.kind == "int":
            return (int(self.low), int(self.high))
        return (self.low, self.high)


def dimensions(stage: Stage) -> list[Dimension]:
    """Return the dimensions of a stage's search, each checked against the field that it changes.

    Raises
    ------
    SpaceError
        If a key is no field of a stage or must not be searched, a value has the wrong type or lies outside of what the
        field allows, or two values do not go together.
    """
    if stage.search is None:
        return []
    found = [_dimension(stage, key, given) for key, given in stage.search.space.items()]
    for one in found:
        for value in one.ends:
            _try(stage, {one.key: value}, one.key)
    for values in extremes(found):
        _try(stage, values, "")
    return found


def trial_stage(stage: Stage, values: Mapping[str, Value]) -> Stage:
    """Return the stage as an ordinary training stage with other values.

    Parameters
    ----------
    stage
        A stage of kind ``search``.
    values
        Dotted field → value.

    Raises
    ------
    pydantic.ValidationError
        If the stage does not take these values.
    """
    data = stage.model_dump()
    data.update(kind="train", search=None)
    for key, value in values.items():
        target: Any = data
        *parents, last = key.split(".")
        for part in parents:
            target = target[int(part)] if isinstance(target, list) else target[part]
        target[last] = value
    return type(stage).model_validate(data)


def combinations(found: list[Dimension]) -> float:
    """Return how many different trials there are; infinity where a range of real numbers is among them."""
    return math.prod(one.count for one in found)


def extremes(found: list[Dimension]) -> Iterator[dict[str, Value]]:
    """Yield combinations of the ends of all ranges: all of them, or a fixed sample where there are very many."""
    ends = [one.ends for one in found]
    keys = [one.key for one in found]
    if math.prod(len(one) for one in ends) <= _MOST_CORNERS:
        yield from (dict(zip(keys, values, strict=True)) for values in itertools.product(*ends))
        return
    chance = random.Random(0)
    for _ in range(_MOST_CORNERS):
        yield {key: chance.choice(one) for key, one in zip(keys, ends, strict=True)}


# ---- one field -----------------------------------------------------------------------------------------------------


def _dimension(stage: Stage, key: str, given: Distribution) -> Dimension:
    if key.partition(".")[0] in _HELD:
        raise SpaceError(key, "this field is the same for all trials and cannot be searched")
    kinds, words = _leaf(stage, key)
    if given.choices is not None:
        choices = tuple(_choice(key, value, kinds, words) for value in given.choices)
        if given.fixed is not None and not any(_same(given.fixed, value) for value in choices):
            raise SpaceError(key, f"fixed is {given.fixed!r}, which is not among the choices")
        fixed = next((value for value in choices if given.fixed is not None and _same(given.fixed, value)), None)
        return Dimension(key, "choice", choices=choices, fixed=fixed)
    whole = int in kinds and float not in kinds
    if not whole and float not in kinds:
        raise SpaceError(key, f"a range needs a number, and this field is {words}: give choices")
    low, high = float(given.low or 0.0), float(given.high or 0.0)
    if whole:
        for name, number in (("low", low), ("high", high), ("step", given.step), ("fixed", given.fixed)):
            if isinstance(number, int | float) and not float(number).is_integer():
                raise SpaceError(key, f"{name} is {number:g}, and this field takes whole numbers")
    if key == "schedule.warmup" and low < 1 < high:
        raise SpaceError(
            key, f"the range {low:g} to {high:g} mixes a share of the steps (below 1) with a number of steps (from 1)"
        )
    held = given.fixed
    if held is not None:
        if isinstance(held, bool) or not isinstance(held, int | float):
            raise SpaceError(key, f"fixed is {held!r}, and this field is {words}")
        if not low <= held <= high:
            raise SpaceError(key, f"fixed is {held:g}, outside of the range {low:g} to {high:g}")
        held = int(held) if whole else float(held)
    step = given.step
    if step is not None:  # the highest value that the steps reach
        high = low + step * math.floor((high - low) / step + 1e-9)
        if high <= low:
            raise SpaceError(key, f"the step {step:g} is larger than the range")
    return Dimension(key, "int" if whole else "float", low, high, step, given.log, fixed=held)


def _leaf(stage: Stage, key: str) -> tuple[set[Any], str]:
    """Return the types that the field of a dotted key takes (None and values of literals included), and their words."""
    value: Any = stage
    *parents, last = key.split(".")
    for part in parents:
        if isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, BaseModel) and part in type(value).model_fields:
            value = getattr(value, part)
        else:
            raise SpaceError(key, _unknown(value, part))
        if value is None:
            raise SpaceError(key, f"{part} is empty in this stage, so there is nothing below it to search")
    if isinstance(value, dict):  # options of a schedule, weights of classes
        number = {int} if type(value.get(last)) is int else {int, float}
        return {*number, str, bool}, "a number, a word, or true or false"
    if not isinstance(value, BaseModel) or last not in type(value).model_fields:
        raise SpaceError(key, _unknown(value, last))
    kinds = set(_kinds(type(value).model_fields[last].annotation))
    if not kinds & {int, float, bool} and not any(isinstance(kind, _Word) for kind in kinds):
        raise SpaceError(key, "this field holds several values and cannot be searched; name one of its own fields")
    return kinds, _words(kinds)


@dataclass(frozen=True)
class _Word:
    """A value that a literal type allows."""

    value: Value


def _kinds(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from _kinds(part)
    elif get_origin(annotation) is Literal:
        for value in get_args(annotation):
            yield _Word(value)
    else:
        yield annotation


def _words(kinds: set[Any]) -> str:
    names = {int: "a whole number", float: "a number", bool: "true or false", type(None): "empty"}
    words = sorted(names[kind] for kind in kinds if kind in names)
    words += sorted(str(kind.value) for kind in kinds if isinstance(kind, _Word))
    return " or ".join(words) or "something else"


def _choice(key: str, value: Value, kinds: set[Any], words: str) -> Value:
    """Return a choice in the field's own type."""
    if value is None and type(None) in kinds:
        return None
    if isinstance(value, bool):
        if bool in kinds:
            return value
    elif isinstance(value, int | float):
        if isinstance(value, int) and int in kinds:
            return value
        if float in kinds:
            return float(value)
        if int in kinds and float(value).is_integer():
            return int(value)
    elif _Word(value) in kinds or (str in kinds and isinstance(value, str)):
        return value
    raise SpaceError(key, f"{'empty' if value is None else repr(value)} is no value for this field, which is {words}")


def _same(one: Value, other: Value) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _unknown(value: Any, part: str) -> str:
    if isinstance(value, list):
        return f"there is no entry {part!r}: the list has {len(value)}, counted from 0"
    if not isinstance(value, BaseModel):
        return f"there is no field {part!r}"
    whole = "search" in type(value).model_fields  # of a stage some fields are held
    names = [name for name in type(value).model_fields if not (whole and name in _HELD)]
    return f"there is no field {part!r}; there are {', '.join(names)}"


def _try(stage: Stage, values: Mapping[str, Value], key: str) -> None:
    try:
        trial_stage(stage, values)
    except ValidationError as error:
        what = "; ".join(item["msg"].removeprefix("Value error, ") for item in error.errors(include_url=False))
        if key:
            raise SpaceError(key, f"{next(iter(values.values()))!r} is refused: {what}") from error
        given = ", ".join(f"{name} = {value!r}" for name, value in values.items())
        raise SpaceError("", f"values that may be proposed together do not fit ({given}): {what}") from error
