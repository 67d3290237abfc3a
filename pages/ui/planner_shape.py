"""Planner, in the second card: another architecture for the encoder, and honestly what each way to it loses."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

import streamlit as st
from pydantic import ValidationError

from core.api import Studio
from core.config.shape import EncoderShape
from core.errors import BertloomError
from pages.ui import keys
from pages.ui.components import error_box
from pages.ui.format import count, plain
from pages.ui.planner_draft import Draft
from pages.ui.planner_making import Making, begun, making_part
from pages.ui.planner_shape_words import (
    LayerFacts,
    Wish,
    facts_of,
    folder_problem,
    remaining,
    suggested_name,
    wish_problem,
)

__all__ = ["shape_part"]

Way = Literal["prune", "student", "scratch"]

_WAYS: dict[Way, str] = {
    "prune": ":material/content_cut: Prune",
    "student": ":material/school: Student",
    "scratch": ":material/casino: From scratch",
}
#: Rows that importance is measured on, and that are scored before and after, unless a person says otherwise.
_CALIBRATION, _SCORED = 256, 512


def shape_part(draft: Draft, studio: Studio, about: Mapping[str, Any]) -> None:
    """Draw the ways to a smaller or another architecture, and what is being made."""
    box = st.container()  # what is made stands below the button that began it, but is known before
    with st.container():
        busy = making_part()
    with (
        box,
        st.expander(
            "Fewer heads and units, or another architecture", icon=":material/architecture:", key="planner_shape"
        ),
    ):
        way: Way = st.segmented_control(
            "Way to another architecture", list(_WAYS), format_func=lambda name: _WAYS[name], required=True,
            default="prune", key="planner_shape_way", label_visibility="collapsed",
        ) or "prune"  # fmt: skip
        if way == "student":
            _student(draft)
            return
        source = str(draft.state.get("model.source") or "")
        try:
            layers = facts_of(about, None if source.startswith("hub:") else _shape(source, studio))
        except BertloomError as error:
            if way == "prune":
                error_box(error, title="This encoder cannot be pruned")
                return
            layers = []
        if way == "prune":
            _prune(draft, studio, about, layers, busy=busy)
        else:
            _scratch(draft, studio, about, layers, busy=busy)


@st.cache_data(ttl=20, max_entries=50, show_spinner=False)
def _shape(source: str, _studio: Studio) -> dict[str, Any]:
    return _studio.models.shape(source)


def _prune(draft: Draft, studio: Studio, about: Mapping[str, Any], layers: list[LayerFacts], *, busy: bool) -> None:
    st.caption(
        "Keeps the most important attention heads and FFN units in really smaller tensors. What is lost is measured "
        "on the plan's rows before any training; some of it comes back when the plan is trained."
    )
    row = st.columns(2, gap="medium")
    with row[0]:
        by = st.segmented_control(
            "Given as", ["share", "count"], default="share", required=True, key="prune_by", width="stretch",
            format_func=lambda name: {"share": "Shares", "count": "Counts"}[name],
        )  # fmt: skip
    with row[1]:
        chosen = st.segmented_control(
            "Chosen among", ["layer", "global"], default="layer", required=True, key="prune_spread", width="stretch",
            format_func=lambda name: {"layer": "Each layer's own", "global": "All layers"}[name],
            help="Each layer's own: the same share of every layer. All layers: the best of all together, so that "
            "unimportant layers lose more.",
        )  # fmt: skip
    spread: Literal["layer", "global"] = "global" if chosen == "global" else "layer"
    wish = _counts(layers, spread) if by == "count" else _shares(spread)
    row = st.columns(2, gap="medium")
    with row[0]:
        calibration = st.number_input(
            "Rows to rank by", min_value=1, max_value=100_000, value=_CALIBRATION, step=64, key="prune_rows",
            help="Training rows, at even distances, that importance is measured on.",
        )  # fmt: skip
    with row[1]:
        scored = st.number_input(
            "Rows to score", min_value=1, max_value=1_000_000, value=_SCORED, step=64, key="prune_scored",
            help="Test rows (gate rows where there are none) that are scored before and after.",
        )  # fmt: skip
    name, problem = _folder(studio, str(draft.state.get("model.source")), "pruned", "prune_name")
    problem = problem or wish_problem(wish)
    if not problem:
        st.caption(f":material/info: {plain(remaining(layers, wish, about.get('parameters')))}")
    else:
        st.caption(f":red[:material/error: {plain(problem, 300)}]")
    if any(path.startswith(("data.", "task.")) for path in draft.problems):
        problem = "data"
        st.caption(":red[:material/error: The data's fields need mending first: heads are ranked on its rows.]")
    st.button(
        "Prune", icon=":material/content_cut:", key="planner_prune", disabled=bool(problem) or busy,
        on_click=_begin_pruning, args=(draft, studio, wish, int(calibration), int(scored), name),
        help="In the background; the pruned folder becomes the plan's model.",
    )  # fmt: skip


def _shares(spread: Literal["layer", "global"]) -> Wish:
    row = st.columns(2, gap="medium")
    found = []
    for column, name, label in zip(row, ("heads", "units"), ("Heads to keep", "FFN units to keep"), strict=True):
        with column:
            found.append(
                st.number_input(
                    f"{label} (%)",
                    min_value=0.0,
                    max_value=100.0,
                    value=50.0,
                    step=5.0,
                    format="%g",
                    key=f"prune_{name}",
                )
            )
    return Wish(found[0] / 100, found[1] / 100, spread)


def _counts(layers: list[LayerFacts], spread: Literal["layer", "global"]) -> Wish:
    row = st.columns(2, gap="medium")
    words = "in all" if spread == "global" else "a layer"
    found = []
    for column, name, label in zip(row, ("heads", "units"), ("Heads to keep", "FFN units to keep"), strict=True):
        numbers = [getattr(layer, name) for layer in layers]
        most = sum(numbers) if spread == "global" else max(numbers)
        with column:
            found.append(
                st.number_input(
                    f"{label} {words}",
                    min_value=0,
                    max_value=most,
                    value=max(1, most // 2),
                    step=1,
                    key=f"prune_{name}_{spread}_{most}",
                    help=f"Of {count(most)}.",
                )
            )
    if spread == "layer" and len({(layer.heads, layer.units) for layer in layers}) > 1:
        st.caption(":material/info: The layers differ: smaller ones keep the same share, not the same number.")
    return Wish.of_counts(layers, found[0], found[1], spread)


def _folder(studio: Studio, source: str, kind: str, key: str) -> tuple[str, str | None]:
    """Ask for the folder's name; returns it and what is wrong with it."""
    exports = studio.home.exports
    taken = [one.name for one in exports.iterdir()] if exports.is_dir() else []
    suggestion = suggested_name(source, kind, taken)
    typed = st.text_input(
        "Folder name", key=key, placeholder=suggestion, max_chars=100,
        help=f"A new folder below {plain(exports)}; empty: the name shown.",
    ).strip()  # fmt: skip
    name = typed or suggestion
    return name, folder_problem(name, taken)


