"""What is said of a pinned row, position by position and part by part, where a position says more than one label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from core.data.tasks.base import Encoded, Rows
from core.training.distil.answers import kept_of
from core.training.distil.forms import Form
from core.training.distil.parts import BARRED, Part, apart_each, kept_only, together

if TYPE_CHECKING:
    from core.training.distil.objective import Objective

__all__ = ["FormRead"]

#: What stands for no option where each is a yes or no.
_NONE = "none"


@dataclass(frozen=True)
class _Line:
    """A line of the strip: which judged part of which position, and where its options begin among all.

    `groups` gives the group of each option where each is a yes or no.
    """

    part: int
    position: int
    begins: int
    groups: np.ndarray | None


class FormRead:
    """A pinned row as the student reads it, and what the teachers say of it.

    Parameters
    ----------
    form
        How answers are read.
    objective
        Knows the teachers.
    encoded, rows
        The row as the student reads it, without gold, and in standard columns.
    most
        Options of a distribution that are kept: the most probable ones.

    Attributes
    ----------
    lines
        What the lines are called; known after the first :meth:`look`.
    names
        What the options are called.
    teacher
        What the teachers say in each line: [[option, share in thousandths], …].
    """

    def __init__(self, form: Form, objective: Objective, encoded: Encoded, rows: Rows, most: int):
        self.encoded = encoded
        self._form, self._rows, self._most, self._shares = form, rows, most, objective.shares
        self._bounds = form.bounds(encoded, rows)
        self._kept = []
        for teacher in objective.teachers:
            own = form.read(teacher, rows, encoded)
            self._kept.append(kept_of(teacher, rows, encoded, own, teacher.logits(own.features)))
        self.lines: list[str] | None = None
        self.names: list[str] = []
        self.teacher: list[list[list[int]]] = []
        self._lines: list[_Line] = []

    def look(self, logits: Sequence[np.ndarray]) -> tuple[list[float], list[list[list[int]]]]:
        """Return the divergence of each line, and what the student says there as ``teacher`` holds it.

        Parameters
        ----------
        logits
            The student's, of each feature, without padding.
        """
        form, features = self._form, self.encoded.features
        stacked = form.stacked(logits, features)
        indices = list(range(len(features)))
        sides = [form.told(one, self._bounds, self.encoded, indices, stacked.shape[1]) for one in self._kept]
        here = torch.stack([torch.isfinite(one).flatten(1).all(1) for own in sides for one in own]).all(0)
        parts = kept_only(form.parts(stacked, features), here)
        told = together(parts, self._shares, [[one[here] for one in own] for own in sides])
        if self.lines is None:
            self.lines = list(self._find(parts, told, here.numpy()))
            self.teacher = [self._top(parts, told, line) for line in self._lines]
        each = apart_each(parts, told)
        apart = [round(float(each[line.part][line.position]), 4) for line in self._lines]
        own = [one.student for one in parts]
        return apart, [self._top(parts, own, line) for line in self._lines]

    def _find(self, parts: Sequence[Part], told: Sequence[torch.Tensor], here: np.ndarray) -> list[str]:
        """Find the lines, and return what they are called; a part that says something only of some has them there."""
        judged = [at for at, one in enumerate(parts) if one.judged]
        row: dict[str, Any] = self._rows[0]
        found: list[str] = []
        position = seen = 0
        for window, feature in enumerate(self.encoded.features):
            titles, options = self._form.strip(feature, row, window)
            begins: list[tuple[int, np.ndarray | None]] = []
            for one in options:
                groups = None
                begin = len(self.names)
                if isinstance(one, tuple):
                    self.names += [_NONE, *one[0]]
                    groups = one[1]
                else:
                    self.names += one
                begins.append((begin, groups))
            for place in range(len(self._form.positions(feature))):
                if here[seen]:
                    for number, at in enumerate(judged):
                        if not parts[at].gated or int(told[0][position].argmax()) != 0:
                            self._lines.append(_Line(number, position, *begins[number]))
                            found.append(titles[number][place])
                    position += 1
                seen += 1
        return found

    def _top(self, parts: Sequence[Part], logits: Sequence[torch.Tensor], line: _Line) -> list[list[int]]:
        """Return the most probable options with their shares in thousandths."""
        at = [number for number, one in enumerate(parts) if one.judged][line.part]
        scores = logits[at][line.position].float()
        if line.groups is None:
            shares = functional.softmax(scores, dim=-1).masked_fill(parts[at].student[line.position] <= BARRED, -1.0)
        else:
            yes = scores.sigmoid().numpy()
            best = np.zeros(int(line.groups.max(initial=-1)) + 1, dtype=np.float32)
            known = line.groups >= 0
            np.maximum.at(best, line.groups[known], yes[: len(line.groups)][known])
            shares = torch.from_numpy(np.concatenate([[1.0 - best.max(initial=0.0)], best]))
        top = torch.topk(shares, min(self._most, len(shares)))
        pairs = zip(top.indices.tolist(), top.values.tolist(), strict=True)
        return [[line.begins + option, round(1000 * share)] for option, share in pairs if share >= 0]
