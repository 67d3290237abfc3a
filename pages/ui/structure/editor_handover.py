"""What can be done with a shape: distil the parent into it, train it, export it, compare it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st
from pydantic import ValidationError

from core.api import Studio
from core.config import CorpusConfig, EncoderConfig, Plan, problems
from core.config.shape import EncoderShape
from core.errors import BertloomError, ConfigError
from core.models.shaped import count, memory
from core.settings import confine, safe_name
from pages.ui import keys
from pages.ui.components import error_box, notice, run_url
from pages.ui.format import bytes_text, plain
from pages.ui.leaving import go
from pages.ui.structure.editor_form import json_of, yaml_of
from pages.ui.structure.editor_inherit import Inheritance
from pages.ui.structure.editor_meter import LENGTH, MICRO_BATCH, flops_text, millions

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from core.config.distil import DistilConfig

__all__ = ["Subject", "comparison_rows", "distil_config", "handover"]

#: Steps of a distillation that is started from here, unless changed.
_STEPS = 300
_WEIGHTS = {"inherit": "Inherited from the parent", "random": "Random"}


@dataclass(frozen=True)
class Subject:
    """A shape that something is to be done with.

    Parameters
    ----------
    shape
        The shape; None while the form does not fit together.
    parent
        Source of the parent.
    inherits
        What it inherits from the parent.
    name
        A short name.
    run
        A run whose best weights have this shape, where there is one.
    distils
        Makes the config of its distillation for a number of steps, where a search knows texts and segments.
    plans
        Makes a plan that starts from its weights.
    others
        Runs that it can be compared with, its own first.
    """

    shape: EncoderShape | None
    parent: str
    inherits: Inheritance
    name: str
    run: str | None = None
    distils: Callable[[int], DistilConfig] | None = None
    plans: Callable[[], Plan] | None = None
    others: tuple[str, ...] = ()


def handover(studio: Studio, subject: Subject, row: DeltaGenerator, *, key: str) -> None:
    """Draw the buttons.

    Parameters
    ----------
    studio
        The facade.
    subject
        The shape.
    row
        A horizontal container.
    key
        Beginning of the keys of all widgets.
    """
    off = subject.shape is None
    with row.popover("Compare with …", icon=":material/compare_arrows:", key=f"{key}_compare", disabled=off):
        if subject.shape is not None:
            _compare(studio, subject, key)
    with row.popover("Export", icon=":material/download:", key=f"{key}_export", disabled=off):
        if subject.shape is not None:
            _export(subject, key)
    with row.popover("Train it", icon=":material/model_training:", key=f"{key}_train", disabled=off):
        if subject.shape is not None:
            _train(studio, subject, key)
    with row.popover(
        "Distil the parent into it", icon=":material/water_drop:", type="primary", key=f"{key}_distil",
        disabled=off or subject.inherits.problem is not None,
        help=None if subject.inherits.problem is None else plain(subject.inherits.problem.what, 300),
    ):  # fmt: skip
        if subject.shape is not None:
            _distil(studio, subject, key)


# -- distil ------------------------------------------------------------------------------------------------------------
def distil_config(subject: Subject, *, name: str, corpus: str, steps: int, **others: Any) -> DistilConfig:
    """Return the config of the run that inherits the parent's weights and trains the shape towards it.

    Raises
    ------
    ConfigError
        If a value is not usable.
    """
    from core.config.distil import DistilConfig

    try:
        return DistilConfig.model_validate(
            {
                "name": name, "model": EncoderConfig(source=subject.parent).model_dump(mode="json"),
                "shape": None if subject.shape is None else subject.shape.model_dump(mode="json"),
                "corpus": CorpusConfig(source=corpus, max_sentences=6000, min_count=1).model_dump(mode="json"),
                "segments": subject.inherits.segments, "steps": steps, **others,
            }
        )  # fmt: skip
    except ValidationError as error:
        found = problems(error)
        raise ConfigError(
            "This cannot be distilled.", where=", ".join(found), expected="; ".join(found.values())
        ) from error


def _distil(studio: Studio, subject: Subject, key: str) -> None:
    st.caption(
        "The shape inherits the parent's weights and is then trained towards the parent's hidden states. Texts "
        "need no labels; the distance to the parent is measured on texts that were not trained on."
    )
    name = st.text_input("Name of the run", f"distil {subject.name}", max_chars=120, key=f"{key}_distil_name")
    corpus = _corpus(studio, f"{key}_distil_corpus") if subject.distils is None else ""
    row = st.columns(2, gap="small")
    steps = row[0].number_input("Steps", 1, 1_000_000, _STEPS, 50, key=f"{key}_distil_steps")
    lr = row[1].number_input("Learning rate", 1e-6, 1.0, 5e-4, 1e-4, format="%g", key=f"{key}_distil_lr")
    if st.button("Start", type="primary", icon=":material/play_arrow:", key=f"{key}_distil_go", width="stretch"):
        own = subject.distils

        def made() -> DistilConfig:
            if own is None:
                return distil_config(subject, name=name.strip(), corpus=corpus, steps=steps, lr=lr)
            return own(steps).model_copy(update={"name": name.strip() or "distilled", "lr": lr})

        _submit(studio, key, made)


def _corpus(studio: Studio, key: str) -> str:
    known = [one for one in studio.data.samples() if one["available"] and not one.get("derived")]
    samples = {str(one["name"]): str(one["title"]) for one in known}
    uploads = {str(one["path"]): str(one["name"]) for one in studio.data.uploads()}
    words = {**samples, **uploads}
    return st.selectbox(
        "Texts", list(words), key=key, accept_new_options=True, format_func=lambda one: words.get(one, one),
        help="A sample, an upload, or the path of a file.",
    )  # fmt: skip


def _submit(studio: Studio, key: str, made: Callable[[], DistilConfig]) -> None:
    """Queue a run and open its page; two clicks are one run."""
    request = st.session_state.setdefault(f"{key}_request", uuid.uuid4().hex)
    try:
        config = made()
        run_id = studio.runs.submit(config, kind=config.kind, request_id=request)
    except BertloomError as error:
        error_box(error, title="The run was not started")
        return
    st.session_state.pop(f"{key}_request", None)
    notice(f"{config.name} is in the queue.")
    go("run", run_url(run_id))


# -- train -------------------------------------------------------------------------------------------------------------
def _train(studio: Studio, subject: Subject, key: str) -> None:
    if subject.run is not None:
        st.caption("The stage planner takes the weights that this candidate has reached as its model.")
        if st.button("Open the stage planner", type="primary", icon=":material/tune:", key=f"{key}_train_run"):
            _plan(studio, subject)
        return
    can_inherit = subject.inherits.problem is None
    options = list(_WEIGHTS) if can_inherit else ["random"]
    weights = st.segmented_control(
        "Weights", options, default=options[0], required=True, key=f"{key}_train_weights_{can_inherit}",
        format_func=lambda one: _WEIGHTS[one], width="stretch",
    )  # fmt: skip
    if not can_inherit and subject.inherits.problem is not None:
        st.caption(f":material/info: {plain(subject.inherits.problem.what, 300)}")
    if weights == "inherit":
        st.caption(
            "A run builds the model: weights are inherited and refitted on these texts, without further training. "
            "When it has finished, its page offers the stage planner."
        )
        corpus = _corpus(studio, f"{key}_train_corpus")
        if st.button("Build it", type="primary", icon=":material/play_arrow:", key=f"{key}_train_inherit"):
            _submit(studio, key, lambda: distil_config(subject, name=f"inherit {subject.name}", corpus=corpus, steps=0))
        return
    name = st.text_input("Name of the folder", _folder_name(subject), key=f"{key}_train_name", max_chars=80,
                         help=f"A folder below {studio.home.exports}.")  # fmt: skip
    st.caption("It knows nothing yet: it learns from your rows alone. Tokenizer and vocabulary are the parent's.")
    if st.button("Write it and open the stage planner", type="primary", icon=":material/tune:", key=f"{key}_train_new"):
        _new(studio, subject, name)


def _new(studio: Studio, subject: Subject, name: str) -> None:
    assert subject.shape is not None
    try:
        place = confine(studio.home.exports / safe_name(name.strip(), what="folder name"), studio.home.exports)
        with st.spinner("Writing the model folder"):
            made = studio.models.new(subject.shape, place, tokenizer=subject.parent)
    except BertloomError as error:
        error_box(error, title="The model was not written")
        return
    notice(f"{place.name} is written.")
    go("planner", {"model": str(made)})


def _folder_name(subject: Subject) -> str:
    return "shape-" + "".join(char if char.isalnum() or char == "-" else "x" for char in subject.name.replace(" ", ""))


def _plan(studio: Studio, subject: Subject) -> None:
    """Open the planner with the weights of the subject's run."""
    from pages.ui.planner_draft import load

    assert subject.run is not None
    try:
        if subject.plans is None:
            place = studio.runs.model_folder(subject.run)
            go("planner", {"model": str(place)})
        load(subject.plans(), origin=f"the candidate {subject.name}")
    except BertloomError as error:
        error_box(error, title="It cannot be trained further")
        return
    go("planner")


