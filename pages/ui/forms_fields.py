"""Where each key of the plan stands in the form: section, card of a stage, folded away or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pages.ui.forms_distil import fields_within
from pages.ui.forms_relevant import relevant
from pages.ui.forms_stages import PARTS, dig, stage_count, stage_paths

__all__ = [
    "GATE_FIELDS",
    "SECTIONS",
    "STAGE_FIELDS",
    "STAGE_MORE",
    "message_paths",
    "shown_paths",
]

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
