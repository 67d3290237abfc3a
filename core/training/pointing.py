"""What a head that points says of a few sentences while it learns: ``pointers.jsonl`` in the run's folder.

The same gate sentences are looked at before the first step and at evaluations, test sentences once, with the weights
that are tested. Looking is one small forward pass and changes no number of the training.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.data.tasks.base import Encoded
from core.data.tasks.heads import cut_logits
from core.data.tasks.pointer_view import gold_of, pointer_views, points, watched_entries
from core.training.diary import Diary

if TYPE_CHECKING:
    from core.training.engine import Engine
    from core.training.session import Session

__all__ = ["FILE", "LOOKS", "SENTENCES", "PointerLooks", "look_at_test"]

FILE = "pointers.jsonl"
#: Sentences of each task, from gate and from test.
SENTENCES = {"gate": 4, "test": 8}
#: Looks in a stage, at most, beside those before it and at its end.
LOOKS = 40
#: Words of such a sentence at most; of a question the sub-words of its context.
_MOST_WORDS, _MOST_PIECES = 32, 400
#: Shares are kept in thousandths.
SCALE = 1000

Event = Callable[..., None]


@dataclass(frozen=True)
class _Watched:
    """Sentences of a task: features that hold them whole, their rows, and names for both."""

    engine: Engine
    task: str
    role: str
    indices: np.ndarray
    rows: list[dict[str, Any]]

    @property
    def pins(self) -> list[str]:
        return [f"{self.task}/{self.role}/{int(index)}" for index in self.indices]

    def views(self) -> list[dict[str, Any]]:
        """Look at the sentences with the weights as they are."""
        import torch

        from core.models.pointer.reading import reading
        from core.models.pointing import taken
        from core.models.prediction import ListRows

        engine, prepared = self.engine, self.engine.prepared
        encoded = prepared.encoded[self.role]
        features = [encoded.features[index] for index in self.indices]
        lengths = [encoded.lengths[index] for index in self.indices]
        with engine.scoring(), torch.inference_mode(), reading(prepared.model) as noted:
            logits, _ = engine.scorer(self.role)(features, self.indices)
        values = logits.float().cpu().numpy()
        cut = [
            cut_logits(value, feature, length) for value, feature, length in zip(values, features, lengths, strict=True)
        ]
        rows = ListRows({name: [row[name] for row in self.rows] for name in self.rows[0]})
        again = Encoded(features, lengths, list(range(len(features))))
        # Columns stay the same over the training; test sentences are looked at once.
        keep = None if self.role == "test" else [watched_entries(prepared.task, row) for row in self.rows]
        return pointer_views(prepared.task, cut, again, rows, taken(noted, len(features)), keep)


def _watched(engine: Engine, task: str, role: str) -> _Watched | None:
    """Choose sentences of a role: such as one window shows whole, with pointers to words where there are enough."""
    prepared = engine.prepared
    encoded = prepared.encoded.get(role)
    if encoded is None or not points(prepared.task.config):
        return None
    windows = np.bincount(encoded.owner, minlength=1)
    whole = [
        index for index, (feature, row) in enumerate(zip(encoded.features, encoded.owner, strict=True))
        if windows[row] == 1 and _fits(feature)
    ]  # fmt: skip
    pointing = [index for index in whole if _points_somewhere(encoded.features[index])]
    wanted = SENTENCES[role]
    found = pointing if len(pointing) >= wanted else whole
    if not found:
        return None
    places = np.unique(np.linspace(0, len(found) - 1, min(wanted, len(found))).round().astype(np.int64))
    indices = np.array([found[at] for at in places], dtype=np.int64)
    rows = getattr(prepared.roles, role)
    return _Watched(engine, task, role, indices, [dict(rows[int(encoded.owner[index])]) for index in indices])


def _fits(feature: Mapping[str, Any]) -> bool:
    if "places" in feature:
        return 2 <= len(feature["places"]) <= _MOST_WORDS
    return 2 <= len(feature["starts"]) <= _MOST_PIECES


def _points_somewhere(feature: Mapping[str, Any]) -> bool:
    if "spans" in feature:
        return bool(feature["labels"])
    if "places" in feature:
        return bool((np.asarray(feature["labels"])[:, 0] > 0).any())
    return bool(feature["labels"][0] >= 0 and feature["labels"][0] != feature["empty"])


class PointerLooks:
    """Looks at the gate sentences of one stage.

    Parameters
    ----------
    session
        The stage, built on the model.
    folder
        The run's.
    stage
        Place of the stage among those that are executed, from 0.
    step
        The run's step at which it begins, or goes on.
    fresh
        Whether the stage begins here: what was written of it before is void.
    event
        Told once why nothing can be written down.
    """

    def __init__(self, session: Session, folder: Path, stage: int, *, step: int, fresh: bool, event: Event):
        def keep(entry: Mapping[str, Any]) -> bool:
            return int(entry["step"]) <= step and not (fresh and int(entry["stage"]) >= stage)

        self._stage = stage
        self._note = _Notes(folder, keep, event)
        self._watched = _all_watched(session, "gate")
        prepared = session.prepared
        every = session.stage.eval_every or prepared.steps_per_epoch
        self._steps = prepared.steps
        #: Every which evaluation is looked at.
        self._gap = max(1, math.ceil(prepared.steps / max(1, every) / LOOKS))
        self._every = max(1, every)

    def look(self, step: int) -> None:
        """Look now."""
        for one in self._watched:
            self._note.write(one, "look", step, self._stage)

    def evaluated(self, own: int, step: int) -> None:
        """Look after an evaluation at the stage's own step, if it is time."""
        if own == self._steps or (own // self._every) % self._gap == 0:
            self.look(step)


def _all_watched(session: Session, role: str) -> list[_Watched]:
    found = (_watched(engine, name, role) for name, engine in session.named_engines().items())
    return [one for one in found if one is not None]


def look_at_test(session: Session, folder: Path, stage: int, step: int, event: Event) -> None:
    """Look at test sentences with the weights that are tested, once at the end of a run."""
    watched = _all_watched(session, "test")
    if watched:
        note = _Notes(folder, lambda entry: entry.get("role") != "test", event)
        for one in watched:
            note.write(one, "look", step, stage)


class _Notes:
    """The file; a disk that takes nothing more is told once."""

    def __init__(self, folder: Path, keep: Callable[[Mapping[str, Any]], bool], event: Event):
        self._diary, self._event, self._broken = Diary(folder / FILE, keep), event, False

    def write(self, watched: _Watched, kind: str, step: int, stage: int) -> None:
        """Write what is seen of the sentences now; what does not change is written once."""
        known = {"stage": stage, "role": watched.role}
        try:
            for pin, view, row in zip(watched.pins, watched.views(), watched.rows, strict=True):
                if not self._diary.has("sentence", pin):
                    gold = gold_of(watched.engine.prepared.task, row, view)
                    self._diary.write(
                        "sentence", step, pin, **known, task=watched.task, row=row.get("row"), gold=gold,
                        **{name: view[name] for name in ("text", "rows", "columns", "slot", "entries")},
                        form=view["kind"],
                    )  # fmt: skip
                self._diary.write(kind, step, pin, **known, **_small(view))
        except OSError as error:
            if not self._broken:
                self._event("warning", f"Where the head points cannot be written down: {error}. Training goes on.")
            self._broken = True


def _small(view: Mapping[str, Any]) -> dict[str, Any]:
    """Return what changes with the weights, in few characters."""
    found = {name: view[name] for name in ("pointed", "names", "spans", "contains")}
    found["shares"] = _thousandths(view["shares"])
    if view["memory"] is not None:
        read = np.nan_to_num(np.asarray(view["read"], dtype=np.float64))
        found |= {"memory": _thousandths(view["memory"]), "read": [float(f"{one:.3g}") for one in read]}
    for one in found["spans"] or ():
        one["share"] = round(one["share"], 4)
    if found["contains"] is not None:
        found["contains"] = {name: round(share, 4) for name, share in found["contains"].items()}
    return found


def _thousandths(values: Any) -> list[list[int]]:
    found: list[list[int]] = np.rint(SCALE * np.nan_to_num(np.asarray(values, dtype=np.float64))).astype(int).tolist()
    return found
