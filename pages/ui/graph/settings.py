"""The settings of a graph: encoder, unit and edges at the top, everything else folded away."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st
from pydantic import ValidationError

from core.api import Studio
from core.config.graph import EDGE_TYPES, GraphConfig
from core.runs.records import Status
from pages.ui.format import number, plain
from pages.ui.graph.ask import once
from pages.ui.graph.fields import field, field_help, grid, label_of
from pages.ui.graph.form import Form, config_of
from pages.ui.graph.looks import EDGE_LOOKS, edge_name

__all__ = ["UNSHOWN", "encoder_facts", "settings"]

#: Keys without a field: what a graph does not read, and what is always the same. They go through YAML and back.
UNSHOWN = {
    "version", "kind", "corpus.columns.text_pair", "corpus.columns.label", "corpus.columns.tags", "model.dropout",
    "corpus.columns.question", "corpus.columns.context", "corpus.columns.answers", "corpus.columns.start",
    "corpus.columns.heads", "corpus.columns.relations", "corpus.columns.spans",
}  # fmt: skip
_BUILT = [kind for kind in EDGE_TYPES if kind != "gnn"]
#: Universal parts of speech (de Marneffe et al. 2021).
_UPOS = (
    "ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN", "SCONJ", "SYM", "VERB",
    "X",
)  # fmt: skip
_CORPUS = (
    "corpus.max_sentences", "corpus.min_count", "corpus.language", "corpus.lowercase", "corpus.stop_words",
    "corpus.parts_of_speech", "corpus.columns.text", "corpus.columns.tokens", "corpus.max_words", "corpus.encoding",
    "corpus.seed",
)  # fmt: skip
_HUB = ("corpus.subset", "corpus.split", "corpus.revision")
_VECTORS = ("layers", "vectors.mode", "vectors.contexts", "vectors.remove_components", "vectors.whiten",
            "model.max_length")  # fmt: skip
_EDGES: dict[str, tuple[str, ...]] = {
    "dep": ("settings.dep.min_count", "settings.dep.punctuation"),
    "sim": ("settings.sim.k", "settings.sim.min_cosine"),
    "cooc": ("settings.cooc.window", "settings.cooc.smoothing", "settings.cooc.min_count"),
    "attn": ("settings.attn.heads", "settings.attn.k", "settings.attn.min_count"),
}
#: What tells whether a corpus has trees, beside its source, and the characters of a pasted text that are looked at.
_TELLING = ("corpus.unit", "corpus.language", "corpus.encoding", "corpus.columns.text", "corpus.columns.tokens")
_LOOKED_AT = 20_000
_RUN = ("name", "tags", "runtime.backend", "runtime.device", "runtime.threads", "runtime.seed")


def settings(studio: Studio, form: Form, *, source: str | None, text: str | None = None) -> None:
    """Draw the settings.

    Parameters
    ----------
    studio
        The facade.
    form
        The form of a graph's config.
    source
        The corpus, as far as it is known: edge types that suit it are chosen.
    text
        Its text, where it is in no file yet.
    """
    reason = _suit(studio, form, source, text)
    encoders = {str(model["source"]): model for model in studio.models.list()}
    row = st.columns([3, 3, 4], gap="medium")
    with row[0]:
        _encoder(form, encoders)
    with row[1]:
        field(form, "corpus.unit")
    with row[2]:
        chosen = st.pills(
            "Edges", _BUILT, selection_mode="multi", default=form.first("edges"), key=form.widget("edges"),
            format_func=edge_name,
            help=" ".join(f"{look[1].capitalize()}: {look[3]}" for kind, look in EDGE_LOOKS.items() if kind != "gnn"),
        )  # fmt: skip
    with st.container():  # the fields below keep their place whether or not something stands here
        if reason and "dep" not in chosen and form.state["vectors.mode"] == "contexts":
            st.caption(f":material/info: Dependencies are left out. {plain(reason, 300)}")
        elif reason and form.state["settings.dep.source"] != "probe":
            st.caption(f":orange[:material/warning:] Dependencies may be refused. {plain(reason, 300)}")
    facts = encoder_facts(encoders.get(form.state["model.source"]))
    with st.expander("More settings", icon=":material/tune:", key="graph_more"):
        _more(studio, form, list(chosen), facts)


def encoder_facts(model: dict[str, Any] | None) -> dict[str, list[str]]:
    """Return the numbers of an encoder's layers and heads as options, empty where nobody knows them."""
    layers, heads = ((model or {}).get(name) for name in ("layers", "heads"))
    return {
        "layers": [str(layer) for layer in range(int(layers) + 1)] if layers else [],
        "settings.attn.heads": [str(head) for head in range(int(heads))] if heads else [],
    }


