"""The model card: README.md of an exported folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from core.data.tasks.base import Task
from core.data.tasks.words import WORD_PATTERN
from core.models.dependency_card import HEADS_BASELINE, arcs_table, heads_note
from core.models.onnx_card import checked, onnx_snippet
from core.models.pointer_card import NOTE, dictionary_note, pointer_lines, points
from core.models.question_card import BASELINE, breakdown, question_lines, question_note, silence_note
from core.models.shaped.register import MODEL_TYPE as SHAPED

__all__ = ["model_card", "snippet"]

_PIPELINES = {
    "classification": "text-classification",
    "tagging": "token-classification",
    "question_answering": "question-answering",
    "dependency": "token-classification",
}
_SHAPED_NOTE = (
    "The layers of this encoder differ in size, which no stock class of transformers can hold: it loads where Bertloom "
    "is installed, after the line that registers its class."
)
_SETTINGS = (
    "epochs steps lr head_lr layer_decay freeze_layers freeze_encoder weight_decay batch_size batch_tokens "
    "accumulation label_smoothing class_weights"
)


def snippet(task: Task, max_length: int, *, pairs: bool = False, shaped: bool = False) -> str:
    """Return ten lines of Python that load the folder with stock transformers and predict; `pairs`: pairs of texts.

    A `shaped` encoder's layers differ in size: transformers knows it once Bertloom has registered it.

    It answers as ``bertloom predict`` does for texts that fit into `max_length` sub-words; longer ones are cut here,
    while ``bertloom predict`` tags them in overlapping windows.
    """
    if points(task):
        return pointer_lines(task)
    head = task.auto_class
    known = "from core.models.shaped.register import register  # comes with Bertloom\nregister()\n" if shaped else ""
    opening = f"""\
{known}folder = "."  # the folder that holds this file
tokenizer = AutoTokenizer.from_pretrained(folder)
model = {head}.from_pretrained(folder).eval()"""
    if task.kind == "question_answering":
        return question_lines(task, max_length, opening)
    if task.kind == "tagging":
        return f"""\
import re, torch
from transformers import AutoTokenizer, {head}
{opening}
words = re.findall(r"{WORD_PATTERN}", "Anna lives in Paris.")
batch = tokenizer(words, is_split_into_words=True, truncation=True, max_length={max_length}, return_tensors="pt")
with torch.no_grad():
    best = model(**batch).logits[0].argmax(-1).tolist()
owners = batch.word_ids()
first = [place for place, word in enumerate(owners) if word is not None and word != owners[place - 1]]
print([(words[owners[place]], model.config.id2label[best[place]]) for place in first])"""
    given = 'texts = ["A text to classify.", "Another one."]'
    if pairs:
        given = 'texts = [("A first text.", "Its second one."), ("Another first text.", "Another second one.")]'
    read = "*map(list, zip(*texts))" if pairs else "texts"
    return f"""\
import torch
from transformers import AutoTokenizer, {head}
{opening}
{given}
batch = tokenizer({read}, truncation=True, max_length={max_length}, padding=True, return_tensors="pt")
with torch.no_grad():
    shares = model(**batch).logits.{"sigmoid()" if task.config.multi_label else "softmax(-1)"}
