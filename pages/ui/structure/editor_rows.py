"""The editor's table: one row a layer, lowest first, every field with its message beside it."""

from __future__ import annotations

from functools import partial

import streamlit as st

from core.config.shape import MOST_LAYERS, EncoderShape, LayerShape
from pages.ui.format import plain
from pages.ui.structure.editor_form import near_heads
from pages.ui.structure.editor_state import Editor, change_width, choose_mode, put, row_action

__all__ = ["CSS", "further_fields", "layer_table", "shape_fields"]

_NAMES = {"width": "Width", "heads": "Heads", "intermediate": "FFN units", "head_size": "Head size"}
_STEPS = {"width": 32, "heads": 1, "intermediate": 64, "head_size": 8}
_ACTIONS = {
    "duplicate": ":material/content_copy: Duplicate",
    "up": ":material/arrow_downward: Move down the table (towards the output)",
    "down": ":material/arrow_upward: Move up the table (towards the input)",
    "remove": ":material/delete: Remove",
}
_MODES = {"bus": "Bus", "stepped": "Stepped"}
CSS = """
[class*="st-key-layer_row_"], .st-key-layer_heads { flex-wrap: nowrap; }
.st-key-layer_heads p { font-size: 0.82rem; opacity: 0.75; }
[class*="st-key-layer_row_"] > div, .st-key-layer_heads > div { min-width: 0; }
[class*="st-key-layer_row_"] [data-testid="stNumberInput"] { min-width: 0; }
[class*="st-key-layer_menu_"] button [data-testid="stMarkdownContainer"] {
  position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap;
}
[class*="st-key-layer_menu_"] button > div > div[aria-hidden="true"] { display: none; }
@media (max-width: 640px) {
  [class*="st-key-layer_row_"] [data-testid^="stNumberInputStep"] { display: none; }
  [class*="st-key-layer_row_"], .st-key-layer_heads { gap: 0.3rem; }
}
"""


def shape_fields(now: Editor) -> None:
    """Draw what belongs to the whole shape: mode, stream, readout, and the folded rest."""
    row = st.container(horizontal=True, gap="medium", vertical_alignment="bottom", key="layers_whole")
    row.segmented_control(
        "Mode", list(_MODES), default=now.first("mode"), key=now.key("mode"), required=True, on_change=choose_mode,
        format_func=lambda one: _MODES[one], help=EncoderShape.model_fields["mode"].description, width="content",
    )  # fmt: skip
    stepped = now.values["mode"] == "stepped"
    with row.container(width=150, gap=None):
        _number(now, "embedding", "Embeddings" if stepped else "Stream", step=32)
    if not stepped:
        with row.container(width="content", gap=None):
            st.toggle(
                "Readout", value=now.first("readout"), key=now.key("readout"),
                help=EncoderShape.model_fields["readout"].description,
            )  # fmt: skip
    _message(now, "embedding")
    _message(now, "readout")


def layer_table(now: Editor) -> None:
    """Draw a row for each layer, and what can be done with it."""
    names = [name for name in _NAMES if name != "head_size" or now.own_size]
    head = st.container(horizontal=True, gap="small", key="layer_heads")
    head.container(width=34).caption("Layer")
    for name in names:
        head.container(width="stretch").caption(_NAMES[name])
    head.container(width=44).caption("&nbsp;")
    for at, number in enumerate(now.order):
        row = st.container(horizontal=True, gap="small", vertical_alignment="center", key=f"layer_row_{number}")
        row.container(width=34).markdown(f"**{at + 1}**")
        for name in names:
            with row.container(width="stretch", gap=None):
                _cell(now, at, number, name)
        with row.container(width=44):
            _menu(now, at, number)
        for name in names:
            _message(now, f"layers.{at}.{name}")
        _offers(now, at)
        _message(now, f"layers.{at}")
    _message(now, "layers")
    foot = st.container(horizontal=True, gap="medium", vertical_alignment="center", key="layers_foot")
    foot.button(
        "Add a layer", icon=":material/add:", key="layers_add", on_click=row_action, args=("add",),
        disabled=len(now.order) >= MOST_LAYERS, help="A copy of the last one, on top of it.",
    )  # fmt: skip
    now.follow = foot.toggle(
        "Heads and units follow the width", value=now.follow, key="layers_follow",
        help="When a width changes, heads keep their size and FFN units their ratio to the width.",
    )  # fmt: skip
    now.own_size = foot.toggle(
        "Head sizes", value=now.own_size, key=f"layers{now.generation}_own_size",
        disabled=any(row["head_size"] is not None for row in now.values["layers"]),
        help=str(LayerShape.model_fields["head_size"].description),
    )  # fmt: skip