def _encoder(form: Form, encoders: dict[str, Any]) -> None:
    first = form.first("model.source")
    known = list(dict.fromkeys([*encoders, first]))
    st.selectbox(
        label_of("model.source"), known, index=known.index(first), key=form.widget("model.source"),
        accept_new_options=True, help=field_help(form.model, "model.source"),
        format_func=lambda source: str((encoders.get(source) or {}).get("title") or source)[:60],
    )  # fmt: skip


def _suit(studio: Studio, form: Form, source: str | None, text: str | None) -> str | None:
    """Choose edge types that suit the corpus, as long as nobody chose others, and return why dep is not among them."""
    usual: Sequence[str] | None = None
    reason: str | None = None
    if form.state["vectors.mode"] == "vocabulary":
        usual, reason = ["sim"], "The encoder's own vocabulary has no sentences: similarity is its only edge."
    elif source or text:
        text = None if text is None else text[:_LOOKED_AT]
        looked = {path: form.state[path] for path in _TELLING}
        with contextlib.suppress(ValidationError):  # the form says what is wrong when the graph is to be built
            looked["corpus.source"] = source or "text"
            config = config_of(GraphConfig, looked)
            assert isinstance(config, GraphConfig)
            usual, reason = once(
                "usual", [text, looked], lambda: studio.graphs.usual_edges(config.corpus, text=text)
            )  # fmt: skip
    if usual is None:
        return None
    if form.automatic is not None and sorted(form.state["edges"]) != sorted(form.automatic):
        form.automatic = None
    elif form.automatic is not None and list(usual) != form.automatic:
        form.put("edges", list(usual))
        form.automatic = list(usual)
    return str(reason) if reason else None


def _more(studio: Studio, form: Form, chosen: list[str], facts: dict[str, list[str]]) -> None:
    options: dict[str, Sequence[str]] = {**facts, "corpus.parts_of_speech": _UPOS}
    st.markdown("**Text**")
    hub = str(form.state["corpus.source"]).startswith("hub:")
    grid(form, (*_CORPUS, *(_HUB if hub else ())), options=options)
    st.markdown("**Word vectors**")
    far = str(form.state["model.source"]).startswith("hub:")
    grid(form, (*_VECTORS, *(("model.revision",) if far else ())), options=options)
    for kind in _EDGES:
        with st.container():
            if kind in chosen:
                _edge(studio, form, kind, options)
    st.markdown("**Run**")
    grid(form, _RUN)


def _edge(studio: Studio, form: Form, kind: str, options: Mapping[str, Sequence[str]]) -> None:
    """Draw the settings of one type of edges."""
    st.markdown(f"**{edge_name(kind).capitalize()}**")
    if kind == "dep":
        _trees(studio, form)
    grid(form, _EDGES[kind], options=options)
    if kind == "attn":
        st.caption("Every chosen layer from 1 on has attention edges of its own; the embeddings, layer 0, have none.")


def _trees(studio: Studio, form: Form) -> None:
    """Draw where the trees of dependency edges come from: parser or file, or a probe of the same encoder."""
    row = st.columns([1, 2], gap="medium")
    with row[0]:
        field(form, "settings.dep.source")
    if form.state["settings.dep.source"] != "probe":
        return
    ready = {
        str(run["id"]): run
        for run in studio.graphs.probes()
        if run["status"] == Status.FINISHED and _alike(run.get("plan") or {}, form)
    }
    first = form.first("probe_run")
    known = list(dict.fromkeys([*ready, *([first] if first else [])]))
    with row[1]:
        st.selectbox(
            label_of("probe_run"), known, index=known.index(first) if first else (0 if known else None),
            key=form.widget("probe_run"), accept_new_options=True, placeholder="A run's id, or a file probe.npz",
            format_func=lambda one: _probe_words(ready.get(one), one),
            help="Finished probes of this encoder, the newest first. Any other can be named by its run or file.",
        )  # fmt: skip
    if not known:
        st.caption(
            ":material/info: No probe of this encoder has finished. Train one in a graph, under its tab Quality."
        )


def _alike(plan: dict[str, Any], form: Form) -> bool:
    model = plan.get("model") or {}
    return all(model.get(name) == form.state[f"model.{name}"] for name in ("source", "revision"))


def _probe_words(run: dict[str, Any] | None, name: str) -> str:
    if run is None:
        return name
    best = run.get("best") or {}
    facts = f" · layer {best['layer']}, UUAS {number(best.get('uuas'), 3)}" if best.get("layer") is not None else ""
    return f"{run['name']}{facts}"
