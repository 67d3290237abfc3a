"""Student and teachers side by side on rows, position by position, where a position says more than one label."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from core.data.tasks.base import Encoded, Rows
from core.training.distil.differences import crossed
from core.training.distil.forms import Form
from core.training.distil.parts import Part, agreeing, apart, kept_only, right, together

__all__ = ["Sides", "compare", "said"]

#: Features that are looked at together.
_AT_ONCE = 32


@dataclass
class Sides:
    """Positions of labelled rows; every array has one entry a position, in the order of the features.

    Parameters
    ----------
    form
        How answers are read.
    feature, position
        Which feature, and which of its positions (see :meth:`core.training.distil.forms.Form.positions`).
    owner
        Row of each.
    place
        Where it stands, from 1; 0 where that has no meaning.
    group
        Kind of its gold, by number in `names`.
    names
        Names of the kinds of gold.
    apart
        Divergence, 0 to 1.
    agrees, knows, answers
        Whether both say the same; whether the teacher, and the student, are right.
    sure
        How sure the teacher, and the student, are of what they say; shape (2, positions).
    chosen
        What ``gold``, ``teacher`` and ``student`` say: for each judged part an option a position (below 0: none), or of
        parts whose options are each a yes or no a tuple of them.
    """

    form: Form
    feature: np.ndarray
    position: np.ndarray
    owner: np.ndarray
    place: np.ndarray
    group: np.ndarray
    names: list[str]
    apart: np.ndarray
    agrees: np.ndarray
    knows: np.ndarray
    answers: np.ndarray
    sure: np.ndarray
    chosen: dict[str, list[list[Any]]]

    def counts(self) -> dict[str, int]:
        """Return how many positions each quadrant has."""
        sides = (torch.from_numpy(one) for one in (self.knows, self.answers))
        return {name: int(one.sum()) for name, one in crossed(*sides)._asdict().items()}


def said(sides: Sides, encoded: Encoded, row: dict[str, Any], at: int, who: str) -> str:
    """Return what ``gold``, ``teacher`` or ``student`` say at a position, in words.

    Parameters
    ----------
    sides
        All positions.
    encoded, row
        The features, and the position's row.
    at
        The position.
    who
        Whose answer.
    """
    chosen = [one[at] for one in sides.chosen[who]]
    return sides.form.say(encoded.features[int(sides.feature[at])], row, int(sides.position[at]), chosen)


def compare(
    form: Form, shares: Sequence[float], student: Sequence[np.ndarray], told: Sequence[np.ndarray], encoded: Encoded,
    rows: Rows,
) -> Sides:  # fmt: skip
    """Hold a student's answers to labelled rows against those of its teachers.

    Parameters
    ----------
    form
        How answers are read.
    shares
        Weight of each teacher; they sum to 1.
    student
        Its logits of every feature, without padding.
    told
        What each teacher says, as :func:`core.training.distil.answers.kept_of` returns it.
    encoded, rows
        The rows as the student reads them, and in standard columns.

    Returns
    -------
    Sides
        Positions with a gold at which no teacher is silent.
    """
    bounds = form.bounds(encoded, rows)
    found: list[dict[str, np.ndarray]] = []
    chosen: dict[str, list[list[Any]]] = {}
    names: list[str] = []
    for indices in _blocks(encoded):
        features = [encoded.features[index] for index in indices]
        logits = form.stacked([student[index] for index in indices], features)
        parts = form.parts(logits, features)
        sides = [form.told(one, bounds, encoded, indices, logits.shape[1]) for one in told]
        here = torch.stack([torch.isfinite(one).flatten(1).all(1) for own in sides for one in own]).all(0)
        parts, sides = kept_only(parts, here), [[one[here] for one in own] for own in sides]
        teacher = together(parts, shares, sides)
        places = [form.positions(feature) for feature in features]
        names, group = form.groups(features)
        columns = {
            "feature": np.repeat(indices, [len(one) for one in places]),
            "position": np.concatenate(places), "group": group,
            "place": np.concatenate([form.place(features[at]) if len(one) else one for at, one in enumerate(places)]),
        }  # fmt: skip
        columns = {name: values[here.numpy()] for name, values in columns.items()}
        own = [one.student for one in parts]
        found.append(
            {
                **columns, "apart": apart(parts, teacher).double().numpy(), "agrees": agreeing(parts, teacher).numpy(),
                "knows": right(parts, teacher).numpy(), "answers": right(parts, own).numpy(),
                "sure": np.stack([_sure(parts, teacher), _sure(parts, own)], axis=1),
            }
        )  # fmt: skip
        for who, values in (("gold", None), ("teacher", teacher), ("student", own)):
            _add(chosen.setdefault(who, []), parts, values)
    joined = {name: np.concatenate([one[name] for one in found]) for name in found[0]} if found else _NOTHING
    return Sides(
        form, owner=np.asarray(encoded.owner, dtype=np.int64)[joined["feature"]], names=names, chosen=chosen,
        **{**joined, "sure": joined["sure"].T},
    )  # fmt: skip


_NOTHING: dict[str, np.ndarray] = {
    **{name: np.zeros(0, dtype=np.int64) for name in ("feature", "position", "group", "place")},
    **{name: np.zeros(0, dtype=bool) for name in ("agrees", "knows", "answers")},
    "apart": np.zeros(0), "sure": np.zeros((0, 2)),
}  # fmt: skip


def _blocks(encoded: Encoded) -> Iterator[list[int]]:
    """Yield features of like length together: little padding."""
    order = np.argsort(np.asarray(encoded.lengths), kind="stable")
    for start in range(0, len(order), _AT_ONCE):
        yield order[start : start + _AT_ONCE].tolist()


def _sure(parts: Sequence[Part], logits: Sequence[torch.Tensor]) -> np.ndarray:
    """Return the probability of what is chosen at each position: a product over the parts that there are.

    Of options that are each a yes or no it is that of the least sure one.
    """
    found: torch.Tensor | None = None
    for one, scores in zip(parts, logits, strict=True):
        if not one.judged:
            continue
        each = scores.abs().sigmoid().amin(-1) if one.apart else functional.softmax(scores.float(), dim=-1).amax(-1)
        if one.gated:  # what is said only of some is sure where nothing is said
            each = torch.where(logits[0].argmax(-1) == 0, torch.ones_like(each), each)
        found = each if found is None else found * each
    assert found is not None
    return np.asarray(found.numpy(), dtype=np.float64)


def _add(chosen: list[list[Any]], parts: Sequence[Part], logits: Sequence[torch.Tensor] | None) -> None:
    """Add what is chosen in each judged part; without logits the gold."""
    judged = [at for at, one in enumerate(parts) if one.judged]
    if not chosen:
        chosen += [[] for _ in judged]
    for place, at in enumerate(judged):
        one = parts[at]
        if not one.apart:
            values = one.gold if logits is None else logits[at].argmax(-1)
            chosen[place] += values.tolist()
            continue
        yes = (one.gold == 1) if logits is None else logits[at] > 0
        listed: list[list[int]] = [[] for _ in range(len(yes))]
        for row, option in yes.nonzero().tolist():
            listed[row].append(option)
        chosen[place] += [tuple(options) for options in listed]
