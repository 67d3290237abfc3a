"""Thresholds that can be moved, and what they propose: recomputed from stored curves, a fragment of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from core.api import Studio
from core.errors import BertloomError, ConfigError
from core.models.shaped import count as count_shape
from core.render.look import CONFIG
from core.render.statistics_figures import cost_figure, curve_figure, least_figure
from core.search.proposal import Fitted, fitted, parent_shape, segments_of
from pages.ui import keys
from pages.ui.components import Card, card_row, error_box
from pages.ui.format import count, number, percent, plain
from pages.ui.planner_look import look
from pages.ui.structure.band import band_html
from pages.ui.structure.place import RANGES, Place, place, statistics_at
from pages.ui.structure.verdict import DOCUMENT, UNPROVEN, verdict_of

__all__ = ["proposal", "shape_rows"]

_AUTO = "as proposed"
_MOST_PILLS = 12
_SLIDERS = {
    "rho": ("Path lengths: least correlation ρ", "A width suffices if path lengths in the graph of its directions "
            "correlate at least so well (Spearman) with those in the whole graph."),
    "overlap": ("Neighbours: least share o", "… and if words keep at least this share of their neighbours."),
    "share": ("Segments: most of the cost", "K₀ is the fewest segments whose cost is at most this share of what one "
              "segment of all layers costs; cost is the sum of 1 − CKA within segments."),
}  # fmt: skip


def proposal(studio: Studio) -> None:
    """Draw thresholds, what they propose, and the figures that depend on them. Moving one redraws only this part."""
    st.fragment(_proposal)(studio)


def _proposal(studio: Studio) -> None:
    now = place()
    usual = statistics_at(studio, now.asked)
    if usual is None:  # the run was deleted meanwhile
        st.rerun(scope="app")
    _cards_at = st.container()
    with st.container(border=True, gap="small", key="structure_thresholds"):
        _sliders(now, usual["measured"])
    found = statistics_at(studio, now.asked)
    assert found is not None
    with _cards_at:
        card_row(_cards(found), key="run_cards_structure")
    with st.container(border=True, gap="small", key="structure_proposal"):
        _proposed(now, found)
    _figures(found)
    now.write_address()


def _sliders(now: Place, measured: Mapping[str, float]) -> None:
    for column, (name, (label, words)) in zip(st.columns(3, gap="medium"), _SLIDERS.items(), strict=True):
        low, high = RANGES[name]
        shown = getattr(now.asked, name)
        first = now.first(name, float(measured[name] if shown is None else shown))
        value = column.slider(
            label, min(low, first), max(high, first), first, 0.01, key=now.key(name), help=words, format="%.2f"
        )
        now.keep(**{name: None if abs(value - measured[name]) < 1e-9 else round(float(value), 4)})
    moved = [name for name in _SLIDERS if getattr(now.asked, name) is not None]
    row = st.container(horizontal=True, vertical_alignment="center", gap="small")
    if moved:
        row.caption(
            "Moved: all below, intervals included, is recomputed from the stored curves; nothing is measured again.",
            width="stretch",
        )  # fmt: skip
        row.button(
            "As measured", icon=":material/undo:", type="tertiary", key="structure_undo",
            on_click=lambda: now.go(rho=None, overlap=None, share=None),
        )  # fmt: skip
    else:
        row.caption("As measured. Move a threshold to see what depends on it.")


def _cards(found: Mapping[str, Any]) -> list[Card]:
    depth, layers = found["depth"], found["layers"][1:]
    least = [entry["least"] for entry in layers]
    low, high = min(least), max(least)
    cards = [
        Card(
            "Segments that suffice", str(depth["fewest"]), f"depths {depth['lowest']} to {depth['highest']} to try",
            help="K₀. A search tries from one layer fewer to two more.",
        ),
        Card(
            "Directions needed (d*)", str(low) if low == high else f"{low}–{high}", f"of {layers[-1]['width']}",
            help="The smallest width from which every larger one keeps path lengths and neighbours of the word graph.",
        ),
    ]  # fmt: skip
    scored = [entry for entry in layers if entry.get("margin") is not None]
    if scored:
        best = max(scored, key=lambda entry: entry["margin"])
        beside = "chain" if best["margin"] > 0 else "below the chain's"
        cards.append(
            Card(
                "Syntax is clearest in", f"layer {best['layer']}",
                f"UUAS {number(best['uuas'])}, {beside} {number(found['chain'])}",
                help="The structural probe's share of undirected edges found, over a tree that links neighbours.",
            )
        )  # fmt: skip
    new = max(layers, key=lambda entry: entry["novelty"])
    cards.append(Card("Changes most in", f"layer {new['layer']}", f"1 − CKA {number(new['novelty'])}"))
    return cards


# -- depth, segments, widths ---------------------------------------------------------------------------------------
def _proposed(now: Place, found: dict[str, Any]) -> None:
    depth, most = found["depth"], len(found["layers"]) - 1
    body = count_shape(parent_shape(found)).body
    left, right = st.columns(2, gap="medium", vertical_alignment="bottom")
    options = [_AUTO, *map(str, range(1, most + 1))]
    chosen = now.asked.depth if now.asked.depth and now.asked.depth <= most else None
    first = now.first("depth", str(chosen) if chosen else _AUTO)
    with left:
        if most <= _MOST_PILLS:
            picked = st.segmented_control(
                "Layers of the student", options, default=first, required=True, key=now.key("depth")
            )
        else:
            picked = st.selectbox("Layers of the student", options, options.index(first), key=now.key("depth"))
    share = right.slider(
        "Budget: share of the parent's parameters between embeddings and pooler", int(RANGES["budget"][0]),
        int(RANGES["budget"][1]), now.first("budget", now.asked.budget), 5, format="%d %%", key=now.key("budget"),
    )  # fmt: skip
    now.keep(depth=None if picked in (_AUTO, None) else int(picked), budget=share)
    layers = now.asked.depth or depth["fewest"]
    budget = round(share / 100 * body)
    made, problem = None, None
    try:
        made = fitted(found, layers, budget)
    except ConfigError as error:
        problem = error
    segments = list(made.segments) if made else segments_of(np.asarray(found["cka"]), found["layers"], layers)
    widths = [layer.width for layer in made.shape.layers] if made else None
    cost = depth["costs"][layers - 1] / depth["costs"][0] if depth["costs"][0] else 0.0
    st.markdown(
        f"**{layers} {'layer' if layers == 1 else 'layers'}** for {most} of the parent: "
        f"{percent(cost)} of the cost of one segment remain. Cells are the parent's layers, filled as high as their "
        "d\\*; ★ gives its weights."
    )
    shown = look()
    st.html(band_html(segments, found["layers"], shown.colours, widths, paper=shown.background, ink=shown.text))
    if problem is not None:
        error_box(problem, title="No widths for this budget")
    if made is not None:
        _widths(made, body)
    _onwards(now, found, made)


def _widths(made: Fitted, body: int) -> None:
    found = count_shape(made.shape)
    st.markdown(
        f"Widths are **{number(made.scale, 3)} × d\\***, in whole heads; FFN units close the rest: "
        f"{count(found.body)} parameters between embeddings and pooler, {percent(found.body / body)} of the parent's."
    )
    st.dataframe(
        shape_rows(made), hide_index=True, width="stretch", height="content", key="structure_widths",
        column_config={"parameters": st.column_config.NumberColumn(format="localized")},
    )  # fmt: skip
    st.caption(
        "One stream as wide as the parent's (mode bus), and a readout of full width on top, which the budget pays for."
    )


def shape_rows(made: Fitted) -> list[dict[str, Any]]:
    """Return one row a layer of a proposed shape, for a table."""
    parameters = count_shape(made.shape).layers
    return [
        {
            "layer": at + 1,
            "stands for": str(one["first"]) if one["first"] == one["last"] else f"{one['first']} – {one['last']}",
            "weights of": one["representative"], "d*": one["least"], "width": layer.width, "heads": layer.heads,
            "FFN units": layer.intermediate, "parameters": parameters[at],
        }
        for at, (one, layer) in enumerate(zip(made.segments, made.shape.layers, strict=True))
    ]  # fmt: skip


def _onwards(now: Place, found: Mapping[str, Any], made: Fitted | None) -> None:
    row = st.container(horizontal=True, gap="small", vertical_alignment="center", key="structure_onwards")
    if row.button("Use for a search", type="primary", icon=":material/manage_search:", key=keys.PRIMARY):
        now.go(tab="search", search="")
        st.rerun(scope="app")
    if row.button("Edit as layers", icon=":material/edit:", key="structure_edit", disabled=made is None) and made:
        from pages.ui.structure.editor_state import load

        load(made.shape, f"the statistics of {Path(str(found['encoder']['source'])).name}")
        now.go(tab="layers")
        st.rerun(scope="app")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        known = verdict_of()
        said = f"{known[0]} (docs/structure.md)" if known else UNPROVEN
        st.caption(f":material/science: These are proposals, not findings. {plain(said, 900)}", width="stretch")
        if DOCUMENT.is_file() and st.button(
            "What is known", icon=":material/menu_book:", type="tertiary", key="structure_known"
        ):
            _known()


@st.dialog("What is known of it (docs/structure.md)", width="large")
def _known() -> None:
    try:
        text = DOCUMENT.read_text(encoding="utf-8")
    except OSError as error:
        error_box(BertloomError(f"The page cannot be read: {error.strerror}.", where="docs/structure.md"))
        return
    # its pictures lie beside it, where no browser finds them
    st.markdown("\n".join(line for line in text.splitlines() if not line.lstrip().startswith("![")))


# -- figures -------------------------------------------------------------------------------------------------------
def _figures(found: Mapping[str, Any]) -> None:
    shown = look()
    pairs = (
        (
            ("structure_rho", curve_figure(found, shown, kind="rho"), "Correlation of path lengths by width and layer"),
            ("structure_overlap", curve_figure(found, shown, kind="overlap"), "Neighbours kept by width and layer"),
        ),
        (
            ("structure_least", least_figure(found, shown), "d* of every layer with its interval"),
            ("structure_cost", cost_figure(found, shown), "Cost by number of segments"),
        ),
    )
    for pair in pairs:
        for column, (key, figure, words) in zip(st.columns(2, gap="medium"), pair, strict=True):
            with column.container(border=True, key=key):
                st.plotly_chart(figure, theme=None, config=CONFIG, key=f"{key}_figure", alt=words)
    draws = len(found["draws"][0]["rho"]) if found["draws"] else 0
    st.caption(
        f":material/info: Rings and bars are d*. 95 % intervals: {count(draws)} bootstrap draws of words, at these "
        "thresholds; they say nothing about another text."
        if draws
        else ":material/info: Rings are d*. No bootstrap draws were made, so there are no intervals."
    )
    if any(entry["unreachable"][-1] > 0.2 for entry in found["layers"]):
        worst = max(found["layers"], key=lambda entry: entry["unreachable"][-1])
        st.caption(
            f":material/info: In layer {worst['layer']} no path joins {percent(worst['unreachable'][-1])} of the "
            "compared pairs of words, with all directions; they count as one step more than the longest path."
        )
