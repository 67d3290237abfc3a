"""How each key of the plan looks in the form: label, section, step, help. Values and limits come from the schema."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import yaml

from core.config.reference import Key, part_keys, plan_keys
from pages.ui.forms_distil import fields_within, relevant_within
from pages.ui.forms_stages import PARTS, dig, schema_path, split, stage_count, stage_paths
from pages.ui.forms_words import LABELS, PLACEHOLDERS, STEPS, WORDS

__all__ = [
    "GATE_FIELDS",
    "SECTIONS",
    "STAGE_FIELDS",
    "STAGE_MORE",
    "Control",
    "control",
    "field_widget",
    "from_widget",
    "message_paths",
    "relevant",
    "shown_paths",
    "thread_choices",
    "to_widget",
    "words_for",
]

Widget = Literal["text", "integer", "number", "choice", "toggle", "list", "threads", "yaml", "reference"]

#: Section → (fields that are always shown, fields that are folded away), in the order of the form.
SECTIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "rows": (
        ("data.train_rows", "data.gate_share", "data.test_share"),
        (
            "data.drop_duplicates", "data.gate_source", "data.test_source", "data.gate_rows", "data.test_rows",
            "data.split_seed", "data.format", "data.encoding", "data.scheme", "data.subset", "data.split",
            "data.revision", "data.fit_warn", "data.fit_refuse", "data.fit_labels",
            "task.threshold", "task.stride", "task.no_answer_threshold", "task.longest_answer",
            "task.longest_question", "task.best_answers", "task.score_punctuation", "task.pointer.size",
            "task.pointer.reach", "task.pointer.type_weight", "task.pointer.sentence_weight", "task.pointer.entries",
        ),
    ),
    "model": (("model.max_length", "model.dropout"), ("model.revision",)),
    "runtime": (
        ("runtime.backend", "runtime.precision", "runtime.threads", "runtime.seed"),
        (
            "runtime.device", "runtime.deterministic", "runtime.keep", "runtime.log_every",
            "runtime.checkpoint_every_s", "runtime.checkpoint_every_steps",
        ),
    ),
}  # fmt: skip

#: Kind of stage → the fields of its card that are always shown.
STAGE_FIELDS: dict[str, tuple[str, ...]] = {
    "train": (
        "epochs", "batch_size", "lr", "schedule.name", "schedule.warmup", "weight_decay",
        "freeze_encoder", "freeze_layers", "layer_decay",
    ),
    "range_test": (
        "range_test.lr_min", "range_test.lr_max", "range_test.steps", "range_test.smoothing",
        "range_test.stop_factor", "range_test.per_group", "batch_size", "lr", "freeze_encoder", "freeze_layers",
    ),
    "distil": (
        "epochs", "batch_size", "lr", "schedule.name", "schedule.warmup", "weight_decay", "freeze_encoder",
        "freeze_layers", "layer_decay",
    ),
    "search": (
        "search.trials", "search.seeds", "search.sampler", "search.pruner", "search.startup_trials",
        "search.timeout_s",
    ),
}  # fmt: skip

#: Heading → fields of a stage that are folded away.
STAGE_MORE: dict[str, tuple[str, ...]] = {
    "Stage": ("name", "kind", "start_from", "lr_from", "seed"),
    "Values that are not searched": STAGE_FIELDS["train"],
    "Rates": ("head_lr", "reinit_top_n", "dropout", "layer_decay", "weight_decay"),
    "Length and evaluation": (
        "epochs", "steps", "eval_every", "metric", "early_stopping.patience", "early_stopping.min_delta", "budget_s",
    ),
    "Batches": ("batch_tokens", "accumulation", "bucketing"),
    "Optimiser and loss": (
        "optimizer.name", "optimizer.betas", "optimizer.eps", "optimizer.momentum", "schedule.options", "clip_norm",
        "label_smoothing", "class_weights",
    ),
    "Guards": ("guards.nan", "guards.explode_factor", "guards.single_class", "guards.entropy"),
    "After a guard or a failed gate": ("max_retries", "on_exhausted", "lr_factor", "lr_cap"),
    "Memory": ("cache_activations", "cache_limit_mb"),
}  # fmt: skip

#: Fields of the gate, and what follows from it.
GATE_FIELDS: tuple[str, ...] = (
    "gate.metric", "gate.rule", "gate.min_delta", "gate.decide", "gate.patience", "on_pass", "on_fail",
)  # fmt: skip

#: Fields of a stage that a kind has no use for.
_USELESS: dict[str, frozenset[str]] = {
    "train": frozenset(),
    "range_test": frozenset(
        {
            "lr_from", "epochs", "steps", "schedule", "eval_every", "metric", "early_stopping", "guards", "on_pass",
            "on_fail", "max_retries", "on_exhausted", "lr_factor", "lr_cap", "raise_if", "gate", "budget_s",
        }
    ),
    "search": frozenset({"gate", "on_pass", "on_fail"}),
    "distil": frozenset(),
}  # fmt: skip

_OWN_PLACE = (
    "data.finetuning_source", "data.training",
    "name", "tags", "task.kind", "task.multi_label", "task.no_answer", "task.answer_language", "data.source",
    "task.tree", "task.relations", "data.columns.heads", "data.columns.relations",
    "task.gold", "task.nested", "data.span_offsets", "data.columns.spans",
    "task.head", "task.pointer.kind", "task.pointer.memory", "task.pointer.relative",
    "task.pointer.dictionary", "task.pointer.gazetteer",
    "model.source", "model.keep_layers",
    "data.columns.text", "data.columns.text_pair", "data.columns.label", "data.columns.tokens", "data.columns.tags",
    "data.columns.question", "data.columns.context", "data.columns.answers", "data.columns.start",
)  # fmt: skip

_ROW_FIELD = "stages.0.search.space.FIELD.field"


@dataclass(frozen=True)
class Control:
    """How one key is drawn.

    Parameters
    ----------
    key
        The key of the plan.
    label, help, placeholder
        Words beside, behind and inside the field.
    widget
        Which kind of field.
    step
        What one click on the arrows changes, for numbers.
    """

    key: Key
    label: str
    help: str
    placeholder: str | None
    widget: Widget
    step: float | None


def control(path: str) -> Control:
    """Return how a key of the plan is drawn, also one inside a part or a row of a stage."""
    return _control(schema_path(path).replace("search.space.0.", "search.space.FIELD."))


@cache
def _control(path: str) -> Control:
    key = _key(path)
    widget: Widget = "yaml" if key.kind == "value" else key.kind
    if path == "runtime.threads":
        widget = "threads"
    elif path == "stages.0.gate.reference":
        widget = "reference"
    elif path.endswith(".choices"):
        widget = "yaml"
    step: float | None = None
    if widget == "integer":
        step = int(STEPS.get(path, 1))
    elif widget in ("number", "reference"):
        step = STEPS.get(path, 0.1)
    default = "" if key.default in (None, "", [], {}) or key.kind == "toggle" else f" Default: {key.default}."
    return Control(key, LABELS[path], key.description + default, PLACEHOLDERS.get(path), widget, step)


def _key(path: str) -> Key:
    if path == _ROW_FIELD:
        words = "Field of the stage whose value is searched."
        return Key(path, "stages.0.search.space", words, None, required=True, kind="text", optional=False)
    key = plan_keys().get(path) or part_keys()[path]
    # An empty direction, for example, is a choice too; select boxes show it as their placeholder.
    return dataclasses.replace(key)


def shown_paths(state: Mapping[str, Any]) -> list[str]:
    """Return the keys that have a field of their own, in the order of the form."""
    found = [*_OWN_PLACE, *(path for basic, folded in SECTIONS.values() for path in (*basic, *folded))]
    for index in range(stage_count(state)):
        prefix = f"stages.{index}"
        found += [
            f"{prefix}.{name}" for name in stage_paths() if name not in PARTS and name not in ("groups", "enabled")
        ]
        for part in ("gate", "raise_if", "range_test"):
            values = state.get(f"{prefix}.{part}")
            if isinstance(values, Mapping):
                found += [f"{prefix}.{part}.{name}" for name in values]
        search = state.get(f"{prefix}.search")
        if isinstance(search, Mapping):
            found += [f"{prefix}.search.{name}" for name in search if name not in ("space", "objectives")]
        for rows in ("groups", "search.space", "search.objectives"):
            values = dig(state, f"{prefix}.{rows}")
            if isinstance(values, list):
                found += [f"{prefix}.{rows}.{number}.{name}" for number, row in enumerate(values) for name in row]
        found += fields_within(f"{prefix}.distil", state.get(f"{prefix}.distil"))
    return found


def message_paths(state: Mapping[str, Any]) -> list[str]:
    """Return the keys beside which a message can stand: the fields that have a meaning at the moment, and parts."""
    found = [path for path in shown_paths(state) if relevant(path, state)]
    for index in range(stage_count(state)):
        parts = [
            "gate", "raise_if", "range_test", "search.space", "search.objectives", "search", "groups", "distil.states",
            "distil.teachers", "distil.selection", "distil",
        ]  # fmt: skip
        for rows in ("distil.states", "distil.teachers"):
            parts += [f"{rows}.{number}" for number in range(len(dig(state, f"stages.{index}.{rows}") or ()))]
        found += [f"stages.{index}.{name}" for name in parts if relevant(f"stages.{index}.{name}", state)]
    return found


def relevant(path: str, state: Mapping[str, Any]) -> bool:
    """Tell whether a field has a meaning beside the others (hub keys without a hub source are hidden, for example)."""
    place = split(path)
    if place is not None:
        return _relevant_in_stage(f"stages.{place[0]}", place[1], state)
    source = str(state.get("data.source") or "")
    match path:
        case "data.subset" | "data.revision" | "data.split":
            return source.startswith("hub:")
        case "data.training" | "data.fit_warn" | "data.fit_refuse" | "data.fit_labels":
            return bool(state.get("data.finetuning_source"))
        case "data.scheme":
            return state.get("task.kind") == "tagging" and state.get("task.gold") != "spans"
        case "task.gold":
            return state.get("task.kind") == "tagging"
        case "data.span_offsets":
            return state.get("task.kind") == "tagging" and state.get("task.gold") == "spans"
        case "task.nested":
            flat = not (_points(state) and _stretches(state))
            return state.get("task.kind") == "tagging" and state.get("task.gold") == "spans" and flat
        case "task.stride":
            return state.get("task.kind") != "classification"
        case "task.head":
            return state.get("task.kind") in ("tagging", "question_answering")
        case "task.pointer.kind":
            return _points(state) and state.get("task.kind") == "tagging"
        case "task.pointer.relative" | "task.pointer.size":
            return _points(state)
        case "task.pointer.memory":
            return _points(state) and not _stretches(state)
        case "task.pointer.reach":
            return _points(state) and bool(state.get("task.pointer.relative")) and not _stretches(state)
        case "task.pointer.dictionary":
            return _by_words(state)
        case "task.pointer.gazetteer":
            return _by_words(state) and state.get("task.pointer.dictionary") == "gazetteer"
        case "task.pointer.entries":
            return _by_words(state) and state.get("task.pointer.dictionary") not in (None, "none")
        case "task.pointer.sentence_weight":
            return _points(state) and state.get("task.kind") == "tagging" and not _stretches(state)
        case "task.pointer.type_weight":
            return _points(state) and state.get("task.kind") != "question_answering" and not _stretches(state)
        case "task.tree" | "task.relations" | "task.score_punctuation":
            return state.get("task.kind") == "dependency"
        case "task.no_answer" | "task.answer_language" | "task.longest_answer" | "task.longest_question":
            return state.get("task.kind") == "question_answering"
        case "task.best_answers":
            return state.get("task.kind") == "question_answering"
        case "task.no_answer_threshold":
            return bool(state.get("task.no_answer"))
        case "task.threshold":
            return bool(state.get("task.multi_label"))
        case "model.revision":
            return str(state.get("model.source") or "").startswith("hub:")
        case "data.gate_share":
            return state.get("data.gate_source") is None
        case "data.test_share":
            return state.get("data.test_source") is None
    return True


def _points(state: Mapping[str, Any]) -> bool:
    """Tell whether the task's head points."""
    return state.get("task.kind") == "dependency" or state.get("task.head") == "pointer"


