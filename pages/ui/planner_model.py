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
from pages.ui.planner_draft import Draft, given, living, put, widget_key
from pages.ui.planner_jobs import ask, peek
from pages.ui.planner_origin import origin_part
from pages.ui.planner_shape import shape_part
from pages.ui.planner_widgets import fields, folded, section

__all__ = ["describe", "language_mismatch", "layers_of", "model_section"]

#: Layers of an encoder that nobody has looked at yet.
_USUAL_LAYERS = 12

_FACTS = {"layers": "layers", "hidden_size": "wide"}

ModelKind = Literal["bundled", "mine", "folder", "hub"]

_KINDS: dict[ModelKind, str] = {
    "bundled": ":material/inventory_2: Bundled",
    "mine": ":material/history: From my runs",
    "folder": ":material/folder_open: Folder",
    "hub": ":material/cloud_download: Hub",
}


def model_section(draft: Draft, studio: Studio, language: str | None) -> None:
    """Draw the card; `language` is that of the rows, if it is known."""
    with section(2, "Model", "The encoder that training starts from; a new head is put on top.", key="planner_model"):
        kind = _source(draft, studio)
        about = _about(draft, studio, kind)
        if about is not None and language_mismatch(language, about.get("language_hint")):
            st.warning(
                "The texts are Chinese, but this encoder's vocabulary is Latin script: most signs would become "
                "unknown pieces. Choose an encoder for Chinese; the check of the data shows their share.",
                icon=":material/translate:",
            )
        if about is not None:
            origin_part(draft, studio)
        fields(draft, SECTIONS["model"][0])
        folded(draft, "model")
        if about is not None:
            shape_part(draft, studio, about)


def describe(draft: Draft, studio: Studio) -> dict[str, Any] | BertloomError | None:
    """Return the description of the draft's encoder, why there is none, or ``None`` while nobody has asked the hub."""
    source = str(draft.state.get("model.source") or "")
    revision = draft.state.get("model.revision")
    if source.startswith("hub:"):
        job = peek("describe", [source, revision])
        if job is None or job.state == "running":
            return None
        return job.error if job.state == "failed" else job.answer
    try:
        return _described(source, str(studio.home.root), studio)
    except BertloomError as error:
        return error


@st.cache_data(ttl=20, max_entries=50, show_spinner=False)
def _described(source: str, home: str, _studio: Studio) -> dict[str, Any]:
    """Describe a local model; a folder that changes is seen again after some seconds."""
    return _studio.models.describe(source, None)


def layers_of(about: object, kept: object = None) -> int:
    """Return the number of layers of a described encoder, and a usual one where there is no description.

    Parameters
    ----------
    about
        The description, if there is one.
    kept
        ``model.keep_layers`` of the form: how many, or which.
    """
    found = int(about.get("layers") or _USUAL_LAYERS) if isinstance(about, dict) else _USUAL_LAYERS
    if isinstance(kept, list) and kept:
        return min(found, len(kept))
    return min(found, kept) if isinstance(kept, int) and kept > 0 else found


def language_mismatch(language: str | None, hint: str | None) -> bool:
    """Tell whether texts of a language meet an encoder whose vocabulary is of another script."""
    return language == "zh" and hint == "Latin script"


def _source(draft: Draft, studio: Studio) -> ModelKind:
    source = str(draft.state.get("model.source") or "")
    key = f"{widget_key('model.source')}_kind"
    first = given(key, None if key in st.session_state else _kind(source, studio))

    def changed() -> None:
        if st.session_state[key] == "bundled":
            put("model.source", "bundled")
            put("model.revision", None)

    kind: ModelKind = st.segmented_control(
        "Source of the encoder", list(_KINDS), format_func=lambda name: _KINDS[name], required=True, key=key,
        on_change=living("model.source", "_kind", changed), label_visibility="collapsed", default=first,
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


def _kind(source: str, studio: Studio) -> ModelKind:
    if source == "bundled":
        return "bundled"
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