def _begin_pruning(draft: Draft, studio: Studio, wish: Wish, calibration: int, scored: int, name: str) -> None:
    plan = draft.nearest()
    source = str(draft.state.get("model.source"))
    out = studio.home.exports / name

    def call(making: Making) -> Any:
        return studio.models.prune(
            source, out, data=plan.data, task=plan.task, cancel=making.cancel, tell=making.tell, heads=wish.heads,
            units=wish.units, spread=wish.spread, rows=calibration, test_rows=scored, max_length=plan.model.max_length,
            revision=plan.model.revision,
        )  # fmt: skip

    begun("Pruning", source, out, call)


def _student(draft: Draft) -> None:
    st.caption(
        "A student has layers of its own widths and inherits weights from this encoder: projected, then refitted layer "
        "by layer. What is lost is told as the distance of its hidden states from the parent's, on texts that it was "
        "not fitted to; training or distillation has to win the rest back."
    )
    page = st.session_state.get(keys.PAGES, {}).get("structure")
    source = str(draft.state.get("model.source") or "")
    if page is not None:
        st.page_link(page, label="Open structure search", icon=":material/schema:")
        return
    st.caption("On the command line; the folder is then chosen above:")
    st.code(
        f"bertloom model inherit --parent {source} --layers 256,256,256 --out FOLDER", language=None, wrap_lines=True
    )


def _scratch(draft: Draft, studio: Studio, about: Mapping[str, Any], layers: list[LayerFacts], *, busy: bool) -> None:
    st.caption(
        "The same tokenizer, random weights. Everything that pre-training taught is lost: the encoder learns words and "
        "grammar from your rows alone, which takes far more rows and steps than tuning does."
    )
    first = layers[0] if layers else LayerFacts(12, 3072, 768, 64)
    numbers: dict[str, int] = {}
    fields = (
        ("layers", "Layers", 96, len(layers) or 12), ("width", "Width", 16_384, first.width),
        ("heads", "Attention heads", 1024, max(1, first.width // first.head_size)),
        ("intermediate", "FFN units", 65_536, first.units),
    )  # fmt: skip
    for pair in (fields[:2], fields[2:]):
        for column, (name, label, most, value) in zip(st.columns(2, gap="medium"), pair, strict=True):
            with column:
                key = f"scratch_{name}_{value}"
                numbers[name] = int(st.number_input(label, min_value=1, max_value=most, value=value, step=1, key=key))
    row = st.columns(2, gap="medium")
    with row[0]:
        seed = int(st.number_input("Seed of the weights", min_value=0, value=0, step=1, key="scratch_seed"))
    source = str(draft.state.get("model.source") or "")
    with row[1]:
        name, problem = _folder(studio, source, "random", "scratch_name")
    shape, wrong = _shaped(numbers, about)
    problem = problem or wrong
    if problem:
        st.caption(f":red[:material/error: {plain(problem, 300)}]")
    elif shape is not None:
        from core.models.shaped.count import count as cost

        st.caption(f":material/info: {cost(shape).total / 1e6:.2f} M parameters, all of them random.")
    st.button(
        "Make it", icon=":material/casino:", key="planner_scratch", disabled=bool(problem) or busy,
        on_click=_begin_scratch, args=(studio, shape, source, name, seed),
        help="The folder becomes the plan's model and says that its weights are random.",
    )  # fmt: skip


def _shaped(numbers: Mapping[str, int], about: Mapping[str, Any]) -> tuple[EncoderShape | None, str | None]:
    layer = {name: numbers[name] for name in ("width", "heads", "intermediate")}
    positions = about.get("max_length")
    try:
        shape = EncoderShape.model_validate(
            {
                "layers": [layer] * numbers["layers"], "embedding": numbers["width"],
                "vocabulary": about.get("vocab_size") or 30522,
                "positions": positions if isinstance(positions, int) and positions > 1 else 512,
            }
        )  # fmt: skip
    except ValidationError as error:
        return None, str(error.errors()[0]["msg"]).removeprefix("Value error, ")
    return shape, None


def _begin_scratch(studio: Studio, shape: EncoderShape, source: str, name: str, seed: int) -> None:
    out = studio.home.exports / name
    begun(
        "Random weights", source, out,
        lambda _: partial(studio.models.new, shape, out, tokenizer=source, seed=seed)(),
    )  # fmt: skip
