"""What a model card says of a model that answers questions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from core.data.tasks.base import Task

__all__ = ["BASELINE", "breakdown", "question_lines", "question_note", "silence_note"]

#: What the scores without a model are of.
BASELINE = "Taking the words nearest to those of the question (or never answering, where that is more usual)"


def question_lines(task: Task, max_length: int, opening: str) -> str:
    """Return Python that answers a question about a context which fits into one window.

    Parameters
    ----------
    task
        The task.
    max_length
        Sub-words of a window.
    opening
        Lines that load tokenizer and model.
    """
    config = task.config
    said = "answer"
    if config.no_answer:
        limit = config.no_answer_threshold or 0.0
        said = f'"no answer" if starts[cls] + ends[cls] - score > {limit!r} else answer'
    cls = "cls = batch.input_ids[0].tolist().index(tokenizer.cls_token_id)\n" if config.no_answer else ""
    return f"""\
import torch
from transformers import AutoTokenizer, {task.auto_class}
{opening}
question, context = "Who lives in Paris?", "Anna lives in Paris."
batch = tokenizer(question, context, truncation="only_second", max_length={max_length}, return_tensors="pt",
                  return_offsets_mapping=True)
places = batch.pop("offset_mapping")[0].tolist()
with torch.no_grad():
    output = model(**batch)
starts, ends = output.start_logits[0].tolist(), output.end_logits[0].tolist()
own = [at for at, owner in enumerate(batch.sequence_ids(0)) if owner == 1]  # the context's sub-words
spans = [(starts[i] + ends[j], i, j) for i in own for j in own if i <= j < i + {config.longest_answer}]
score, first, last = max(spans, key=lambda span: span[0])
answer = context[places[first][0] : places[last][1]]
{cls}print({said})"""


def question_note(max_length: int, *, cut: bool = True) -> str:
    """Return what the lines do not do; unless they `cut` contexts, how long ones are read."""
    if not cut:
        return (
            f"A context that does not fit into {max_length} sub-words with its question is read in overlapping "
            "windows. `bertloom predict . --question … --context …` gives the same answers."
        )
    return (
        f"The lines above cut a context so that it fits into {max_length} sub-words with its question; "
        "`bertloom predict . --question … --context …` reads longer ones in overlapping windows and lists the next "
        "best answers too."
    )


def silence_note(task: Task) -> str:
    """Return when the model says that there is no answer; empty for one that never does."""
    if not task.config.no_answer:
        return ""
    return (
        "It may say that there is no answer: where the score of `[CLS]` lies above that of the best answer by more "
        f"than {task.config.no_answer_threshold or 0.0:.4f} (as chosen on the `gate` rows, or given by the plan)."
    )


def breakdown(
    entries: Sequence[Mapping[str, Any]], number: Callable[[Any], str]
) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """Return heads and rows of the table of scores by question word, length of the answer and windows."""
    rows = []
    for entry in entries[:100]:
        low, high = entry.get("interval") or (None, None)
        rows.append(
            (
                entry.get("by"), entry.get("value"), number(entry.get("f1")), f"{number(low)} – {number(high)}",
                number(entry.get("em")), entry.get("support"),
            )
        )  # fmt: skip
    return ("By", "Value", "F1", "95 % interval of F1", "Exact match", "Questions"), rows
