"""Planner: what is known of encoder and data, and what of a valid plan cannot be executed with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from core.api import Studio
from core.config import TaskConfig
from core.data.tasks import REGISTRY
from pages.ui.forms import stage_from_values
from pages.ui.forms_stages import stage_count, stage_values
from pages.ui.planner_draft import Draft
from pages.ui.planner_jobs import ask, peek
from pages.ui.planner_map import Parameters, cells, matched
from pages.ui.planner_side import steps_question
from pages.ui.planner_stage_words import metrics_of, settings_of

__all__ = ["known_parameters", "objections_of"]


def known_parameters(draft: Draft, studio: Studio, about: object) -> Parameters | None:
    """Return the parameters of the draft's encoder with its head; ``None`` until they are known.

    They are asked for when the steps are counted: from then on it is known how many labels there are.
    """
    counted = peek("steps", steps_question(draft))
    if not isinstance(about, Mapping) or counted is None or counted.state == "running":
        return None
    labels = int(counted.answer.get("labels") or 2) if counted.state == "done" else 2
    state = draft.state
    if state.get("task.kind") not in REGISTRY:
        return None
    near = draft.nearest().task
    points: dict[str, Any] = {"head": near.head, "pointer": near.pointer} if near.kind == state["task.kind"] else {}
    task = TaskConfig(kind=state["task.kind"], relations=bool(state.get("task.relations", True)), **points)
    source, revision = str(state.get("model.source") or ""), state.get("model.revision")
    kept = state.get("model.keep_layers")
    question = [source, revision, task.kind, task.relations, task.head, task.pointer.model_dump(), labels, kept]
    job = ask("parameters", question, partial(studio.models.parameters, source, revision, task, labels, kept))
    return Parameters.of(job.answer) if job.state == "done" else None


def objections_of(draft: Draft, layers: int | None, parameters: Parameters | None) -> dict[str, str]:
    """Return what keeps the stages from being executed with this encoder and task, by the field that it concerns.

    Parameters
    ----------
    draft
        The draft.
    layers
        Number of the encoder's layers; ``None`` if nobody knows it yet.
    parameters
        Its parameters, if they are known.
    """
    found: dict[str, str] = {}
    metrics = metrics_of(str(draft.state.get("task.kind")), **settings_of(draft.state))
    for index in range(stage_count(draft.state)):
        values = stage_values(draft.state, index)
        if not values.get("enabled"):
            continue
        prefix = f"stages.{index}"
        found |= {f"{prefix}.{name}": words for name, words in _metrics(values, metrics).items()}
        if layers is not None:
            found |= {f"{prefix}.{name}": words for name, words in _encoder(values, layers, parameters).items()}
    return found


def _metrics(values: Mapping[str, Any], metrics: Sequence[str]) -> dict[str, str]:
    gate, search = values.get("gate"), values.get("search")
    named = {"metric": values.get("metric")}
    if isinstance(gate, Mapping):
        named["gate.metric"] = gate.get("metric")
    if isinstance(search, Mapping):
        for number, row in enumerate(search.get("objectives") or []):
            if row.get("metric") not in ("seconds", "parameters"):
                named[f"search.objectives.{number}.metric"] = row.get("metric")
    known = f"this task has no metric of this name; it has {', '.join(metrics)}"
    return {name: known for name, metric in named.items() if metric and metric not in metrics}


def _encoder(values: Mapping[str, Any], layers: int, parameters: Parameters | None) -> dict[str, str]:
    found = {}
    for name in ("freeze_layers", "reinit_top_n"):
        number = values.get(name)
        if isinstance(number, int) and number > layers and not (name == "freeze_layers" and values["freeze_encoder"]):
            found[name] = f"the encoder has {layers} layers"
    if parameters is not None:
        for number, group in enumerate(values.get("groups") or []):
            pattern = group.get("pattern")
            if isinstance(pattern, str) and pattern and not matched(pattern, parameters, layers)[0]:
                found[f"groups.{number}.pattern"] = "matches no parameter of this encoder"
    stage = stage_from_values(dict(values))
    if stage is not None and not found and all(cell.state == "frozen" for cell in cells(stage, layers, parameters)):
        home = "groups" if values.get("groups") else "freeze_encoder"
        found[home] = "every parameter is frozen: nothing is left to train"
    return found
