"""How each key of the plan looks in the form: label, section, step, help. Values and limits come from the schema."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import yaml

from core.config.reference import Key, plan_keys

__all__ = [
    "SECTIONS",
    "Control",
    "control",
    "field_widget",
    "from_widget",
    "relevant",
    "shown_paths",
    "thread_choices",
    "to_widget",
    "words_for",
]

Widget = Literal["text", "integer", "number", "choice", "toggle", "list", "threads", "yaml"]

_LABELS: dict[str, str] = {
    "name": "Name of the run",
    "tags": "Tags",
    "task.kind": "Task",
    "task.multi_label": "Several labels a text",
    "task.threshold": "Threshold",
    "task.stride": "Shared sub-words of windows",
    "data.source": "Source",
    "data.subset": "Subset",
    "data.revision": "Revision of the data",
    "data.split": "Split to read",
    "data.gate_source": "Gate file",
    "data.test_source": "Test file",
    "data.format": "File format",
    "data.scheme": "Tag scheme",
    "data.encoding": "Text encoding",
    "data.columns.text": "Text",
    "data.columns.text_pair": "Second text",
    "data.columns.label": "Label",
    "data.columns.tokens": "Words",
    "data.columns.tags": "Tags of the words",
    "data.train_rows": "Training rows, at most",
    "data.gate_rows": "Gate rows, at most",
    "data.test_rows": "Test rows, at most",
    "data.gate_share": "Gate share",
    "data.test_share": "Test share",
    "data.split_seed": "Seed of the split",
    "data.drop_duplicates": "Drop repeated texts",
    "model.source": "Encoder",
    "model.revision": "Revision of the encoder",
    "model.max_length": "Longest text (sub-words)",
    "model.dropout": "Dropout",
    "stages.0.name": "Name of the stage",
    "stages.0.kind": "Kind of stage",
    "stages.0.enabled": "Switched on",
    "stages.0.start_from": "Begins with",
    "stages.0.lr_from": "Learning rate from range test",
    "stages.0.seed": "Seed of the stage",
    "stages.0.dropout": "Dropout in this stage",
    "stages.0.gate": "Gate (YAML)",
    "stages.0.on_pass": "When the gate passes",
    "stages.0.on_fail": "When the gate fails",
    "stages.0.max_retries": "Retries",
    "stages.0.on_exhausted": "When no retry is left",
    "stages.0.lr_factor": "Factor of cuts and raises",
    "stages.0.lr_cap": "Cap of raised rates",
    "stages.0.raise_if": "Raise within the stage (YAML)",
    "stages.0.budget_s": "Budget (s)",
    "stages.0.range_test": "Range test (YAML)",
    "stages.0.search": "Search (YAML)",
    "stages.0.guards.entropy": "Stop on entropy below",
    "stages.0.epochs": "Epochs",
    "stages.0.steps": "Steps (instead of epochs)",
    "stages.0.lr": "Learning rate",
    "stages.0.head_lr": "Learning rate of the head",
    "stages.0.layer_decay": "Layer-wise decay",
    "stages.0.freeze_layers": "Frozen lowest layers",
    "stages.0.freeze_encoder": "Train the head only",
    "stages.0.groups": "Parameter groups (YAML)",
    "stages.0.weight_decay": "Weight decay",
    "stages.0.reinit_top_n": "Re-initialised top layers",
    "stages.0.optimizer.name": "Optimiser",
    "stages.0.optimizer.betas": "Betas (YAML)",
    "stages.0.optimizer.eps": "Epsilon",
    "stages.0.optimizer.momentum": "Momentum",
    "stages.0.schedule.name": "Schedule",
    "stages.0.schedule.warmup": "Warm-up",
    "stages.0.schedule.options": "Schedule options (YAML)",
    "stages.0.batch_size": "Batch size",
    "stages.0.batch_tokens": "Batch in sub-words",
    "stages.0.accumulation": "Micro-batches a step",
    "stages.0.bucketing": "Group by length",
    "stages.0.clip_norm": "Clip gradient norm at",
    "stages.0.label_smoothing": "Label smoothing",
    "stages.0.class_weights": "Class weights (YAML)",
    "stages.0.eval_every": "Evaluate every (steps)",
    "stages.0.metric": "Gate metric",
    "stages.0.early_stopping.patience": "Stop early after (evaluations)",
    "stages.0.early_stopping.min_delta": "Smallest improvement",
    "stages.0.guards.nan": "Stop on NaN",
    "stages.0.guards.explode_factor": "Stop when the loss grows by",
    "stages.0.guards.single_class": "Stop on one predicted class after",
    "stages.0.cache_activations": "Cache frozen part",
    "stages.0.cache_limit_mb": "Cache limit (MB)",
    "runtime.backend": "Runs in",
    "runtime.device": "Device",
    "runtime.precision": "Precision",
    "runtime.threads": "Threads",
    "runtime.deterministic": "Deterministic",
    "runtime.seed": "Seed",
    "runtime.log_every": "Log every (steps)",
    "runtime.checkpoint_every_s": "Checkpoint every (s)",
    "runtime.checkpoint_every_steps": "Checkpoint every (steps)",
    "runtime.keep": "Keep when finished",
}

_STEPS: dict[str, float] = {
    "stages.0.lr": 1e-5,
    "stages.0.head_lr": 1e-4,
    "stages.0.epochs": 1.0,
    "stages.0.weight_decay": 0.01,
    "stages.0.optimizer.eps": 1e-8,
    "stages.0.schedule.warmup": 0.02,
    "stages.0.early_stopping.min_delta": 0.001,
    "stages.0.clip_norm": 0.5,
    "stages.0.guards.explode_factor": 1.0,
    "runtime.checkpoint_every_s": 10.0,
    "data.gate_share": 0.05,
    "data.test_share": 0.05,
    "data.train_rows": 500,
    "data.gate_rows": 100,
    "data.test_rows": 100,
    "model.max_length": 16,
    "stages.0.batch_tokens": 128,
    "stages.0.cache_limit_mb": 256,
}

_PLACEHOLDERS: dict[str, str] = {
    "data.train_rows": "all",
    "data.gate_rows": "all",
    "data.test_rows": "all",
    "data.gate_source": "carved out",
    "data.test_source": "carved out",
    "model.dropout": "as the model says",
    "stages.0.steps": "by epochs",
    "stages.0.head_lr": "as above",
    "stages.0.batch_tokens": "by batch size",
    "stages.0.clip_norm": "off",
    "stages.0.eval_every": "each epoch",
    "stages.0.metric": "the task's own",
    "stages.0.early_stopping.patience": "never",
    "stages.0.guards.explode_factor": "never",
    "stages.0.guards.single_class": "warn only",
    "runtime.checkpoint_every_steps": "by time",
}

_WORDS: dict[str, dict[str, str]] = {
    "task.kind": {"classification": "Classification", "tagging": "Tagging"},
    "runtime.backend": {"process": "Own process", "thread": "This process (thread)"},
    "runtime.device": {"auto": "Automatic", "cpu": "CPU", "cuda": "GPU (CUDA)", "mps": "GPU (Apple)"},
    "runtime.precision": {"auto": "Timed, faster stays", "fp32": "fp32", "bf16": "bf16"},
    "runtime.keep": {"best": "Best weights", "all": "Weights and checkpoint", "metrics": "Metrics only"},
    "data.format": {"auto": "Detected"},
    "data.scheme": {"auto": "Detected"},
}

#: Section → (fields that are always shown, fields that are folded away), in the order of the form.
SECTIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "rows": (
        ("data.train_rows", "data.gate_share", "data.test_share"),
        (
            "data.drop_duplicates", "data.gate_source", "data.test_source", "data.gate_rows", "data.test_rows",
            "data.split_seed", "data.format", "data.encoding", "data.scheme", "data.subset", "data.split",
            "data.revision", "task.threshold", "task.stride",
        ),
    ),
    "model": (("model.max_length", "model.dropout"), ("model.revision", "stages.0.reinit_top_n")),
    "stage": (
        (
            "stages.0.epochs", "stages.0.batch_size", "stages.0.lr", "stages.0.schedule.name",
            "stages.0.schedule.warmup", "stages.0.weight_decay",
            "stages.0.freeze_encoder", "stages.0.freeze_layers", "stages.0.layer_decay",
        ),
        (
            "stages.0.name", "stages.0.steps", "stages.0.head_lr", "stages.0.batch_tokens", "stages.0.accumulation",
            "stages.0.bucketing", "stages.0.eval_every", "stages.0.metric", "stages.0.early_stopping.patience",
            "stages.0.early_stopping.min_delta", "stages.0.clip_norm", "stages.0.label_smoothing",
            "stages.0.optimizer.name", "stages.0.optimizer.eps", "stages.0.optimizer.momentum",
            "stages.0.guards.nan", "stages.0.guards.explode_factor", "stages.0.guards.single_class",
            "stages.0.cache_activations", "stages.0.cache_limit_mb",
            "stages.0.groups", "stages.0.schedule.options", "stages.0.class_weights", "stages.0.optimizer.betas",
            "stages.0.kind", "stages.0.enabled", "stages.0.start_from", "stages.0.lr_from", "stages.0.seed",
            "stages.0.dropout", "stages.0.gate", "stages.0.on_pass", "stages.0.on_fail", "stages.0.max_retries",
            "stages.0.on_exhausted", "stages.0.lr_factor", "stages.0.lr_cap", "stages.0.raise_if", "stages.0.budget_s",
            "stages.0.guards.entropy", "stages.0.range_test", "stages.0.search",
        ),
    ),
    "runtime": (
        ("runtime.backend", "runtime.precision", "runtime.threads", "runtime.seed"),
        (
            "runtime.device", "runtime.deterministic", "runtime.keep", "runtime.log_every",
            "runtime.checkpoint_every_s", "runtime.checkpoint_every_steps",
        ),
    ),
}  # fmt: skip

_OWN_PLACE = (
    "name", "tags", "task.kind", "task.multi_label", "data.source", "model.source", "data.columns.text",
    "data.columns.text_pair", "data.columns.label", "data.columns.tokens", "data.columns.tags",
)  # fmt: skip


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


@cache
def control(path: str) -> Control:
    """Return how a key of the plan is drawn."""
    key = plan_keys()[path]
    kinds: dict[str, Widget] = {"value": "yaml"}
    widget: Widget = "threads" if path == "runtime.threads" else kinds.get(key.kind, key.kind)  # type: ignore[arg-type]
    step: float | None = None
    if widget == "integer":
        step = int(_STEPS.get(path, 1))
    elif widget == "number":
        step = _STEPS.get(path, 0.1)
    default = "" if key.default in (None, "", [], {}) or key.kind == "toggle" else f" Default: {key.default}."
    return Control(key, _LABELS[path], key.description + default, _PLACEHOLDERS.get(path), widget, step)


def shown_paths() -> list[str]:
    """Return the keys that have a field of their own, in the order of the form."""
    return [*_OWN_PLACE, *(path for basic, folded in SECTIONS.values() for path in (*basic, *folded))]


def relevant(path: str, state: Mapping[str, Any]) -> bool:
    """Tell whether a field has a meaning beside the others (hub keys without a hub source are hidden, for example)."""
    source = str(state.get("data.source") or "")
    match path:
        case "data.subset" | "data.revision" | "data.split":
            return source.startswith("hub:")
        case "data.scheme" | "task.stride":
            return state.get("task.kind") == "tagging"
        case "task.threshold":
            return bool(state.get("task.multi_label"))
        case "model.revision":
            return str(state.get("model.source") or "").startswith("hub:")
        case "stages.0.freeze_layers" | "stages.0.layer_decay" | "stages.0.reinit_top_n":
            return not state.get("stages.0.freeze_encoder")
        case "stages.0.optimizer.betas" | "stages.0.optimizer.eps":
            return str(state.get("stages.0.optimizer.name")).startswith("ada")
        case "stages.0.optimizer.momentum":
            return state.get("stages.0.optimizer.name") in ("sgd", "rmsprop")
        case "stages.0.cache_limit_mb":
            return bool(state.get("stages.0.cache_activations"))
        case "stages.0.early_stopping.min_delta":
            return state.get("stages.0.early_stopping.patience") is not None
        case "data.gate_share":
            return state.get("data.gate_source") is None
        case "data.test_share":
            return state.get("data.test_source") is None
    return True


def words_for(path: str, choice: Any) -> str:
    """Return the words for one choice of a key."""
    word = _WORDS.get(path, {}).get(choice)
    return word or str(choice).replace("_", " ")


def to_widget(path: str, value: Any) -> Any:
    """Return what the field holds for a value of the state."""
    widget = control(path).widget
    if _as_text(widget, value):
        return _yaml(value)
    if widget == "text":
        return "" if value is None else str(value)
    if widget == "number" and isinstance(value, int) and not isinstance(value, bool):
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
    if spec.widget == "threads":
        text = str(value).strip()
        return int(text) if text.isdecimal() else text
    if spec.widget == "yaml" or (spec.widget in ("number", "integer") and isinstance(value, str)):
        try:
            parsed = yaml.safe_load(value) if value else None
        except (yaml.YAMLError, RecursionError):
            return value
        return _empty(spec.key) if parsed is None else parsed
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


def _as_text(widget: Widget, value: Any) -> bool:
    if widget == "yaml":
        return True
    if widget not in ("number", "integer") or value is None:
        return False
    if isinstance(value, bool) or not isinstance(value, int | float):
        return True
    return not math.isfinite(value) or abs(value) >= 2**53


def _yaml(value: Any) -> str:
    if value in (None, [], {}):
        return ""
    text = yaml.safe_dump(
        value, sort_keys=False, allow_unicode=True, default_flow_style=isinstance(value, str | int | float)
    )
    return text.removesuffix("\n...\n").rstrip("\n") if not isinstance(value, list | dict) else text.rstrip("\n")


def _empty(key: Key) -> Any:
    return [] if isinstance(key.default, list) else {} if isinstance(key.default, dict) else None