for text, row in zip(texts, shares.tolist()):
    print(text, {{model.config.id2label[index]: round(share, 4) for index, share in enumerate(row)}})"""


def model_card(task: Task, max_length: int, record: Mapping[str, Any]) -> str:
    """Return the card as Markdown.

    Parameters
    ----------
    task
        The task with its labels.
    max_length
        Sub-words a text (or window) may have.
    record
        What is known of the run; every part may be missing: ``plan`` (dictionary), ``metrics`` {"test/accuracy": …},
        ``details`` {"test": …} (see :class:`~core.data.tasks.base.Evaluation`), ``data_report``, ``choices``,
        ``environment``, ``id``, ``family`` (``model_type`` of its config), ``onnx`` (what ``onnx.json`` of an ONNX
        export holds: the lines that run it are then onnxruntime's).
    """
    plan = _mapping(record.get("plan"))
    name = str(plan.get("name") or "model")
    pairs = _pairs(plan, _mapping(record.get("data_report")))
    shaped = record.get("family") == SHAPED
    onnx = _mapping(record.get("onnx"))
    use = _use_note(task, max_length, pairs)
    if shaped and not onnx:
        use = f"{_SHAPED_NOTE} {use}"
    if points(task):
        use = " ".join(part for part in (NOTE, dictionary_note(task), use) if part)
    lines = snippet(task, max_length, pairs=pairs, shaped=shaped)
    if onnx:
        lines = onnx_snippet(task, max_length, onnx, pairs=pairs)
        use = f"Run in this folder; onnxruntime, tokenizers and numpy are all that it needs. {use}"
    front = {
        "library_name": "onnxruntime" if onnx else "bertloom" if points(task) else "transformers",
        "pipeline_tag": _PIPELINES.get(task.kind, task.kind), "tags": ["bertloom"],
    }  # fmt: skip
    parts = [
        f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---",
        f"# {_plain(name)}",
        _opening(task, plan, record),
        _labels(task),
        f"## Use\n\n```python\n{lines}\n```\n\n{use}",
        checked(onnx) if onnx else "",
        _data(plan, _mapping(record.get("data_report"))),
        _training(plan, _mapping(record.get("choices"))),
        _metrics(_mapping(record.get("metrics")), _mapping(record.get("details"))),
        _tables(_mapping(record.get("details"))),
        _environment(_mapping(record.get("environment"))),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _labels(task: Task) -> str:
    if task.kind == "question_answering":
        return silence_note(task)
    if task.kind == "dependency":
        return heads_note(task)
    return f"Labels: {', '.join(_code(label) for label in task.labels[:100])}{' …' if len(task.labels) > 100 else ''}"


def _opening(task: Task, plan: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    base = _mapping(plan.get("model")).get("source")
    what = {
        "tagging": "tags words (IOB2)", "question_answering": "finds the answer to a question in a text",
        "dependency": "gives each word of a sentence its head",
    }.get(task.kind, "classifies texts")  # fmt: skip
    if task.config.multi_label:
        what = "gives texts any number of labels"
    run = f" (run {_code(str(record['id']))})" if record.get("id") else ""
    return f"A model that {what}, fine-tuned with Bertloom{f' from {_code(str(base))}' if base else ''}{run}."


def _pairs(plan: Mapping[str, Any], report: Mapping[str, Any]) -> bool:
    """Tell whether the model was trained on pairs of texts: their column is named, or was found by its usual name."""
    named = _mapping(_mapping(plan.get("data")).get("columns")).get("text_pair")
    found = _mapping(_mapping(_mapping(report.get("sources")).get("train")).get("mapping")).get("text_pair")
    return bool(named or found)


def _use_note(task: Task, max_length: int, pairs: bool) -> str:
    if points(task) and task.kind != "question_answering":
        return (
            f"A word's first sub-word stands for it; a text longer than {max_length} sub-words is read in overlapping "
            "windows. `bertloom predict . --text …` gives the same answers."
        )
    if task.kind == "tagging":
        return (
            f"A word's first sub-word answers for it. The lines above cut texts at {max_length} sub-words; "
            "`bertloom predict . --text …` tags longer ones in overlapping windows."
        )
    if task.kind == "question_answering":
        return question_note(max_length, cut=not points(task))
    if pairs:
        return (
            f"The model reads pairs of texts, which are cut at {max_length} sub-words together, the longer one first. "
            "`bertloom predict . --text … --text-pair …` gives the same answers."
        )
    return f"Texts are cut at {max_length} sub-words. `bertloom predict . --text …` gives the same answers."


def _data(plan: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    data = _mapping(plan.get("data"))
    if not data and not report:
        return ""
    lines = ["## Data", ""]
    if data:
        lines.append(f"Source: {_code(str(data.get('source')))}")
        for role in ("gate", "test"):
            given = data.get(f"{role}_source")
            share = data.get(f"{role}_share")
            lines.append(f"- {role}: {_code(str(given)) if given else f'carved out of the source (share {share})'}")
    roles = _mapping(report.get("roles"))
    if roles:
        rows = ((role, _mapping(entry).get("rows")) for role, entry in roles.items())
        lines += ["", _table(("Role", "Rows"), rows)]
    labels = [_mapping(entry) for entry in report.get("labels") or []]
    if labels:
        shown = ((entry.get("label"), entry.get("count"), _number(entry.get("share"))) for entry in labels[:50])
        lines += ["", _table(("Label", "Count", "Share"), shown)]
    return "\n".join(lines)


def _training(plan: Mapping[str, Any], choices: Mapping[str, Any]) -> str:
    stages = plan.get("stages") or []
    if not stages:
        return ""
    stage = _mapping(stages[0])
    rows: list[tuple[Any, ...]] = [
        (key, stage[key]) for key in _SETTINGS.split() if stage.get(key) not in (None, False)
    ]
    rows.append(("optimizer", _mapping(stage.get("optimizer")).get("name")))
    schedule = _mapping(stage.get("schedule"))
    rows.append(("schedule", f"{schedule.get('name')}, warm-up {schedule.get('warmup')}"))
    rows.append(("max_length", _mapping(plan.get("model")).get("max_length")))
    rows.append(("seed", _mapping(plan.get("runtime")).get("seed")))
    rows += [(key, value) for key, value in choices.items() if isinstance(value, str | int | float)]
    return f"## Training\n\n{_table(('Setting', 'Value'), rows)}\n\nThe whole plan stands in `plan.yaml`."


def _metrics(metrics: Mapping[str, Any], details: Mapping[str, Any]) -> str:
    rows = []
    for name in sorted(metrics, key=lambda name: (not name.startswith("test/"), name)):
        role, _, metric = name.partition("/")
        bounds = _mapping(_mapping(details.get(role)).get("intervals")).get(metric)
        shown = f"{_number(bounds[0])} – {_number(bounds[1])}" if isinstance(bounds, Sequence) else ""
        rows.append((role, metric, _number(metrics[name]), shown))
    if not rows:
        return ""
    text = f"## Scores\n\n{_table(('Role', 'Metric', 'Value', '95 % interval'), rows)}"
    if any(row[3] for row in rows):
        text += (
            "\n\nIntervals: bootstrap over the rows (1,000 resamples, seeded); other seeds of training are not covered."
        )
    text += "\n\n`gate` chose the checkpoint, so its scores are flattering; `test` was scored once, at the end."
    test = _mapping(details.get("test"))
    if isinstance(test.get("majority"), int | float):
        text += (
            f"\n\nAlways answering {_code(str(test.get('majority_label')))} has an accuracy of "
            f"{_number(test['majority'])} on `test`."
        )
    baseline = _mapping(test.get("baseline"))
    if baseline:
        shown = ", ".join(f"{metric} {_number(value)}" for metric, value in baseline.items() if metric != "loss")
        what = BASELINE if "em" in baseline else "A tagger that gives each word its most frequent training tag"
        if "span_f1" in baseline:
            what = "Looking up the entities of the training rows"
        if test.get("arcs"):
            what = HEADS_BASELINE
        text += f"\n\n{what} has on `test`: {shown}."
    return text


def _tables(details: Mapping[str, Any]) -> str:
    test = _mapping(details.get("test"))
    if test.get("breakdown"):
        heads, rows = breakdown([_mapping(entry) for entry in test["breakdown"]], _number)
        return f"### Where it answers well, on test\n\n{_table(heads, rows)}"
    if test.get("arcs"):
        heads, rows = arcs_table([_mapping(entry) for entry in test["arcs"]], _number)
        return f"### Which words get the right head, on test\n\n{_table(heads, rows)}"
    entries = [_mapping(entry) for entry in test.get("entities") or test.get("per_label") or []]
    if not entries:
        return ""
    rows = []
    for entry in entries[:100]:
        bounds = entry.get("interval") or [None, None]
        rows.append(
            (
                entry.get("type", entry.get("label")), _number(entry.get("precision")), _number(entry.get("recall")),
                _number(entry.get("f1")), f"{_number(bounds[0])} – {_number(bounds[1])}", entry.get("support"),
            )
        )  # fmt: skip
    kind = "entity type" if test.get("entities") else "label"
    groups = [_mapping(entry) for entry in test.get("stretches") or []]
    rows += [
        (
            f"{entry.get('by')}: {entry.get('value')}", _number(entry.get("precision")), _number(entry.get("recall")),
            _number(entry.get("f1")), " – ".join(map(_number, entry.get("interval") or [None, None])),
            entry.get("support"),
        )
        for entry in groups
    ]  # fmt: skip
    heads = (kind.capitalize(), "Precision", "Recall", "F1", "95 % interval of F1", "Support")
    return f"### By {kind}, on test\n\n{_table(heads, rows)}"


def _environment(environment: Mapping[str, Any]) -> str:
    rows = [(key, value) for key, value in environment.items() if isinstance(value, str | int | float)]
    rows += [(key, value) for key, value in _mapping(environment.get("versions")).items()]
    return f"## Environment\n\n{_table(('What', 'Value'), rows)}" if rows else ""


def _table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    lines += [f"| {' | '.join(_plain(str('' if cell is None else cell)) for cell in row)} |" for row in rows]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Return text that Markdown and HTML take for nothing but text: labels and names come from data files."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for sign in "\\`*[]|#":
        text = text.replace(sign, f"\\{sign}")
    return text


def _code(text: str) -> str:
    """Return text as a code span; a backquote in it would end the span."""
    return f"`{' '.join(text.split()).replace('`', chr(39))}`"


def _number(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "" if value is None else str(value)
    return f"{value:.4f}"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