def _by_words(state: Mapping[str, Any]) -> bool:
    """Tell whether words of a tagging task point, so that a dictionary can be pointed to."""
    return _points(state) and state.get("task.kind") == "tagging" and not _stretches(state)


def _stretches(state: Mapping[str, Any]) -> bool:
    """Tell whether entities are found as stretches of words."""
    return bool(state.get("task.kind") == "tagging" and state.get("task.pointer.kind") == "global")


def _relevant_in_stage(prefix: str, name: str, state: Mapping[str, Any]) -> bool:
    kind = str(state.get(f"{prefix}.kind") or "train")
    if name in _USELESS.get(kind, ()) or name.partition(".")[0] in _USELESS.get(kind, ()):
        return False
    optimizer = str(state.get(f"{prefix}.optimizer.name"))
    match name:
        case "freeze_layers" | "layer_decay" | "reinit_top_n":
            return not state.get(f"{prefix}.freeze_encoder")
        case "optimizer.betas" | "optimizer.eps":
            return optimizer.startswith("ada")
        case "optimizer.momentum":
            return optimizer in ("sgd", "rmsprop")
        case "cache_limit_mb":
            return bool(state.get(f"{prefix}.cache_activations"))
        case "early_stopping.min_delta":
            return state.get(f"{prefix}.early_stopping.patience") is not None
        case "on_pass" | "on_fail":
            return state.get(f"{prefix}.gate") is not None
        case "search.startup_trials":
            return dig(state, f"{prefix}.search.sampler") in ("tpe", "gp", "cmaes")
        case "range_test":
            return kind == name
    if name.partition(".")[0] == "search":
        return kind == "search"
    if name.partition(".")[0] == "distil":
        return kind == "distil" and relevant_within(f"{prefix}.distil", name.removeprefix("distil."), state)
    return True