# -- export ------------------------------------------------------------------------------------------------------------
def _export(subject: Subject, key: str) -> None:
    assert subject.shape is not None
    st.download_button(
        "Shape as YAML", yaml_of(subject.shape), file_name="shape.yaml", mime="application/yaml",
        icon=":material/download:", key=f"{key}_yaml", on_click="ignore", width="stretch",
        help="`bertloom model inherit --shape shape.yaml` builds it with inherited weights.",
    )  # fmt: skip
    st.download_button(
        "Shape as JSON", json_of(subject.shape), file_name="shape.json", mime="application/json",
        icon=":material/download:", key=f"{key}_json", on_click="ignore", width="stretch",
    )  # fmt: skip
    if subject.run is None:
        st.caption("There are no weights yet: distil the parent into it, or build it under “Train it”.")
        return
    st.page_link(
        st.session_state[keys.PAGES]["run"], label="Weights: on its run's page, under Export",
        icon=":material/monitoring:", query_params=run_url(subject.run),
    )  # fmt: skip


# -- compare -----------------------------------------------------------------------------------------------------------
def _compare(studio: Studio, subject: Subject, key: str) -> None:
    assert subject.shape is not None
    if len(subject.others) > 1 and st.button(
        f"{len(subject.others)} trainings side by side", icon=":material/stacked_line_chart:",
        key=f"{key}_compare_runs",
        help="Its own training, those of the front, and the even shapes that were trained along: curves and numbers.",
    ):  # fmt: skip
        st.session_state["runs_picked"] = list(subject.others)
        go("runs", {"compare": ",".join(subject.others)})
    known = {str(model["source"]): model for model in studio.models.list()}
    chosen = st.multiselect(
        "Models", list(known), default=[subject.parent] if subject.parent in known else [], key=f"{key}_compare_with",
        format_func=lambda one: str(known[one].get("title") or one)[:60],
    )  # fmt: skip
    others: list[tuple[str, EncoderShape]] = []
    for source in chosen:
        try:
            others.append((str(known[source].get("title") or source)[:60], _shape_of(source)))
        except BertloomError as error:
            st.caption(f":material/info: {plain(error.what, 300)}")
    st.dataframe(
        comparison_rows([(f"this shape ({subject.name})", subject.shape), *others]), hide_index=True,
        key=f"{key}_compare_table",
    )  # fmt: skip
    st.caption(f"Operations of a text of {LENGTH} sub-words; memory to train with Adam in fp32, 16 texts at once.")


def _shape_of(source: str) -> EncoderShape:
    from core.models.shaped.files import shape_of
    from core.models.sources import read_config, resolve

    found = resolve(source)
    return shape_of(read_config(found.folder), where=source)


def comparison_rows(shapes: Sequence[tuple[str, EncoderShape]]) -> list[dict[str, Any]]:
    """Return what each shape costs, one row a shape; the first is what the others are measured against."""
    rows: list[dict[str, Any]] = []
    for name, shape in shapes:
        cost = count(shape)
        rows.append(
            {
                "model": name, "layers": len(shape.layers), "widths": _span([one.width for one in shape.layers]),
                "parameters": millions(cost.total), "between": millions(cost.body),
                "operations": flops_text(cost.flops(LENGTH)),
                "memory": bytes_text(memory(shape, MICRO_BATCH).training),
            }
        )  # fmt: skip
    return rows


def _span(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} – {high}"
