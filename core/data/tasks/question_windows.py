"""Questions with their contexts as windows: pieces with the characters they stand for, and where an answer lies.

Works on the backend of a tokenizer (the :mod:`tokenizers` library), so that the check before training needs no torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.data.tasks.windows import plan_windows
from core.errors import ConfigError, ModelError

__all__ = [
    "CutContext",
    "Cutting",
    "PairFrame",
    "Windows",
    "answer_pieces",
    "cut_contexts",
    "cut_questions",
    "frame_of_pair",
    "windows_of",
]


@dataclass(frozen=True)
class PairFrame:
    """Special pieces around a pair of texts, e.g. ``[CLS]`` … ``[SEP]`` … ``[SEP]``, with the type of every part.

    Parameters
    ----------
    before, between, behind
        Pieces before the first text, between both, and behind the second.
    types
        Token type of the three groups and of the two texts: before, first, between (one each), second, behind.
    empty
        Position among all special pieces, in their order, of the one that stands for "no answer": ``[CLS]``.
    """

    before: tuple[int, ...]
    between: tuple[int, ...]
    behind: tuple[int, ...]
    types: tuple[int, int, tuple[int, ...], int, int]
    empty: int

    @property
    def size(self) -> int:
        """Number of special pieces."""
        return len(self.before) + len(self.between) + len(self.behind)

    def joined(self, question: Sequence[int], context: Sequence[int]) -> tuple[list[int], list[int], int, int]:
        """Return pieces, types, the position that stands for no answer, and that of the context's first piece."""
        ids = [*self.before, *question, *self.between, *context, *self.behind]
        before, first, between, second, behind = self.types
        types = [before] * len(self.before) + [first] * len(question) + list(between)
        types += [second] * len(context) + [behind] * len(self.behind)
        start = len(self.before) + len(question) + len(self.between)
        empty = self.empty
        if empty >= len(self.before):
            empty += len(question)
        if empty >= start:
            empty += len(context)
        return ids, types, empty, start


@dataclass(frozen=True)
class CutContext:
    """A context in pieces.

    Parameters
    ----------
    ids
        Its pieces, without special ones.
    starts, ends
        First character of each piece, and the one behind its last; int32 of shape (pieces,).
    """

    ids: list[int]
    starts: np.ndarray
    ends: np.ndarray


def frame_of_pair(backend: Any, empty: int | None = None) -> PairFrame:
    """Return what a tokenizer puts around a pair of texts.

    Parameters
    ----------
    backend
        A tokenizer of the :mod:`tokenizers` library without truncation and padding.
    empty
        Piece that stands for "no answer"; None: the first special piece.

    Raises
    ------
    ModelError
        If it puts nothing around a pair: then no position can stand for "no answer".
    """
    encoding = backend.encode("a", "a")
    owners = list(encoding.sequence_ids)
    places = [[at for at, owner in enumerate(owners) if owner == number] for number in (0, 1)]
    if not places[0] or not places[1] or len(owners) == len(places[0]) + len(places[1]):
        raise ModelError(
            "The model's tokenizer puts no special piece around a question and its context.",
            expected="one like [CLS], whose position stands for no answer",
            advice="Use an encoder of the BERT family.",
        )
    (first, end), (second, last) = ((place[0], place[-1] + 1) for place in places)
    ids, types = encoding.ids, encoding.type_ids
    special = [*ids[:first], *ids[end:second], *ids[last:]]
    return PairFrame(
        tuple(ids[:first]), tuple(ids[end:second]), tuple(ids[last:]),
        (types[0] if first else types[first], types[first], tuple(types[end:second]), types[second], types[-1]),
        special.index(empty) if empty in special else 0,
    )  # fmt: skip


def cut_questions(backend: Any, questions: Sequence[str]) -> list[list[int]]:
    """Return the pieces of questions, without special ones."""
    return [one.ids for one in backend.encode_batch(list(questions), add_special_tokens=False)]


