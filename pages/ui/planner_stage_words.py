"""Stages in words: one line for a card that is closed, stages to begin with, and what can be chosen in their fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.config import Stage
from pages.ui.format import duration, metric_name, number
from pages.ui.forms import values_of_stage
from pages.ui.forms_stages import Values, unused_name
from pages.ui.planner_map import Cell, trained_words

__all__ = [
    "READY", "ReadyStage", "metrics_of", "new_stage", "rate_words", "ready_stage", "settings_of", "start_choices",
    "start_words", "summary",
]  # fmt: skip

_KIND_NAMES = {"train": "train", "range_test": "range test", "search": "search", "distil": "distil"}


@dataclass(frozen=True)
class ReadyStage:
    """A stage with settings that are known to go together."""

    title: str
    about: str
    values: Mapping[str, Any]


#: Stages of the menu, by the name that they get. ``half`` of the layers is filled in for the encoder.
READY: dict[str, ReadyStage] = {
    "head": ReadyStage(
        "Head only", "The encoder is frozen and computed once; heads need larger rates.",
        {"freeze_encoder": True, "lr": 1e-2, "epochs": 2.0},
    ),
    "upper half": ReadyStage(
        "Upper half", "Embeddings and lower layers are frozen.", {"freeze_layers": "half", "lr": 5e-5, "head_lr": 1e-3}
    ),
    "all, gated": ReadyStage(
        "Everything, behind a gate", "Goes on only if it improves; otherwise again with smaller rates.",
        {
            "lr": 5e-5, "layer_decay": 0.95, "gate": {"reference": "start", "min_delta": 0.005}, "on_fail": "cut",
            "max_retries": 2,
        },
    ),
    "raise": ReadyStage(
        "Raise while it learns", "The rate doubles as long as the loss falls and the gradient is steady.",
        {"lr": 2e-5, "raise_if": {"factor": 2.0, "every": 20}, "lr_cap": 5e-4, "schedule": {"name": "constant"}},
    ),
}  # fmt: skip


def new_stage(kind: str, taken: Sequence[str], teacher: str = "") -> Values:
    """Return a stage of a kind as it is when it is added; one of kind distil is not valid without a teacher."""
    data: dict[str, Any] = {"name": unused_name(_KIND_NAMES[kind], taken), "kind": kind}
    if kind == "range_test":
        data["range_test"] = {}
    if kind == "search":
        data["search"] = {"space": {"lr": {"low": 1e-5, "high": 1e-3, "log": True}}}
    if kind == "distil":
        data["distil"] = {"teachers": [{"source": teacher or "?"}]}
        values = values_of_stage(Stage.model_validate(data))
        values["distil"]["teachers"][0]["source"] = teacher
        return values
    return values_of_stage(Stage.model_validate(data))


def ready_stage(name: str, taken: Sequence[str], layers: int) -> Values:
    """Return a ready stage for an encoder."""
    data = {key: (max(1, layers // 2) if value == "half" else value) for key, value in READY[name].values.items()}
    return values_of_stage(Stage.model_validate({"name": unused_name(name, taken), **data}))


def start_choices(stages: Sequence[Values], index: int) -> tuple[list[str], list[str]]:
    """Return what a stage can begin with, and the range tests that its rate can come from."""
    before = [stage for stage in stages[:index] if stage.get("enabled", True) and stage.get("name")]
    begins = ["last", "pretrained", *(f"best:{one['name']}" for one in before if one["kind"] != "range_test")]
    return begins, [str(one["name"]) for one in before if one["kind"] == "range_test"]


def start_words(choice: str) -> str:
    """Return what a stage begins with, in words."""
    if choice.startswith("best:"):
        return f"Best of {choice[5:]}"
    return {"last": "The stage before", "pretrained": "Pretrained"}.get(choice, choice)


def settings_of(state: Mapping[str, Any]) -> dict[str, bool]:
    """Return those settings of a form's task on which its metrics depend."""
    return {
        "multi_label": bool(state.get("task.multi_label")), "tree": bool(state.get("task.tree", True)),
        "relations": bool(state.get("task.relations", True)), "pointer": state.get("task.head") == "pointer",
        "stretches": state.get("task.pointer.kind") == "global", "spans": state.get("task.gold") == "spans",
        "dictionary": (state.get("task.pointer.dictionary") or "none") != "none",
        "sentence": bool(state.get("task.pointer.sentence_weight")),
    }  # fmt: skip


