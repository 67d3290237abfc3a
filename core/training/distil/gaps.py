"""Where student and teacher differ on the gate rows: by gold label, by place or length, by part of speech, by row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from core.data.parts import SECONDS, UPOS, Parts, parts_of
from core.training.distil.differences import consensus, divergence, quadrants
from core.training.distil.pins import MOST_LETTERS
from core.training.distil.positions import spread, unit_answers

if TYPE_CHECKING:
    from core.training.prepare import Prepared

__all__ = [
    "MOST_LABELS", "MOST_ROWS", "Gaps", "bucket", "bucket_words", "grouped", "part_gaps", "short",
]  # fmt: skip

#: Labels that are told of, the most frequent ones, and rows in which the two differ most.
MOST_LABELS = 40
MOST_ROWS = 20
#: Share of a stage's budget of seconds that tagging words may take, and seconds of it that loading the tagger takes.
_BUDGET, _LOADING = 0.05, 2.0
#: Parts of speech by rows, where they come from, and seconds; the last ones only: all stages of a run have the same.
_FOUND: dict[tuple[Any, ...], Parts] = {}


def bucket(count: np.ndarray) -> np.ndarray:
    """Return the number of the bucket of counts from 1: 0 for 1, 1 for 2, 2 for 3 and 4, 3 for 5 to 8 and so on."""
    return np.ceil(np.log2(np.maximum(count, 1))).astype(np.int64)


def bucket_words(number: int) -> str:
    """Return what a bucket holds: ``3–4``."""
    low, high = (1 if number == 0 else 2 ** (number - 1) + 1), 2**number
    return str(high) if low == high else f"{low}–{high}"


class Gaps:
    """Compares a student with its teachers on the gate rows, again and again.

    Parameters
    ----------
    prepared
        The stage; it has gate rows.
    told
        What each teacher says of them: (units, classes), not a number where it is silent.
    shares
        Weight of each teacher.
    """

    def __init__(self, prepared: Prepared, told: Sequence[np.ndarray], shares: Sequence[float]):
        self._task, self._rows, self._prepared = prepared.task, prepared.roles.gate, prepared
        self._encoded = prepared.encoded["gate"]
        self._told, self._shares = list(told), list(shares)
        self._tagging = prepared.task.kind == "tagging"
        self._several = prepared.task.config.multi_label
        self._classes = len(prepared.task.labels)
        columns = self._rows[:]
        self._sizes = np.asarray([len(one) for one in columns["tokens"]]) if self._tagging else None
        self._gold = self._read_gold(columns)
        #: Row of each unit.
        self._owner = np.repeat(np.arange(len(self._rows)), 1 if self._sizes is None else self._sizes)
        self._place = self._places()

    def _read_gold(self, columns: dict[str, Any]) -> np.ndarray:
        """Return the gold: classes of shape (units,), with several labels 0 or 1 of shape (units, labels)."""
        if self._tagging:
            return np.asarray([tag for tags in columns["tags"] for tag in tags], dtype=np.int64)
        if not self._several:
            return np.asarray(columns["label"], dtype=np.int64)
        gold = np.zeros((len(self._rows), self._classes), dtype=np.int64)
        for row, labels in enumerate(columns["labels"]):
            gold[row, list(labels)] = 1
        return gold

    def _places(self) -> np.ndarray:
        """Return each unit's bucket: of a word's number in its sentence, or of a text's sub-words."""
        if self._sizes is not None:
            return bucket(np.concatenate([np.arange(1, size + 1) for size in self._sizes]))
        return bucket(np.asarray(self._encoded.lengths))

    def look(self, logits: Sequence[np.ndarray]) -> dict[str, Any]:
        """Compare what a student says with what its teachers say.

        Parameters
        ----------
        logits
            The student's, of every feature of the gate rows, without padding.

        Returns
        -------
        dict
            ``n`` (positions), ``divergence`` and ``agreement`` (means), ``quadrants`` {name: count}, ``label`` and
            ``place`` [[name, positions, mean divergence, agreement]], ``by`` (what ``place`` is: position or length),
            of words ``part`` (the same by universal part of speech) and ``parts`` {origin, source} (see
            :class:`~core.data.parts.Parts`),
            ``most`` [{row, d, text, pair?, tokens?, gold, teacher, student}], the rows with the largest mean
            divergence.
        """
        own = unit_answers(logits, self._encoded, self._rows, self._classes)
        here = np.isfinite(own).all(1)
        for one in self._told:
            here &= np.isfinite(one).all(1)
        units = np.flatnonzero(here)
        student = spread(self._task, torch.from_numpy(own[units]))
        told = [spread(self._task, torch.from_numpy(one[units].astype(np.float32))) for one in self._told]
        teacher = consensus(self._shares, told)
        gold = torch.from_numpy(self._gold[units].reshape(-1))
        differs = divergence(teacher, student).double().numpy()
        agrees = (teacher.argmax(-1) == student.argmax(-1)).numpy()
        each = self._classes if self._several else 1  # questions a unit
        labels = np.tile(np.arange(self._classes), len(units)) if self._several else gold.numpy()
        places = np.repeat(self._place[units], each)
        counts = {name: int(one.sum()) for name, one in quadrants(teacher, student, gold)._asdict().items()}
        by_label: list[list[Any]] = [
            [self._task.labels[number], *rest] for number, *rest in grouped(labels, differs, agrees)
        ]
        by_place = [[bucket_words(number), *rest] for number, *rest in grouped(places, differs, agrees)]
        by_part = part_gaps(self._prepared, units, differs, agrees) if self._tagging else {}
        return {
            "n": len(differs), "divergence": short(differs.mean()) if len(differs) else None,
            "agreement": short(agrees.mean()) if len(differs) else None, "quadrants": counts,
            "label": sorted(by_label, key=lambda one: -one[1])[:MOST_LABELS], "place": by_place,
            "by": "position" if self._tagging else "length", **by_part,
            "most": self._most(units, differs.reshape(len(units), -1).mean(1), teacher, student, each),
        }  # fmt: skip

    def _most(
        self, units: np.ndarray, differs: np.ndarray, teacher: torch.Tensor, student: torch.Tensor, each: int
    ) -> list[dict[str, Any]]:
        owner = self._owner[units]
        count = np.bincount(owner, minlength=len(self._rows))
        means = np.bincount(owner, weights=differs, minlength=len(self._rows)) / np.maximum(count, 1)
        theirs, own = (one.argmax(-1).numpy().reshape(len(units), each) for one in (teacher, student))
        found: list[dict[str, Any]] = []
        for row in np.argsort(-means, kind="stable"):
            if len(found) == MOST_ROWS or not count[row]:
                break
            columns = self._rows[int(row)]
            entry: dict[str, Any] = {"row": columns.get("row"), "d": short(means[row])}
            if self._tagging:
                entry |= {"text": " ".join(columns["tokens"]), "tokens": list(columns["tokens"])}
            else:
                entry["text"] = columns["text"]
                if columns.get("text_pair") is not None:
                    entry["pair"] = columns["text_pair"]
            if len(entry["text"]) + len(entry.get("pair", "")) > MOST_LETTERS:
                continue  # it could not be pinned
            mine = np.flatnonzero(owner == row)
            entry["gold"] = self._names(self._gold[units[mine]])
            entry["teacher"], entry["student"] = self._names(theirs[mine]), self._names(own[mine])
            found.append(entry)
        return found

    def _names(self, answers: np.ndarray) -> Any:
        """Return answers as people read them: a label, labels, or a tag a word."""
        names = self._task.labels
        if self._several:
            return [name for name, yes in zip(names, answers.reshape(-1), strict=True) if yes]
        found = [names[int(one)] for one in answers.reshape(-1)]
        return found if self._tagging else found[0]