def cut_contexts(backend: Any, contexts: Iterable[str], known: dict[str, CutContext]) -> dict[str, CutContext]:
    """Return the pieces of contexts by their text; each is cut once, however many questions it has.

    Parameters
    ----------
    backend
        A tokenizer of the :mod:`tokenizers` library.
    contexts
        Texts, also repeated ones.
    known
        Contexts that were cut before.
    """
    wanted = list(dict.fromkeys(contexts))
    fresh = [text for text in wanted if text not in known]
    for text, one in zip(fresh, backend.encode_batch(fresh, add_special_tokens=False), strict=True):
        places = np.asarray(one.offsets, dtype=np.int32).reshape(-1, 2)
        known[text] = CutContext(one.ids, np.ascontiguousarray(places[:, 0]), np.ascontiguousarray(places[:, 1]))
    return {text: known[text] for text in wanted}


def windows_of(
    frame: PairFrame, question: Sequence[int], context: CutContext, max_length: int, stride: int, most: int
) -> Iterator[tuple[Sequence[int], int, int]]:
    """Yield (pieces of the question, first piece of the context, the one behind the last) of each window.

    Parameters
    ----------
    frame
        What stands around them.
    question, context
        Their pieces.
    max_length
        Pieces that a window has at most.
    stride
        Pieces of the context that neighbouring windows share at least; no more than half of a window's.
    most
        Pieces that a question may have, but no more than half of the window; a longer one is cut at its end (as by
        Devlin et al. 2019).

    Raises
    ------
    ConfigError
        If the window has no room for anything but special pieces.
    """
    whole = max_length - frame.size
    if whole < 2:
        raise ConfigError(
            f"A window of {max_length} sub-words has no room for a question and its context.",
            where="model.max_length", expected=f"at least {frame.size + 2}",
        )  # fmt: skip
    question = question[: min(most, whole // 2)]
    room = whole - len(question)
    for start, end in plan_windows(len(context.ids), room, min(stride, room // 2)):
        yield question, start, end


def answer_pieces(context: CutContext, start: int, end: int) -> tuple[int, int] | None:
    """Return the first and last piece that hold characters `start` to `end` (exclusive); None if none does.

    A piece that only touches the answer (half of a word is asked for) belongs to it.
    """
    first = int(np.searchsorted(context.ends, start, side="right"))
    last = int(np.searchsorted(context.starts, end, side="left")) - 1
    return (first, last) if first <= last else None


@dataclass(frozen=True)
class Cutting:
    """A question with its context in windows.

    Parameters
    ----------
    question
        Its pieces, cut.
    context
        The context's pieces.
    spans
        First piece of the context, and the one behind the last, of each window.
    gold
        First and last piece of the answer that is learnt; None without one.
    lost
        Whether there is an answer and no window holds it whole.
    question_cut
        Whether the question was cut.
    """

    question: Sequence[int]
    context: CutContext
    spans: list[tuple[int, int]]
    gold: tuple[int, int] | None
    lost: bool
    question_cut: bool


class Windows:
    """Cuts rows of questions (columns ``question``, ``context``, and ``answers`` with ``starts`` where there is gold).

    Parameters
    ----------
    backend
        A tokenizer of the :mod:`tokenizers` library without truncation and padding.
    max_length, stride, longest
        See :func:`windows_of`.
    empty
        See :func:`frame_of_pair`.
    """

    def __init__(self, backend: Any, max_length: int, stride: int, longest: int, empty: int | None = None):
        self._backend = backend
        self._max_length, self._stride = max_length, stride
        self.frame = frame_of_pair(backend, empty)
        self.longest = min(longest, max(1, (max_length - self.frame.size) // 2))
        self._known: dict[str, CutContext] = {}

    def read(self, rows: Sequence[dict[str, Any]]) -> Iterator[Cutting]:
        """Yield each row in windows. A context that the rows before had too is not cut again."""
        contexts = cut_contexts(self._backend, (row["context"] for row in rows), self._known)
        questions = cut_questions(self._backend, [row["question"] for row in rows])
        for row, question in zip(rows, questions, strict=True):
            context = contexts[row["context"]]
            windows = list(windows_of(self.frame, question, context, self._max_length, self._stride, self.longest))
            spans = [(start, end) for _, start, end in windows]
            gold, lost = None, False
            answers, starts = row.get("answers") or [], row.get("starts") or []
            if answers:
                # The first answer has a place whenever any has.
                gold = answer_pieces(context, starts[0], starts[0] + len(answers[0])) if starts[0] >= 0 else None
                lost = gold is None or not any(start <= gold[0] and gold[1] < end for start, end in spans)
            yield Cutting(windows[0][0], context, spans, gold, lost, len(question) > len(windows[0][0]))
        self._known = contexts  # rows about one context usually follow one another