def words_for(path: str, choice: Any) -> str:
    """Return the words for one choice of a key."""
    word = WORDS.get(schema_path(path), {}).get(choice)
    return word or str(choice).replace("_", " ")


def to_widget(path: str, value: Any) -> Any:
    """Return what the field holds for a value of the state."""
    spec = control(path)
    widget = spec.widget
    if _as_text(widget, value):
        # An empty field stands for nothing, so a list or mapping that is empty has to be seen.
        return _yaml(value) if value not in ([], {}) or _empty(spec.key) == value else str(value)
    if widget == "text" or (widget == "choice" and value is None):
        return "" if value is None else str(value)
    if widget in ("number", "reference") and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if widget == "threads":
        return str(value)
    if widget == "list":
        return list(value) if isinstance(value, list | tuple) else []
    if widget == "toggle":
        return bool(value)
    return value


def from_widget(path: str, value: Any) -> Any:
    """Return the state's value for what the field holds."""
    spec = control(path)
    if spec.widget == "text":
        text = value if isinstance(value, str) else ""
        return text or (None if spec.key.optional else "")
    if spec.widget == "choice" and spec.key.optional:
        return value or None
    if spec.widget == "threads":
        text = str(value).strip()
        return int(text) if text.isdecimal() else text
    if spec.widget == "yaml" or (spec.widget in ("number", "integer") and isinstance(value, str)):
        return _parsed(path, value, spec.key)
    if spec.widget == "list":
        return [str(item).strip() for item in value or [] if str(item).strip()]
    return value