def part_gaps(prepared: Prepared, units: np.ndarray, differs: np.ndarray, agrees: np.ndarray) -> dict[str, Any]:
    """Return how far student and teachers are apart on words of each part of speech.

    Parameters
    ----------
    prepared
        The stage; its gate rows have words.
    units
        Numbers of the words among all words of the gate rows.
    differs, agrees
        Their divergence, and whether both say the same.

    Returns
    -------
    dict
        ``part`` and ``parts``; see :meth:`Gaps.look`.
    """
    parts = _parts_of_speech(prepared)
    codes = parts.codes[units]
    here = codes >= 0
    found = [[UPOS[code], *rest] for code, *rest in grouped(codes[here], differs[here], agrees[here])]
    return {
        "part": sorted(found, key=lambda one: -one[1]), "parts": {"origin": parts.origin, "source": parts.source}
    }  # fmt: skip


def _parts_of_speech(prepared: Prepared) -> Parts:
    """Return the parts of speech of the gate words: found at the first look, once a run."""
    roles, plan, budget = prepared.roles, prepared.plan, prepared.stage.budget_s
    seconds = SECONDS if budget is None else max(0.0, min(SECONDS, _BUDGET * budget - _LOADING))
    key = (roles.fingerprint, plan.data.source, plan.data.gate_source, seconds)
    if key not in _FOUND:
        found = parts_of(roles.gate, plan.data, plan.task, roles.report, seconds=seconds)
        _FOUND.clear()
        _FOUND[key] = found
    return _FOUND[key]


def grouped(groups: np.ndarray, differs: np.ndarray, agrees: np.ndarray) -> list[tuple[int, int, float, float]]:
    """Return (group, positions, mean divergence, agreement) of each group that has positions, in order."""
    count = np.bincount(groups)
    total, same = np.bincount(groups, weights=differs), np.bincount(groups, weights=agrees)
    return [
        (int(one), int(count[one]), short(total[one] / count[one]), short(same[one] / count[one]))
        for one in np.flatnonzero(count)
    ]


def short(value: float) -> float:
    """Return a number with the digits that are kept."""
    return round(float(value), 5)
