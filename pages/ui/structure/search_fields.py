"""The fields of a structure search's form: what each is called, which are folded away, how one is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from core.config.reference import config_keys
from core.config.structure import StructureConfig
from pages.ui.format import plain
from pages.ui.structure.search_session import SearchForm

__all__ = ["MORE", "UNSHOWN", "choose", "draw_field", "folded_problem", "grid", "message", "relevant"]

#: Keys without a field: what is always the same, and what a search of shapes does not read. YAML keeps them.
UNSHOWN = {
    "version", "kind", "tags", "model.dropout", "model.revision", "corpus.subset",
    "corpus.revision", "corpus.split", "corpus.encoding", "corpus.columns.text", "corpus.columns.text_pair",
    "corpus.columns.label", "corpus.columns.tokens", "corpus.columns.tags",
    "corpus.columns.question", "corpus.columns.context", "corpus.columns.answers", "corpus.columns.start",
    "corpus.columns.heads", "corpus.columns.relations", "corpus.columns.spans",
    "corpus.unit", "corpus.lowercase",
    "corpus.max_words", "corpus.parts_of_speech", "corpus.stop_words", "corpus.language", "corpus.min_count",
    "model.source", "corpus.source", "finetune", "runtime.device",
}  # fmt: skip
_LABELS: dict[str, str] = {
    "name": "Name of the run", "budget.share": "Budget (share of the parent)", "budget.parameters": "or parameters",
    "budget.latency_ms": "Latency, at most (ms)", "mode": "Mode", "readout": "Readout",
    "random": "Random search instead", "depths": "Numbers of layers", "candidates": "Candidates",
    "sampler": "Proposed by", "prior_share": "Share of the prior", "deviation": "Spread of the prior",
    "hand_made": "Hand-made shapes too", "given": "Shapes of your own", "halving.enter": "Enter training",
    "halving.rungs": "Steps of the rungs", "halving.keep": "Share that goes on", "halving.lr": "Learning rate",
    "halving.batch_tokens": "Sub-words a step", "halving.sentences": "Sentences, at most",
    "statistics.words": "Words", "statistics.neighbours": "Neighbours a word",
    "statistics.rho": "Least correlation ρ", "statistics.overlap": "Least overlap",
    "statistics.share": "Cost of segments", "statistics.draws": "Bootstrap draws",
    "statistics.probe": "Structural probes", "objectives": "The front weighs",
    "corpus.max_sentences": "Sentences measured", "corpus.seed": "Seed of the drawing",
    "model.max_length": "Longest input (sub-words)", "runtime.backend": "Runs in", "runtime.threads": "Threads",
    "runtime.seed": "Seed",
}  # fmt: skip
_STEPS: dict[str, float] = {
    "budget.share": 0.05, "budget.parameters": 100_000, "budget.latency_ms": 0.5, "halving.lr": 1e-4,
    "halving.batch_tokens": 256, "halving.sentences": 1000, "statistics.words": 500, "corpus.max_sentences": 200,
    "deviation": 0.1, "model.max_length": 16,
}  # fmt: skip
_WORDS = {
    "mode": {"bus": "Bus", "stepped": "Stepped"}, "sampler": {"prior": "Statistics", "tpe": "TPE (Optuna)"},
    "runtime.backend": {"process": "Own process", "thread": "This process"},
}  # fmt: skip
_HINTS = {"depths": "as proposed", "given": "256, 224, 256 (one shape a line)", "budget.parameters": "the share's",
          "budget.latency_ms": "no limit"}  # fmt: skip
#: Title → keys of what is folded away.
MORE: dict[str, tuple[str, ...]] = {
    "Shapes": ("mode", "readout", "depths", "sampler", "prior_share", "deviation", "hand_made", "given"),
    "Ranking and training": (
        "candidates", "halving.enter", "halving.rungs", "halving.keep", "halving.lr", "halving.batch_tokens",
        "halving.sentences", "objectives",
    ),
    "Statistics": (
        "corpus.max_sentences", "statistics.words", "statistics.neighbours", "statistics.rho", "statistics.overlap",
        "statistics.share", "statistics.draws", "statistics.probe", "corpus.seed", "model.max_length",
    ),
    "Run": ("runtime.seed", "runtime.threads", "runtime.backend"),
}  # fmt: skip
_OBJECTIVES = ("parameters", "flops", "latency", "loss", "score")


def relevant(path: str, now: SearchForm) -> bool:
    """Return whether a field means something with what the others say."""
    if path == "readout":
        return bool(now.state["mode"] == "bus")
    if path in ("prior_share", "deviation", "sampler"):
        return not now.state["random"] and (path == "sampler" or now.state["sampler"] == "prior")
    return True


def folded_problem(now: SearchForm) -> bool:
    """Return whether a field that is folded away has a message."""
    return any(path in now.problems for paths in MORE.values() for path in paths)


def grid(now: SearchForm, paths: Sequence[str], columns: int = 3) -> None:
    """Draw fields side by side."""
    for start in range(0, len(paths), columns):
        for column, path in zip(st.columns(columns, gap="medium"), paths[start : start + columns], strict=False):
            with column:
                draw_field(now, path)


def draw_field(now: SearchForm, path: str) -> None:
    """Draw the widget that suits a key, with its message below."""
    key, first, label = config_keys(StructureConfig)[path], now.first(path), _LABELS[path]
    shared: dict[str, Any] = {"key": now.key(path), "help": key.description}
    if path == "objectives":
        st.multiselect(label, _OBJECTIVES, default=first, **shared)
    elif path == "given":
        st.text_area(label, value=first, placeholder=_HINTS[path], height=68, **shared)
    elif key.kind == "toggle":
        st.toggle(label, value=first, **shared)
    elif key.kind == "choice":
        words = _WORDS.get(path, {})
        st.segmented_control(
            label, key.choices, default=first, required=True, width="stretch",
            format_func=lambda one: words.get(one, one), **shared,
        )  # fmt: skip
    elif key.kind == "integer":
        st.number_input(label, value=first, step=int(_STEPS.get(path, 1)), placeholder=_HINTS.get(path), **shared)
    elif key.kind == "number":
        st.number_input(
            label, value=first, step=_STEPS.get(path, 0.05), format="%g", placeholder=_HINTS.get(path), **shared
        )
    elif path == "runtime.threads":
        options = list(dict.fromkeys(["auto", 1, 2, 4, first]))
        st.selectbox(label, options, index=options.index(first), **shared)
    else:
        st.text_input(label, value=first, placeholder=_HINTS.get(path), **shared)
    message(now, path)


def message(now: SearchForm, path: str) -> None:
    """Draw what is wrong with a field, if anything is."""
    if path in now.problems:
        st.caption(f":red[:material/error: {plain(now.problems[path], 300)}]")


def choose(now: SearchForm, path: str, label: str, words: Mapping[str, str]) -> None:
    """Draw a list of known sources, in words, in which another one can be typed."""
    first = now.first(path)
    options = list(dict.fromkeys([*words, first]))
    st.selectbox(
        label, options, index=options.index(first), key=now.key(path), accept_new_options=True,
        format_func=lambda one: words.get(one, one)[:70], help=config_keys(StructureConfig)[path].description,
    )  # fmt: skip
    message(now, path)