def field_widget(path: str, value: Any) -> Widget:
    """Return the kind of field that can hold the value: numbers that a browser cannot hold become text."""
    widget = control(path).widget
    return "yaml" if _as_text(widget, value) else widget


def thread_choices() -> list[str]:
    """Return the thread counts that make sense on this machine."""
    return ["auto", *(str(count) for count in range(1, (os.cpu_count() or 1) + 1))]


def _parsed(path: str, value: Any, key: Key) -> Any:
    """Return what stands in a field of text that holds any value."""
    if not isinstance(value, str):
        return value
    try:
        parsed = yaml.safe_load(value) if value else None
        if path.endswith(".choices") and parsed is not None and not isinstance(parsed, list):
            # "16, 32" is a list too.
            parsed = yaml.safe_load(f"[{value}]") if isinstance(parsed, str) else [parsed]
    except (yaml.YAMLError, RecursionError):
        return value
    if path.endswith((".choices", ".fixed")):
        parsed = _numbers(parsed)
    return _empty(key) if parsed is None else parsed


def _numbers(value: Any) -> Any:
    """Return a value with texts such as 3e-5 as the numbers that they are: YAML 1.1 takes them for texts."""
    if isinstance(value, list):
        return [_numbers(one) for one in value]
    if isinstance(value, str) and value[:1] in "+-.0123456789":
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _as_text(widget: Widget, value: Any) -> bool:
    if widget == "yaml":
        return True
    if widget not in ("number", "integer", "reference") or value is None:
        return False
    if isinstance(value, bool) or not isinstance(value, int | float):
        return widget != "reference"
    return not math.isfinite(value) or abs(value) >= 2**53


def _yaml(value: Any) -> str:
    if value in (None, [], {}):
        return ""
    flat = isinstance(value, str | int | float) or (
        isinstance(value, list) and not any(isinstance(one, list | dict) for one in value)
    )
    text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, default_flow_style=flat, width=10_000)
    return text.removesuffix("\n...\n").rstrip("\n") if not isinstance(value, list | dict) else text.rstrip("\n")


def _empty(key: Key) -> Any:
    return [] if isinstance(key.default, list) else {} if isinstance(key.default, dict) else None
