"""Fields of the graph room's forms, drawn from the schema: kind, range, default and help come from there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import streamlit as st

from core.config.reference import Key, config_keys
from pages.ui.graph.form import Form
from pages.ui.graph.values import NUMBERS

__all__ = ["field", "field_help", "grid", "label_of"]

_LABELS: dict[str, str] = {
    "name": "Name", "tags": "Tags", "layers": "Layers", "layer": "Layer of the features", "edges": "Edges",
    "corpus.subset": "Subset", "corpus.revision": "Revision of the data", "corpus.split": "Split to read",
    "corpus.encoding": "Text encoding", "corpus.columns.text": "Column with the text",
    "corpus.columns.tokens": "Column with the words", "corpus.language": "Language", "corpus.unit": "Unit",
    "corpus.lowercase": "Ignore case", "corpus.max_sentences": "Sentences, at most",
    "corpus.min_count": "Smallest count of a word", "corpus.max_words": "Words, at most",
    "corpus.parts_of_speech": "Parts of speech", "corpus.stop_words": "Keep stop-words",
    "corpus.seed": "Seed of the drawing", "model.source": "Encoder", "model.revision": "Revision of the encoder",
    "model.max_length": "Longest input (sub-words)", "vectors.mode": "Word vectors",
    "vectors.contexts": "Contexts a word", "vectors.remove_components": "Removed components",
    "vectors.whiten": "Whiten", "settings.dep.source": "Trees", "settings.dep.min_count": "Smallest count of a pair",
    "settings.dep.punctuation": "Keep punctuation", "settings.sim.k": "Neighbours a word",
    "settings.sim.min_cosine": "Smallest cosine", "settings.cooc.window": "Window",
    "settings.cooc.smoothing": "Smoothing", "settings.cooc.min_count": "Smallest count of a pair",
    "settings.attn.heads": "Heads", "settings.attn.k": "Edges a word",
    "settings.attn.min_count": "Sentences of a pair, at least", "probe_run": "Probe",
    "runtime.backend": "Runs in", "runtime.device": "Device", "runtime.threads": "Threads", "runtime.seed": "Seed",
    "rank": "Rank of the projection", "epochs": "Epochs", "lr": "Learning rate", "held_out": "Held-out share",
    "random_encoder": "Also random weights", "network": "Network", "hidden": "Width", "dropout": "Dropout",
    "calibration": "Calibration", "min_probability": "Smallest probability", "words": "Words, at most",
    "neighbours": "Neighbours a word", "contexts": "Contexts a word", "remove_components": "Removed components",
    "draws": "Bootstrap draws", "probe": "Structural probes",
}  # fmt: skip
_PLACEHOLDERS: dict[str, str] = {
    "name": "after the text", "layers": "all", "layer": "the middle one", "corpus.columns.text": "the usual names",
    "corpus.columns.tokens": "none", "corpus.min_count": "automatic", "corpus.parts_of_speech": "all",
    "settings.attn.heads": "all", "corpus.revision": "newest", "corpus.subset": "default", "model.revision": "newest",
    "tags": "Type and press Enter",
}  # fmt: skip
_WORDS: dict[str, dict[str, str]] = {
    "corpus.unit": {"word": "Words", "subword": "Sub-words", "character": "Characters"},
    "vectors.mode": {"contexts": "From contexts", "vocabulary": "Vocabulary"},
    "settings.dep.source": {"trees": "Parser or file", "probe": "A trained probe"},
    "runtime.backend": {"process": "Own process", "thread": "This process"},
    "runtime.device": {"auto": "Automatic", "cpu": "CPU", "cuda": "GPU (CUDA)", "mps": "GPU (Apple)"},
    "network": {"sage": "GraphSAGE", "gat": "GAT"}, "calibration": {"platt": "Platt", "isotonic": "Isotonic"},
}  # fmt: skip
_STEPS: dict[str, float] = {
    "corpus.max_sentences": 200, "corpus.max_words": 1000, "vectors.contexts": 10, "model.max_length": 16, "lr": 1e-3,
    "runtime.seed": 1, "rank": 16, "hidden": 16, "words": 500, "contexts": 10, "draws": 50,
}  # fmt: skip


def label_of(path: str) -> str:
    """Return a field's label."""
    return _LABELS[path]


def field_help(model: Any, path: str) -> str:
    """Return the description of a config's key, as in the schema."""
    return config_keys(model)[path].description


def field(form: Form, path: str, *, options: Sequence[str] = (), label: str | None = None) -> Any:
    """Draw one field and return its value as the widget holds it.

    Parameters
    ----------
    form
        The form.
    path
        Dotted key of its config.
    options
        Values to choose from, for lists and texts; others can be typed.
    label
        In place of the usual one.
    """
    key, first = form.keys[path], form.first(path)
    words = label or label_of(path)
    shared: dict[str, Any] = {"key": form.widget(path), "help": key.description}
    placeholder = _PLACEHOLDERS.get(path)
    if path in NUMBERS or key.kind == "list":
        known = list(dict.fromkeys([*options, *first, *st.session_state.get(form.widget(path), ())]))
        return st.multiselect(
            words, known, default=first, accept_new_options=True, placeholder=placeholder or "Type and press Enter",
            **shared,
        )  # fmt: skip
    if key.kind == "toggle":
        st.space("small")
        return st.toggle(words, value=first, **shared)
    if key.kind == "choice":
        return _choice(path, key, words, first, shared)
    if key.kind in ("integer", "number"):
        return _number(path, key, words, first, placeholder, shared)
    return st.text_input(words, value=first, placeholder=placeholder, **shared)


def grid(
    form: Form, paths: Iterable[str], *, columns: int = 3, options: Mapping[str, Sequence[str]] | None = None
) -> None:
    """Draw several fields in rows."""
    shown = list(paths)
    for start in range(0, len(shown), columns):
        row = st.columns(columns, gap="medium")
        for column, path in zip(row, shown[start : start + columns], strict=False):
            with column:
                field(form, path, options=(options or {}).get(path, ()))


def _choice(path: str, key: Key, label: str, first: Any, shared: dict[str, Any]) -> Any:
    names = _WORDS.get(path, {})
    if len(key.choices) <= 3:
        return st.segmented_control(
            label, key.choices, default=first, required=True, width="stretch",
            format_func=lambda one: names.get(one, one), **shared,
        )  # fmt: skip
    return st.selectbox(
        label, key.choices, index=key.choices.index(first), format_func=lambda one: names.get(one, one), **shared
    )


def _number(
    path: str, key: Key, label: str, first: Any, placeholder: str | None, shared: dict[str, Any]
) -> float | int | None:
    found: float | int | None
    step = _STEPS.get(path, 1 if key.kind == "integer" else 0.05)
    if key.kind == "integer":
        found = st.number_input(
            label, value=first, min_value=None if key.minimum is None else int(key.minimum),
            max_value=None if key.maximum is None else int(key.maximum), step=int(step), placeholder=placeholder,
            **shared,
        )  # fmt: skip
    else:
        found = st.number_input(
            label, value=first, min_value=None if key.minimum is None else float(key.minimum),
            max_value=None if key.maximum is None else float(key.maximum), step=float(step), placeholder=placeholder,
            format="%g", **shared,
        )  # fmt: skip
    return found
