"""One candidate of a search: its layers, what they inherited, its runs, and what can be done with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.api import Studio
from core.config.shape import EncoderShape
from core.errors import ConfigError
from core.models.shaped.segments import foreseen
from core.render.structure_search_figures import SOURCES
from core.runs.records import RunRecord
from pages.ui import keys
from pages.ui.components import run_url
from pages.ui.format import count, number, plain
from pages.ui.structure.drawing import show_drawing
from pages.ui.structure.editor_handover import Subject, handover
from pages.ui.structure.editor_inherit import Inheritance, inheritance_part
from pages.ui.structure.editor_state import load
from pages.ui.structure.place import Place

__all__ = ["candidate_part", "facts", "parent_shape_of"]


def candidate_part(
    studio: Studio, place: Place, run: RunRecord, view: Mapping[str, Any], one: Mapping[str, Any]
) -> None:
    """Draw a candidate.

    Parameters
    ----------
    studio
        The facade.
    place
        Where the person is on the page.
    run, view
        The search.
    one
        The candidate.
    """
    shape = EncoderShape.model_validate(one["shape"])
    parent = parent_shape_of(view["parent"], shape)
    segments = [(int(source), int(reaches)) for source, reaches in one["segments"]]
    try:
        found = Inheritance(tuple(foreseen(parent, shape, segments)), tuple(segments))
    except ConfigError as error:
        found = Inheritance(problem=error)
    name = "-".join(map(str, one["widths"]))
    source = str(view["parent"]["source"])
    with st.container(border=True, gap="small", key="search_candidate"):
        row = st.container(horizontal=True, gap="small", vertical_alignment="center", key="search_candidate_head")
        badge = "&ensp;:green-badge[:material/flag: on the front]" if one["on_front"] else ""
        row.markdown(f"#### {plain(name, 60)}{badge}", width="stretch")
        if row.button("Edit as layers", icon=":material/edit:", key="search_edit"):
            load(shape, f"the search {run.name}")
            place.go(tab="layers")
            st.rerun(scope="app")  # this part alone would run again otherwise
        subject = Subject(
            shape, source, found, name, run=str(one["run"]) if one["has_model"] else None,
            distils=lambda steps: studio.structures.distil_config(run.id, str(one["key"]), steps=steps),
            plans=(lambda: studio.structures.train_plan(run.id, str(one["key"]))) if one["has_model"] else None,
            others=tuple(_runs_of(view, one)),
        )  # fmt: skip
        handover(studio, subject, row, key="candidate")
        left, right = st.columns([1, 1], gap="medium")
        with left:
            show_drawing(shape, key="search_picture", parent=parent, origins=found.origins)
        with right:
            st.markdown("\n".join(f"- {plain(words, 300)}" for words in facts(one, view)))
            links = st.container(horizontal=True, gap="medium")
            for field_, label in (("run", "Its training"), ("finetune_run", "Its fine-tuning")):
                if one[field_]:
                    links.page_link(
                        st.session_state[keys.PAGES]["run"], label=label, icon=":material/monitoring:",
                        query_params=run_url(str(one[field_])), width="content",
                    )  # fmt: skip
            if one["run"] and not one["has_model"]:
                st.caption("Its weights were not kept: only those on the front keep theirs.")
        inheritance_part(found, source, key="search_inherit")


def parent_shape_of(parent: Mapping[str, Any], shape: EncoderShape) -> EncoderShape:
    """Return the parent's shape from what a search keeps of it; vocabulary and positions are the candidates'."""
    width, size = int(parent["width"]), int(parent["head_size"])
    layer = {"width": width, "heads": width // size, "intermediate": round(float(parent["ratio"]) * width)}
    same = {name: getattr(shape, name) for name in ("vocabulary", "positions", "types")}
    return EncoderShape.model_validate({"layers": [layer] * int(parent["layers"]), "embedding": width, **same})


def facts(one: Mapping[str, Any], view: Mapping[str, Any]) -> list[str]:
    """Return what is known of a candidate, one sentence each."""
    body = int(view["parent"]["body"])
    found = [
        f"{count(one['parameters'])} parameters between embeddings and pooler, "
        f"{100 * one['parameters'] / body:.0f} % of the parent's; {count(one['total'])} in all",
        f"Widths: {SOURCES.get(one['source'], one['source'])}",
    ]
    if one["latency"] is not None:
        found.append(f"{number(one['latency']['p50'], 3)} ms for one text of 64 sub-words (median, this machine)")
    if one["rank_loss"] is not None:
        rank = f", place {one['rank']} of its depth" if one["rank"] else ""
        found.append(f"Held-out loss after inheriting, before any training: {number(one['rank_loss'], 4)}{rank}")
    for rung in one["rungs"]:
        after = "diverged" if rung["loss"] is None else number(rung["loss"], 4)
        found.append(f"After {count(rung['steps'])} steps of distillation: {after}")
    if one["score"] is not None:
        found.append(f"Fine-tuned: {one['metric']} {number(one['score'], 4)} on gate rows")
    if one["reference"]:
        found.append("An even shape that is trained along as a reference")
    return found


def _runs_of(view: Mapping[str, Any], one: Mapping[str, Any]) -> list[str]:
    """Return the runs that it can be compared with: its own first, then those of the front and of even shapes."""
    near = [one, *(other for other in view["candidates"] if other["on_front"] or other["reference"])]
    return [str(run) for run in dict.fromkeys(other["run"] for other in near if other["run"])]
