"""Planner, second card: the encoder that training starts from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import streamlit as st

from core.api import Studio
from core.errors import BertloomError
from pages.ui.components import error_box
from pages.ui.format import bytes_text, count, plain
from pages.ui.forms_fields import SECTIONS
from pages.ui.planner_describe import describe, language_mismatch
from pages.ui.planner_draft import Draft, anew, given, living, put, widget_key
from pages.ui.planner_jobs import ask, peek
from pages.ui.planner_origin import origin_part
from pages.ui.planner_shape import shape_part
from pages.ui.planner_student import half_of, kept_part, taught_folder
from pages.ui.planner_widgets import fields, folded, section

__all__ = ["model_section"]

_FACTS = {"layers": "layers", "hidden_size": "wide"}

ModelKind = Literal["bundled", "teacher", "mine", "folder", "hub"]

_KINDS: dict[ModelKind, str] = {
    "bundled": ":material/inventory_2: Bundled",
    "teacher": ":material/school: The teacher's layers",
    "mine": ":material/history: From my runs",
    "folder": ":material/folder_open: Folder",
    "hub": ":material/cloud_download: Hub",
}


def model_section(
    draft: Draft, studio: Studio, language: str | None, *, together: bool = False, taught: Draft | None = None
) -> None:
    """Draw the card.

    Parameters
    ----------
    draft
        The draft.
    studio
        The facade.
    language
        That of the rows, if it is known.
    together
        Whether several tasks share the encoder.
    taught
        What says who the teacher is, if that is not the draft.
    """
    words = "a new head is put on top"
    if together:
        words = "all tasks share it, and each puts a new head on top"
    with section(2, "Model", f"The encoder that training starts from; {words}.", key="planner_model"):
        with st.container():
            kind = _source(draft, studio, draft if taught is None else taught)
        with st.container():
            about = _about(draft, studio, kind)
            if about is not None and language_mismatch(language, about.get("language_hint")):
                st.warning(
                    "The texts are Chinese, but this encoder's vocabulary is Latin script: most signs would become "
                    "unknown pieces. Choose an encoder for Chinese; the check of the data shows their share.",
                    icon=":material/translate:",
                )
            if about is not None:
                origin_part(draft, studio)
        with st.container():
            kept_part(draft, studio, about or {})
        fields(draft, SECTIONS["model"][0])
        folded(draft, "model")
        if about is not None and not together:
            shape_part(draft, studio, about)


def _source(draft: Draft, studio: Studio, taught: Draft) -> ModelKind:
    source = str(draft.state.get("model.source") or "")
    teacher = taught_folder(taught, studio)
    # With a teacher there is one choice more, and so another widget.
    suffix = "_kind" if teacher is None else "_kind_taught"
    key = f"{widget_key('model.source')}{suffix}"
    first = given(key, None if key in st.session_state else _kind(source, studio, teacher))

    def changed() -> None:
        wanted = {"bundled": "bundled", "teacher": teacher["folder"] if teacher is not None else None}
        if wanted.get(st.session_state[key]) in (None, draft.state.get("model.source")):
            return  # told again, when a person may have gone on from there
        if st.session_state[key] == "bundled":
            put("model.source", "bundled")
            put("model.revision", None)
        elif teacher is not None:
            put("model.source", teacher["folder"])
            put("model.revision", None)
            put("model.keep_layers", half_of(teacher))
            anew("model.keep_layers")

    kinds = [kind for kind in _KINDS if kind != "teacher" or teacher is not None]
    kind: ModelKind = st.segmented_control(
        "Source of the encoder", kinds, format_func=lambda name: _KINDS[name], required=True, key=key,
        on_change=living("model.source", suffix, changed), label_visibility="collapsed", default=first,
    ) or "bundled"  # fmt: skip
    if kind == "mine":
        _pick(source, _mine(studio))
    elif kind == "folder":
        _typed(source, "Folder of the model", "/home/me/models/my-encoder", "")
    elif kind == "hub":
        _typed(source, "Name on the hub", "owner/name", "hub:")
    if draft.problems.get("model.source"):
        st.caption(f":red[:material/error: {plain(draft.problems['model.source'])}]")
    return kind


def _mine(studio: Studio) -> dict[str, Mapping[str, Any]]:
    try:
        return {str(model["source"]): model for model in studio.models.list() if model["source"] != "bundled"}
    except BertloomError:
        return {}


def _kind(source: str, studio: Studio, teacher: Mapping[str, Any] | None) -> ModelKind:
    if source == "bundled":
        return "bundled"
    if teacher is not None and source == teacher["folder"]:
        return "teacher"
    if source.startswith("hub:"):
        return "hub"
    return "mine" if source in _mine(studio) else "folder"


def _pick(source: str, mine: Mapping[str, Mapping[str, Any]]) -> None:
    if not mine:
        st.caption("There is no finished run with a model yet.")
        return
    key = f"{widget_key('model.source')}_mine"
    st.session_state[key] = source if source in mine else None

    def picked() -> None:
        if st.session_state[key]:
            put("model.source", st.session_state[key])

    st.selectbox(
        "Model of a run", list(mine), index=None, key=key, on_change=living("model.source", "_mine", picked),
        placeholder="Choose a model",
        format_func=lambda name: str(mine[name].get("title") or name)[:80],
    )  # fmt: skip


def _typed(source: str, label: str, example: str, prefix: str) -> None:
    suffix = "_hub" if prefix else "_folder"
    key = f"{widget_key('model.source')}{suffix}"
    fits = source.startswith("hub:") if prefix else source not in ("bundled", "") and not source.startswith("hub:")
    first = given(key, source.removeprefix(prefix) if fits else "")

    def typed() -> None:
        text = st.session_state[key].strip()
        if text:
            put("model.source", prefix + text.removeprefix(prefix) if prefix else text)

    st.text_input(
        label, value=first, key=key, on_change=living("model.source", suffix, typed), placeholder=example,
        help="Safetensors weights only; pickled weights and models that bring their own code are refused.",
    )  # fmt: skip


def _about(draft: Draft, studio: Studio, kind: ModelKind) -> dict[str, Any] | None:
    source, revision = str(draft.state.get("model.source") or ""), draft.state.get("model.revision")
    about = describe(draft, studio)
    if source.startswith("hub:") and peek("describe", [source, revision]) is None:
        st.caption("Looking at this encoder asks the hub for its config.")
        if st.button("Look at the encoder", icon=":material/cloud_download:", key="planner_describe"):
            ask("describe", [source, revision], lambda: studio.models.describe(source, revision))
            st.rerun()
        return None
    if about is None:
        st.skeleton(height=60)
        return None
    if isinstance(about, BertloomError):
        error_box(about, title="This encoder cannot be used")
        return None
    facts = [
        *(f"{count(about[name])} {words}" for name, words in _FACTS.items() if about.get(name) is not None),
        _heads(about, studio),
        f"{about['parameters'] / 1e6:.1f} M parameters" if about.get("parameters") else "",
        f"{count(about['vocab_size'])} pieces" if about.get("vocab_size") else "",
        f"texts up to {count(about['max_length'])}" if about.get("max_length") else "",
        bytes_text(about["bytes"]) if about.get("bytes") else "",
    ]  # fmt: skip
    with st.container(gap=None, key="planner_about_model"):
        st.markdown(f"**{plain(about.get('title') or source, 80)}** :gray-badge[{plain(about['family'], 30)}]")
        st.caption(plain(" · ".join(fact for fact in facts if fact)))
    for warning in about.get("warnings") or []:
        st.caption(f":material/info: {plain(warning, 400)}")
    return dict(about)


def _heads(about: Mapping[str, Any], studio: Studio) -> str:
    """Say how many heads a layer has; layers of a shaped encoder may differ."""
    most = about.get("heads")
    if about.get("family") == "shaped_bert" and not str(about["source"]).startswith("hub:"):
        heads = [int(layer["heads"]) for layer in studio.models.shape(str(about["source"]))["layers"]]
        if min(heads) != max(heads):
            return f"{min(heads)} to {max(heads)} heads"
        most = heads[0]
    return "" if most is None else f"{count(most)} heads"
