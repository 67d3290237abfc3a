"""Which fields of the form have a meaning beside the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pages.ui.forms_distil import relevant_within
from pages.ui.forms_stages import dig, split

__all__ = [
    "relevant",
]

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
