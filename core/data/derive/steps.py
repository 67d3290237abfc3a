"""The processing steps: each a function from rows to rows, with what it left out and why."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.config.derive import (
    FilterStep,
    Form,
    Part,
    RelabelStep,
    SampleStep,
    SentenceLabelStep,
    Step,
    SummariesStep,
    TitlesStep,
)
from core.data.carving import carve, rarest, sample_rows
from core.data.derive.questions import cloze, entity
from core.data.derive.rows import Item, Loss, hash_of, joined, kinds_of, label_of, text_of
from core.data.derive.sentences import bag_of, chosen, sentences_of_text, sentences_of_words
from core.data.readers.base import shown
from core.data.tasks.words import split_words
from core.errors import DataError

__all__ = ["Outcome", "apply_step", "take_part"]

_TITLES = ("title", "headline", "subject", "heading")


@dataclass
class Outcome:
    """What a step made of the rows."""

    items: list[Item]
    form: Form
    losses: list[Loss] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def apply_step(step: Step, items: Sequence[Item], form: Form, seed: int) -> Outcome:
    """Do one step.

    Parameters
    ----------
    step
        The step.
    items, form
        The rows as the step before left them, and what they are.
    seed
        Of the whole, for samples without their own.

    Raises
    ------
    DataError
        If rows of this form do not have what the step works on.
    """
    takes, work = _WORK[step.name]
    if form not in takes:
        raise DataError(
            f"The step {step.name} cannot follow here: the rows are {_FORMS[form]}.",
            expected=" or ".join(_FORMS[one] for one in takes),
        )
    return work(step.settings, list(items), form, seed)


def _titles(settings: TitlesStep, items: list[Item], form: Form, seed: int) -> Outcome:
    column = settings.column
    names = {name.lower(): name for item in items[:200] for name in item.raw}
    if column is None:
        column = next((names[name] for name in _TITLES if name in names), None)
    elif column not in names.values():
        raise DataError(
            f"There is no column {shown(column)!r} for titles.",
            expected=f"one of the columns {', '.join(repr(shown(name, 40)) for name in names.values())}",
        )
    out = Outcome([], form)
    for item in items:
        if column is not None:
            title = str(item.raw.get(column) or "").strip()
            lost = f"column {shown(column)!r} is empty"
        else:
            lines = [line.strip() for line in str(item.values["text"]).splitlines() if line.strip()]
            title = lines[0] if len(lines) > 1 else ""
            lost = "the text has one line only, and there is no column with a title"
        if title:
            out.items.append(item.having(text=title, tokens=None, tags=None))
        else:
            out.losses.append(Loss(item.number, item.line, "no_title", lost))
    return out


def _summaries(settings: SummariesStep, items: list[Item], form: Form, seed: int) -> Outcome:
    out = Outcome([], form)
    for item in items:
        if form == "tagging":
            words, tags = item.values["tokens"], item.values["tags"]
            bounds = sentences_of_words(words, tags)
            picked = chosen([bag_of(joined(words[a:b])) for a, b in bounds], settings.method, settings.sentences)
            kept = [at for one in picked for at in range(*bounds[one])]
            out.items.append(item.having(tokens=[words[at] for at in kept], tags=[tags[at] for at in kept]))
        else:
            parts = sentences_of_text(str(item.values["text"]))
            picked = chosen([bag_of(part) for part in parts], settings.method, settings.sentences)
            whole = len(picked) == len(parts)
            text = item.values["text"] if whole else " ".join(parts[at] for at in picked)
            words = {} if whole else {"tokens": None, "tags": None}
            out.items.append(item.having(text=text, **words))
    return out


def _sentence_label(settings: SentenceLabelStep, items: list[Item], form: Form, seed: int) -> Outcome:
    known = {kind for item in items for kind in kinds_of(item)}
    if settings.entity not in known:
        raise DataError(
            f"No sentence has an entity of the type {settings.entity!r}.",
            expected=f"one of {', '.join(sorted(known)[:20]) or 'no type: there are no entities'}",
        )
    made = [
        item.having(
            text=joined(item.values["tokens"]),
            label=settings.present if settings.entity in kinds_of(item) else settings.absent,
        )
        for item in items
    ]
    return Outcome(made, "classification")


def _relabel(settings: RelabelStep, items: list[Item], form: Form, seed: int) -> Outcome:
    out = Outcome([], form)
    met: Counter[str] = Counter()

    def new(label: str) -> str | None:
        met[label] += 1
        return settings.mapping.get(label, label if settings.others == "keep" else None)

    for item in items:
        if form == "tagging":
            tags = []
            for tag in item.values["tags"]:
                kind = new(tag[2:]) if tag != "O" else None
                tags.append(f"{tag[:2]}{kind}" if kind else "O")
            out.items.append(item.having(tags=tags))
        elif "labels" in item.values:
            names = {name for label in item.values["labels"] if (name := new(label)) is not None}
            out.items.append(item.having(labels=sorted(names)))
        else:
            label = str(item.values["label"])
            renamed = new(label)
            if renamed is None:
                out.losses.append(Loss(item.number, item.line, "relabelled", f"label {shown(label, 60)!r}"))
            else:
                out.items.append(item.having(label=renamed))
    unused = [label for label in settings.mapping if not met[label]]
    if unused:
        out.notes.append(f"No row has the label {', '.join(repr(shown(label, 40)) for label in unused[:20])}.")
    return out


def _filter(settings: FilterStep, items: list[Item], form: Form, seed: int) -> Outcome:
    flags = re.IGNORECASE if settings.ignore_case else 0
    wanted = re.compile(settings.pattern, flags) if settings.pattern else None
    unwanted = re.compile(settings.not_pattern, flags) if settings.not_pattern else None
    out = Outcome([], form)
    for item in items:
        why = _size(settings, item, form) or _labels(settings, item)
        text = text_of(item)
        if why is None and wanted is not None and not wanted.search(text):
            why = "pattern", "the pattern is not found"
        if why is None and unwanted is not None and (found := unwanted.search(text)):
            why = "not_pattern", f"the pattern is found: {shown(found.group(), 60)!r}"
        if why is None:
            out.items.append(item)
        else:
            out.losses.append(Loss(item.number, item.line, *why))
    return out


def _size(settings: FilterStep, item: Item, form: Form) -> tuple[str, str] | None:
    text = text_of(item)
    for unit in ("words", "characters"):
        low, high = getattr(settings, f"min_{unit}"), getattr(settings, f"max_{unit}")
        if low is None and high is None:
            continue
        if unit == "characters":
            size = len(text)
        else:
            size = len(item.values["tokens"]) if form == "tagging" else len(split_words(text))
        if low is not None and size < low:
            return f"min_{unit}", f"{size:,} {unit}"
        if high is not None and size > high:
            return f"max_{unit}", f"{size:,} {unit}"
    return None


def _labels(settings: FilterStep, item: Item) -> tuple[str, str] | None:
    labels = label_of(item)
    if settings.labels is not None and not set(labels) & set(settings.labels):
        return "labels", shown(", ".join(labels) or "no label", 60)
    if settings.not_labels is not None and (hit := sorted(set(labels) & set(settings.not_labels))):
        return "not_labels", shown(", ".join(hit), 60)
    return None


def _sample(settings: SampleStep, items: list[Item], form: Form, seed: int) -> Outcome:
    count = settings.rows if settings.rows is not None else max(1, round((settings.share or 0) * len(items)))
    kept = sample_rows(_strata(items), _keys(items), count, seed if settings.seed is None else settings.seed)
    return _split(items, form, set(kept.tolist()), "not_sampled")


def take_part(part: Part, items: list[Item], form: Form, seed: int) -> Outcome:
    """Take the chosen part of the rows; equal texts, and questions about one context, stay together."""
    if part.share is None:
        low, high = part.first or 1, part.last
        kept = {at for at, item in enumerate(items) if item.number >= low and (high is None or item.number <= high)}
    else:
        # By what the guard knows rows by: what is left can then be gate without a leak.
        kept = set(carve(_strata(items), _keys(items), {"left": 1 - part.share}, seed)["train"].tolist())
    return _split(items, form, kept, "not_in_part")


def _split(items: list[Item], form: Form, kept: set[int], reason: str) -> Outcome:
    lost = [Loss(item.number, item.line, reason) for at, item in enumerate(items) if at not in kept]
    return Outcome([item for at, item in enumerate(items) if at in kept], form, lost)


def _keys(items: Sequence[Item]) -> Any:
    import numpy as np

    return np.array([int(hash_of(text_of(item)), 16) for item in items], dtype=np.uint64)


def _strata(items: Sequence[Item]) -> Any:
    """Return what rows are divided by: the rarest of a row's labels, by the label's name."""
    import numpy as np

    labels = [label_of(item) for item in items]
    names = sorted({name for row in labels for name in row})
    code = {name: at for at, name in enumerate(names)}
    flat = np.array([code[name] for row in labels for name in row], dtype=np.int64)
    frequency = np.bincount(flat, minlength=len(names))
    return rarest(flat, np.array([len(row) for row in labels], dtype=np.int64), frequency)


_FORMS: dict[Form, str] = {
    "text": "texts without labels", "classification": "labelled texts", "tagging": "tagged sentences",
    "question_answering": "questions",
}  # fmt: skip
_ANY: tuple[Form, ...] = ("text", "classification", "tagging", "question_answering")
_WORK: dict[str, tuple[tuple[Form, ...], Callable[[Any, list[Item], Form, int], Outcome]]] = {
    "titles": (("text", "classification"), _titles),
    "summaries": (("text", "classification", "tagging"), _summaries),
    "entity_questions": (
        ("tagging",),
        lambda settings, items, form, seed: Outcome(
            *_asked(*entity(items, settings.language, settings.questions or None))
        ),
    ),
    "cloze_questions": (
        ("text", "classification"), lambda settings, items, form, seed: Outcome(*_asked(*cloze(items))),
    ),
    "sentence_label": (("tagging",), _sentence_label),
    "relabel": (("classification", "tagging"), _relabel),
    "filter": (_ANY, _filter),
    "sample": (_ANY, _sample),
}  # fmt: skip


def _asked(items: list[Item], losses: list[Loss]) -> tuple[list[Item], Form, list[Loss]]:
    return items, "question_answering", losses