def metrics_of(
    kind: str,
    *,
    multi_label: bool,
    tree: bool = True,
    relations: bool = True,
    pointer: bool = False,
    stretches: bool = False,
    spans: bool = False,
    dictionary: bool = False,
    sentence: bool = False,
) -> list[str]:
    """Return the names of a task's metrics on the gate rows, its own first, the loss last."""
    from core.config import TaskConfig
    from core.data.tasks import example_labels, task_for

    several = multi_label and kind == "classification"
    head = "pointer" if pointer and kind in ("tagging", "question_answering") else "linear"
    pointers: dict[str, Any] = {"kind": "global"} if stretches else {"kind": "words"}
    if head == "pointer" and kind == "tagging" and not stretches:
        # Which entries there are does not matter here: those of the labels stand for any.
        pointers |= {"dictionary": "labels" if dictionary else "none", "sentence_weight": float(sentence)}
    config = TaskConfig.model_validate(
        {
            "kind": kind,
            "multi_label": several,
            "tree": tree,
            "relations": relations,
            "head": head,
            "gold": "spans" if spans and kind == "tagging" else "tags",
            "pointer": pointers,
        }
    )
    task = task_for(config, example_labels(kind, relations=relations))
    return sorted(task.metric_names, key=lambda name: (name == "loss", name != task.primary_metric))


def summary(values: Values, row: Sequence[Cell] | None) -> str:
    """Return what a stage does, in one line.

    Parameters
    ----------
    values
        The stage; it may be invalid while a person types.
    row
        Its row of the freeze map, if that is known.
    """
    kind = str(values.get("kind"))
    parts = [trained_words(row)] if row else []
    if kind == "range_test":
        test = values.get("range_test") or {}
        if test:
            parts += [
                f"{rate_words(test.get('lr_min'))} to {rate_words(test.get('lr_max'))}",
                f"{test.get('steps')} steps",
            ]
        return " · ".join(parts)
    rate = rate_words(values.get("lr"))
    if values.get("lr_from"):
        rate = f"from {values['lr_from']}"
    elif values.get("head_lr") is not None and not values.get("freeze_encoder"):
        rate += f", head {rate_words(values['head_lr'])}"
    elif values.get("head_lr") is not None:
        rate = rate_words(values["head_lr"])
    parts += [f"rate {rate}", _length(values)]
    search = values.get("search")
    if kind == "search" and isinstance(search, Mapping):
        rows = [one for one in search.get("space") or [] if one.get("fixed") is None and one.get("field")]
        parts.append(f"{search.get('trials')} trials over {', '.join(str(one['field']) for one in rows) or 'nothing'}")
    distil = values.get("distil")
    if kind == "distil" and isinstance(distil, Mapping):
        parts.append(_taught(distil))
    gate = values.get("gate")
    if isinstance(gate, Mapping):
        parts.append(_gate(gate, values.get("metric")))
    if values.get("raise_if"):
        parts.append("raises its rate")
    return " · ".join(part for part in parts if part)


def _taught(distil: Mapping[str, Any]) -> str:
    """Return whom a stage learns from, and what."""
    sources = [str(one.get("source") or "?").rstrip("/").split("/") for one in distil.get("teachers") or []]
    names = [parts[-2] if len(parts) > 1 and parts[-1] == "best" else parts[-1] for parts in sources]
    losses = distil.get("states") or []
    between = f", {len(losses)} loss{'' if len(losses) == 1 else 'es'} between layers" if losses else ""
    temperature, alpha = (_short(distil.get(name)) for name in ("temperature", "alpha"))
    return f"from {' and '.join(names) or 'nobody'}: T {temperature}, α {alpha}{between}"


def _short(value: Any) -> str:
    found = _float(value)
    return str(value) if found is None else f"{found:g}"


def _gate(gate: Mapping[str, Any], metric: Any) -> str:
    reference = gate.get("reference")
    than = {"start": "its start", "majority": "the majority"}.get(str(reference)) or number(_float(reference))
    delta = _float(gate.get("min_delta")) or 0.0
    name = metric_name(str(gate.get("metric") or metric)) if gate.get("metric") or metric else "score"
    return f"gate: {name} better than {than}" + (f" by {number(delta, 2)}" if delta else "")


def _length(values: Values) -> str:
    steps, epochs = values.get("steps"), _float(values.get("epochs"))
    if steps is not None:
        text = f"{steps:,} steps" if isinstance(steps, int) else f"{steps} steps"
    elif epochs is None:
        text = ""
    else:
        text = f"{epochs:g} epoch{'' if epochs == 1 else 's'}"
    budget = _float(values.get("budget_s"))
    return text + (f", at most {duration(budget)}" if budget else "")


def rate_words(value: Any) -> str:
    """Return a learning rate as people write it: ``5e-5``, ``1e-2``, ``0.5``."""
    found = _float(value)
    if found is None or not 0 < found < 0.1:
        return str(value) if found is None else f"{found:.2g}"
    mantissa, _, exponent = f"{found:.1e}".partition("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"


def _float(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
