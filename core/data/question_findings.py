"""What the check says about questions: answers out of place, windows, answers lost to them, questions that are cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from core.config import TaskConfig
from core.data.question_rows import UNANSWERED
from core.data.readers.base import shown
from core.data.report import DataReport

if TYPE_CHECKING:
    from core.data.reading import Reading

__all__ = ["REASONS", "tell_answers", "tell_unanswered", "tell_windows"]

#: Why rows of questions are left out.
REASONS = {
    "no_answer": "a question without an answer",
    "bad_answer": "answers that cannot be read",
    "wrong_start": "an answer that is not where its start says, and in several other places",
    "not_in_context": "an answer that its context does not hold",
}
_STATES = {
    "repaired": (
        "warning", "{count:,} answers are not where their start says; each stands once in its context and was found.",
        "Look at a few: wrong starts often come from contexts that were edited afterwards.",
    ),
    "several": (
        "note", "{count:,} answers have no start and stand several times in their context; the first place is learnt.",
        "Name the column with the starts (data.columns.start) if there is one.",
    ),
    "ambiguous": (
        "warning", "{count:,} answers are not where their start says and stand in several other places; they count for "
        "scoring, and another answer of the same question is learnt.",
        "Correct the starts at the source.",
    ),
    "missing": (
        "warning", "{count:,} answers are not in their context; they count for scoring, and another answer of the same "
        "question is learnt.",
        "An extracting model can never give them: correct them at the source.",
    ),
}  # fmt: skip


def tell_answers(
    report: DataReport, reading: Reading, named: Callable[[list[dict[str, Any]], int], str], *, no_answer: bool
) -> None:
    """Add findings about answers that do not stand where the data says, and about rows that were left out.

    Parameters
    ----------
    report
        Where to add.
    reading
        What happened while a source was read.
    named
        Puts rows into words.
    no_answer
        Whether questions may have no answer.
    """
    for state, entry in reading.answers.items():
        level, message, advice = _STATES[state]
        where = f"{reading.source}, {named(entry['rows'], entry['count'])}"
        report.add(
            "warning" if level == "warning" else "note", f"answers_{state}", message.format(count=entry["count"]),
            where, advice,
        )  # fmt: skip
    lost = reading.dropped.get("no_answer", {}).get("count", 0)
    if lost and not no_answer:
        report.add(
            "note", "no_answer_off", f"{lost:,} questions have no answer, and the plan does not let a model say so.",
            reading.source, "Set task.no_answer to keep them (as in SQuAD 2.0).",
        )  # fmt: skip


def tell_unanswered(report: DataReport, roles: Sequence[str], task: TaskConfig) -> None:
    """Add findings about questions without an answer: none to learn from, or nothing else."""
    if not task.no_answer:
        return
    by_label = {entry["label"]: entry["roles"] for entry in report.labels}
    counts = {role: by_label.get(UNANSWERED, {}).get(role, 0) for role in roles}
    if not counts.get("train"):
        report.add(
            "warning", "all_answered", "Every training question has an answer: saying 'no answer' cannot be learnt.",
            "task.no_answer", "Switch it off, or add questions without an answer.",
        )  # fmt: skip
    if len(by_label) == 1 and UNANSWERED in by_label:
        report.add(
            "error", "nothing_answered", "No question has an answer.", "data.columns.answers",
            "Check which column holds the answers, and where the key is_impossible comes from.",
        )  # fmt: skip


def tell_windows(
    report: DataReport, parts: Iterable[list[dict[str, Any]]], task: TaskConfig, max_length: int, tokenizer: Any
) -> None:
    """Add what windows do to questions: how many need several, which answers none holds, which questions are cut.

    Parameters
    ----------
    report
        Where to add; ``lengths`` gets ``windows``, ``lost`` and ``cut_questions``.
    parts
        Rows in standard columns, some at a time.
    task
        Gives stride and the longest question.
    max_length
        Sub-words of a window.
    tokenizer
        Of the :mod:`tokenizers` library, without truncation.
    """
    from core.data.tasks.question_windows import Windows

    found = Windows(tokenizer, max_length, task.stride, task.longest_question)
    several: list[tuple[int, str]] = []
    lost: list[tuple[int, str]] = []
    cut: list[tuple[int, str]] = []
    windows = count = 0
    for rows in parts:
        for row, cutting in zip(rows, found.read(rows), strict=True):
            named = (row["row"], row["id"])
            count += 1
            windows += len(cutting.spans)
            if len(cutting.spans) > 1:
                several.append(named)
            if cutting.lost:
                lost.append(named)
            if cutting.question_cut:
                cut.append(named)
    report.lengths |= {"windows": windows, "lost": len(lost), "cut_questions": len(cut)}
    if several:
        report.add(
            "note", "windows",
            f"{len(several) / count:.1%} of the questions need several windows of {max_length} sub-words "
            f"({windows / count:.1f} windows a question on average).",
            _rows(several), "Windows overlap by task.stride sub-words; a larger max_length needs fewer of them.",
        )  # fmt: skip
    if lost:
        report.add(
            "warning", "answers_lost",
            f"{len(lost):,} answers fit into no window: they are longer than what windows share, or nothing is left of "
            "them as sub-words. They are not learnt from, and can hardly be found.",
            _rows(lost), "Raise task.stride or model.max_length.",
        )  # fmt: skip
    if cut:
        report.add(
            "warning" if len(cut) > 0.01 * count else "note", "questions_cut",
            f"{len(cut):,} questions are longer than {found.longest} sub-words and are cut at their end.",
            _rows(cut), "Raise task.longest_question." if found.longest == task.longest_question
            else "A question has half of a window at most: raise model.max_length.",
        )  # fmt: skip


def _rows(rows: Sequence[tuple[int, str]]) -> str:
    named = [f"row {number} (id {shown(name, 60)})" for number, name in rows[:5]]
    return ", ".join(named) + (f" and {len(rows) - 5:,} more" if len(rows) > 5 else "")
