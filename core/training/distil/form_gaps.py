"""Where student and teacher differ on the gate rows, where a position says more than one label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from core.training.distil.forms import Form
from core.training.distil.gaps import MOST_LABELS, MOST_ROWS, bucket, bucket_words, grouped, part_gaps, short
from core.training.distil.pins import MOST_LETTERS
from core.training.distil.sides import Sides, compare, said

if TYPE_CHECKING:
    from core.training.prepare import Prepared

__all__ = ["FormGaps"]

_NOWHERE = "none"


class FormGaps:
    """Compares a student with its teachers on the gate rows, again and again; see :class:`.gaps.Gaps`.

    Parameters
    ----------
    prepared
        The stage; it has gate rows.
    form
        How answers are read.
    told
        What each teacher says of them; see :func:`core.training.distil.answers.kept_of`.
    shares
        Weight of each teacher.
    """

    def __init__(self, prepared: Prepared, form: Form, told: Sequence[np.ndarray], shares: Sequence[float]):
        self._prepared, self._form = prepared, form
        self._told, self._shares = list(told), list(shares)
        self._rows, self._encoded = prepared.roles.gate, prepared.encoded["gate"]

    def look(self, logits: Sequence[np.ndarray]) -> dict[str, Any]:
        """Compare what a student says with what its teachers say; returns what :meth:`.gaps.Gaps.look` does.

        Labels are kinds of gold, places numbers of words, or of the sub-word at which an answer begins. A row is as far
        apart as its positions in the mean; of a question the window is shown that is furthest.
        """
        sides = compare(self._form, self._shares, logits, self._told, self._encoded, self._rows)
        apart, agrees = sides.apart, sides.agrees
        by_label: list[list[Any]] = [[sides.names[at], *rest] for at, *rest in grouped(sides.group, apart, agrees)]
        # 0 is nowhere: the buckets of places stand behind it.
        places = np.where(sides.place > 0, 1 + bucket(sides.place), 0)
        by_place = [[bucket_words(at - 1) if at else _NOWHERE, *rest] for at, *rest in grouped(places, apart, agrees)]
        found = {
            "n": len(apart), "divergence": short(apart.mean()) if len(apart) else None,
            "agreement": short(agrees.mean()) if len(apart) else None, "quadrants": sides.counts(),
            "label": sorted(by_label, key=lambda one: -one[1])[:MOST_LABELS], "place": by_place, "by": self._form.by,
        }  # fmt: skip
        if self._form.by == "position":
            sizes = np.asarray([len(one) for one in self._rows[:]["tokens"]])
            starts = np.concatenate([[0], np.cumsum(sizes)])
            found |= part_gaps(self._prepared, starts[sides.owner] + sides.place - 1, apart, agrees)
        return {**found, "most": self._most(sides)}

    def _most(self, sides: Sides) -> list[dict[str, Any]]:
        count = np.bincount(sides.owner, minlength=len(self._rows))
        means = np.bincount(sides.owner, weights=sides.apart, minlength=len(self._rows)) / np.maximum(count, 1)
        found: list[dict[str, Any]] = []
        for row in np.argsort(-means, kind="stable"):
            if len(found) == MOST_ROWS or not count[row]:
                break
            columns = self._rows[int(row)]
            entry: dict[str, Any] = {"row": columns.get("row"), "d": short(means[row])}
            mine = np.flatnonzero(sides.owner == row)
            if "question" in columns:
                entry |= {"text": columns["question"], "pair": columns["context"]}
                mine = mine[[int(sides.apart[mine].argmax())]]
            else:
                entry |= {"text": " ".join(columns["tokens"]), "tokens": list(columns["tokens"])}
                mine = mine[np.argsort(sides.place[mine], kind="stable")]
            if len(entry["text"]) + len(entry.get("pair", "")) > MOST_LETTERS:
                continue  # it could not be pinned
            for who in ("gold", "teacher", "student"):
                words = [said(sides, self._encoded, columns, int(at), who) for at in mine]
                entry[who] = words[0] if "question" in columns else words
            found.append(entry)
        return found
