"""Answers about windows of questions: start and end, each a distribution over the context's sub-words and "no answer".

The teacher answers the student's windows. Start and end are places among sub-words, so both must cut texts alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from core.data.tasks.base import Encoded, Rows, Task
from core.data.tasks.pieces import backend_of
from core.data.tasks.question_windows import frame_of_pair
from core.errors import ConfigError
from core.training.distil.forms import halves
from core.training.distil.parts import BARRED, NOTHING, Part

if TYPE_CHECKING:
    from core.training.distil.teacher import Teacher

__all__ = ["SpanForm"]

_GROUPS = ["answer in the window", "no answer in the window"]
_NONE = "no answer"


class SpanForm:
    """A window is a position: it is right where start and end are, and its parts weigh one half each, as in the loss.

    Parameters
    ----------
    task
        The student's, with whichever head.
    """

    name = "windows"
    by = "answer"

    def __init__(self, task: Task):
        self.task = task

    def bounds(self, encoded: Encoded, rows: Rows) -> np.ndarray:
        """Return where the numbers of each window begin; see :class:`~core.training.distil.forms.Form`."""
        sizes = [2 * (1 + len(feature["starts"])) for feature in encoded.features]
        return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)

    def positions(self, feature: dict[str, Any]) -> np.ndarray:
        """Return a single 0; nothing for a window from which nothing is to be learnt."""
        return np.zeros(int(feature.get("labels", (0,))[0] >= 0), dtype=np.int64)

    def parts(self, logits: torch.Tensor, features: Sequence[dict[str, Any]]) -> list[Part]:
        """Return start and end of each window that counts; options are the window's sub-words."""
        counts = [at for at, feature in enumerate(features) if len(self.positions(feature))]
        chosen = [features[at] for at in counts]
        allowed = torch.from_numpy(_allowed(chosen, logits.shape[1])).to(logits.device)
        gold = np.asarray([feature.get("labels", (NOTHING, NOTHING)) for feature in chosen], dtype=np.int64)
        golden = torch.from_numpy(gold.reshape(-1, 2)).to(logits.device)
        here = logits[counts].float()
        return [
            Part(name, here[..., side].masked_fill(~allowed, BARRED), golden[:, side], weight=0.5)
            for side, name in enumerate(("start", "end"))
        ]

    def told(
        self, values: np.ndarray, bounds: np.ndarray, encoded: Encoded, indices: Sequence[int], width: int
    ) -> list[torch.Tensor]:
        """Return the teacher's starts and ends; see :class:`~core.training.distil.forms.Form`."""
        chosen = [int(index) for index in indices if len(self.positions(encoded.features[int(index)]))]
        found = np.full((2, len(chosen), width), BARRED, dtype=np.float32)
        for row, index in enumerate(chosen):
            feature = encoded.features[index]
            both = np.asarray(values[bounds[index] : bounds[index + 1]], dtype=np.float32).reshape(2, -1)
            found[:, row, feature["empty"]] = both[:, 0]
            found[:, row, feature["first"] : feature["first"] + both.shape[1] - 1] = both[:, 1:]
        return [torch.from_numpy(one) for one in found]

    def read(self, teacher: Teacher, rows: Rows, encoded: Encoded) -> Encoded:
        """Return the student's windows with the inputs that the teacher takes.

        Raises
        ------
        ConfigError
            If student and teacher put other sub-words around a question and its context.
        """
        tokenizer = teacher.finished.tokenizer
        with backend_of(tokenizer) as backend:  # pieces have the same numbers: `check_teacher` has seen to that
            frame = frame_of_pair(backend, tokenizer.cls_token_id)
        typed = "token_type_ids" in tokenizer.model_input_names
        features = []
        for feature in encoded.features:
            ids, first, size = list(feature["input_ids"]), feature["first"], len(feature["starts"])
            question = ids[len(frame.before) : first - len(frame.between)]
            same, types, empty, start = frame.joined(question, ids[first : first + size])
            if same != ids or (empty, start) != (feature["empty"], first):
                raise ConfigError(
                    "Student and teacher put other pieces around a question and its context, so their windows differ.",
                    where=teacher.where, expected="a teacher with the student's tokeniser",
                )  # fmt: skip
            one = {name: value for name, value in feature.items() if name not in ("labels", "token_type_ids")}
            features.append({**one, "token_type_ids": types} if typed else one)
        return Encoded(features, list(encoded.lengths), list(encoded.owner))

    def put(self, values: np.ndarray, bounds: np.ndarray, own: Encoded, index: int, logits: np.ndarray) -> None:
        """Keep a window's starts, then its ends, "no answer" first."""
        feature = own.features[index]
        first, size = feature["first"], len(feature["starts"])
        both = np.concatenate([logits[feature["empty"]][None], logits[first : first + size]])
        values[bounds[index] : bounds[index + 1]] = halves(both.T).reshape(-1)

    def order(self, task: Task, labels: Sequence[str]) -> np.ndarray:
        """Return start and end."""
        return np.arange(2)

    def ordered(self, logits: np.ndarray, order: np.ndarray) -> np.ndarray:
        """Return the logits as they are: start and end have no other names."""
        return logits

    def stacked(self, logits: Sequence[np.ndarray], features: Sequence[dict[str, Any]]) -> torch.Tensor:
        """Return logits of shape (windows, longest, 2)."""
        found = np.zeros((len(logits), max((len(one) for one in logits), default=0), 2), dtype=np.float32)
        for row, one in enumerate(logits):
            found[row, : len(one)] = one
        return torch.from_numpy(found)

    def groups(self, features: Sequence[dict[str, Any]]) -> tuple[list[str], np.ndarray]:
        """Return whether the answer lies in each window."""
        found = [int(feature["labels"][0] == feature["empty"]) for feature in features if len(self.positions(feature))]
        return _GROUPS, np.asarray(found, dtype=np.int64)

    def place(self, feature: dict[str, Any]) -> np.ndarray:
        """Return at which sub-word of the window's context the answer begins; 0 without one."""
        start = feature["labels"][0]
        return np.asarray([0 if start == feature["empty"] else 1 + start - feature["first"]])

    def say(self, feature: dict[str, Any], row: dict[str, Any], position: int, chosen: Sequence[Any]) -> str:
        """Return the answer; where start and end are none, what each of them is."""
        start, end = (int(one) for one in chosen)
        if start == end == feature["empty"]:
            return _NONE
        first, context = feature["first"], row["context"]
        if first <= start <= end:
            begin, behind = int(feature["starts"][start - first]), int(feature["ends"][end - first])
            return str(context[begin:behind].strip())
        named = [_NONE if at == feature["empty"] else f"“{_piece(feature, context, at)}”" for at in (start, end)]
        return f"start {named[0]}, end {named[1]}"

    def strip(self, feature: dict[str, Any], row: dict[str, Any], window: int) -> tuple[list[list[str]], list[Any]]:
        """Return start and end as two lines, and the sub-words of the window as options."""
        names = ["" for _ in feature["input_ids"]]
        names[feature["empty"]] = _NONE
        for at in range(feature["first"], feature["first"] + len(feature["starts"])):
            names[at] = _piece(feature, row["context"], at)
        behind = f", window {window + 1}" if window else ""
        return [[f"start{behind}"], [f"end{behind}"]], [names, names]


def _piece(feature: dict[str, Any], context: str, at: int) -> str:
    place = at - feature["first"]
    return str(context[int(feature["starts"][place]) : int(feature["ends"][place])].strip())


def _allowed(features: Sequence[dict[str, Any]], width: int) -> np.ndarray:
    """Return where start and end can be, shape (windows, width)."""
    first, size, empty = (
        np.asarray([one(feature) for feature in features], dtype=np.int64)[:, None]
        for one in (lambda it: it["first"], lambda it: len(it["starts"]), lambda it: it["empty"])
    )
    at = np.arange(width)[None]
    return ((at >= first) & (at < first + size)) | (at == empty)