def further_fields(now: Editor) -> None:
    """Draw the fields that are seldom changed."""
    wrong = [path for path in ("vocabulary", "positions", "types") if path in now.problems]
    with st.expander("Vocabulary, positions, pooler", expanded=bool(wrong), key="layers_more"):
        row = st.container(horizontal=True, gap="medium", vertical_alignment="bottom")
        for path, label, step in (("vocabulary", "Vocabulary", 1000), ("positions", "Longest input", 64),
                                  ("types", "Segment types", 1)):  # fmt: skip
            with row.container(width=150, gap=None):
                _number(now, path, label, step=step)
                _message(now, path)
        row.toggle(
            "Pooler", value=now.first("pooler"), key=now.key("pooler"),
            help=EncoderShape.model_fields["pooler"].description,
        )  # fmt: skip
        st.caption("An encoder that is built takes vocabulary and tokenizer from the parent.")


def _number(now: Editor, path: str, label: str, *, step: int) -> None:
    st.number_input(
        label, value=now.first(path), step=step, key=now.key(path),
        help=EncoderShape.model_fields[path].description,
    )  # fmt: skip


def _cell(now: Editor, at: int, number: int, name: str) -> None:
    path = f"layers.{at}.{name}"
    st.number_input(
        f"{_NAMES[name]} of layer {at + 1}", value=now.first(path), step=_STEPS[name], key=now.key(path),
        label_visibility="collapsed", placeholder="auto" if name == "head_size" else None,
        on_change=partial(change_width, number) if name == "width" else None,
    )  # fmt: skip


def _menu(now: Editor, at: int, number: int) -> None:
    options = ["duplicate"]
    options += ["up"] if at + 1 < len(now.order) else []
    options += ["down"] if at else []
    options += ["remove"] if len(now.order) > 1 else []
    key = f"layer_menu_{number}"

    def chosen() -> None:
        row_action(str(st.session_state[key]), number)

    st.menu_button(
        f"Actions on layer {at + 1}", options, key=key, on_click=chosen, type="tertiary", icon=":material/more_vert:",
        format_func=lambda one: _ACTIONS[one],
    )  # fmt: skip


def _offers(now: Editor, at: int) -> None:
    """Offer the heads that divide the width, where the given ones do not."""
    layer = now.values["layers"][at]
    width, heads = layer["width"], layer["heads"]
    if f"layers.{at}.heads" not in now.problems or not (isinstance(width, int) and width > 0):
        return
    row = st.container(horizontal=True, gap="small", vertical_alignment="center", key=f"layer_offers_{at}")
    row.caption("Heads that fit:", width="content")
    for one in sorted(near_heads(min(width, 16_384), heads if isinstance(heads, int) else 12)):
        row.button(
            str(one), key=f"{now.key(f'layers.{at}.heads')}_use_{one}", on_click=put,
            args=(f"layers.{at}.heads", one), help=f"{one} heads of {width // one}",
        )  # fmt: skip


def _message(now: Editor, path: str) -> None:
    words = now.problems.get(path)
    if words:
        parts = path.split(".")
        where = f"Layer {int(parts[1]) + 1}: " if len(parts) > 1 else ""
        st.caption(f":red[:material/error: {plain(where + words, 300)}]")
