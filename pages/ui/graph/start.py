"""From nothing to a graph: the demo in one click, or a person's own text with settings that fold away."""

from __future__ import annotations

import hashlib
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st
from pydantic import ValidationError

from core.api import Studio
from core.config.graph import GraphConfig
from core.errors import BertloomError, RunNotFound
from core.runs.records import Status
from pages.ui import keys
from pages.ui.components import empty_state, error_box, notice, page_header, paint_header
from pages.ui.format import bytes_text, plain
from pages.ui.graph.demo import ARTICLE_PATH, demo_config
from pages.ui.graph.fields import field_help
from pages.ui.graph.form import Form, form, message_of
from pages.ui.graph.form_yaml import yaml_part
from pages.ui.graph.settings import settings
from pages.ui.graph.shapes import arrow_words
from pages.ui.leaving import go

__all__ = ["FORM", "LIKE", "LIKED", "start_page"]

#: Name of the form, part of the keys of its widgets.
FORM = "graph_form"
#: Parameter of the address: a graph whose settings fill the form.
LIKE = "like"
#: Session state: the graph that the form was filled from by the present address.
LIKED = "graph_like"
#: A demo in one of these needs no second one.
_USABLE = (Status.QUEUED, Status.STARTING, Status.RUNNING, Status.FINISHED)
DEMO, OWN, OTHER = _TABS = (
    ":material/auto_awesome: Demo", ":material/edit_note: Your text", ":material/inventory_2: Sample or file",
)  # fmt: skip
_TAB = "graph_start"
_FILE_TYPES = ["txt", "csv", "tsv", "json", "jsonl", "parquet", "conllu"]
_EXAMPLE = "Paste any text: a page of notes, an article, a chapter. One sentence is enough to begin."


def start_page(studio: Studio) -> None:
    """Draw the page that makes a graph."""
    actions = page_header(
        "Graph explorer", "Type two words, and see how a model and a text connect them, layer by layer."
    )
    paint_header()
    now = form(FORM, GraphConfig())
    problem = _like(studio, now)
    if problem is not None:
        error_box(problem, title="The form could not be filled from this address")
    # The YAML shows what the form holds in the end; its place is above.
    box = actions.popover("Settings file", icon=":material/description:", key="graph_yaml_box")
    if now.origin:
        st.caption(f":material/subdirectory_arrow_right: The form holds the settings of {plain(now.origin, 120)}.")
    demo, own, other = st.tabs(_TABS, key=_TAB, on_change="rerun")
    made: Callable[[], GraphConfig] | None = demo_config
    if demo.open:
        with demo:
            _demo(studio)
    if own.open:
        with own:
            made = _own_text(studio, now)
    if other.open:
        with other:
            made = _sample_or_file(studio, now)
    with box:
        yaml_part(now, made, taken=_taken)


def _like(studio: Studio, now: Form) -> BertloomError | None:
    """Fill the form with the settings of the graph that the address names, once."""
    named = st.query_params.get(LIKE)
    if not named or st.session_state.get(LIKED) == named:
        return None
    st.session_state[LIKED] = named
    try:
        config = _config_like(studio, named)
    except BertloomError as error:
        return error
    except ValidationError:
        return BertloomError("The graph does not say how it was built.", where=named[:200])
    now.load(config, origin=f"the graph {config.name}")
    _taken()
    return None


def _config_like(studio: Studio, named: str) -> GraphConfig:
    """Return the config of a run, also of one that left no graph, or of the graph in a file."""
    try:
        config = studio.runs.config(named)
    except RunNotFound:
        config = None
    if isinstance(config, GraphConfig):
        return config
    return GraphConfig.model_validate(studio.graphs.open(named).about.get("config"))


def _taken() -> None:
    """Open the form where loaded settings can be seen."""
    st.session_state[_TAB] = OTHER


def _demo(studio: Studio) -> None:
    config = demo_config()
    words = (
        f"{config.corpus.max_sentences} sentences of film reviews go through the bundled encoder; grammar, "
        "similarity and neighbourhood become one graph for each layer. Then the page asks how “the” leads to “cat”. "
        f"The article behind it expects {arrow_words(ARTICLE_PATH)}. What does this model say?"
    )
    with empty_state("How do two words connect?", words, icon=":material/hub:", key="graph_empty"):
        with st.container(horizontal=True, horizontal_alignment="center"):
            pressed = st.button("Build the demo graph", type="primary", icon=":material/play_arrow:", key=keys.PRIMARY)
        st.caption("About half a minute on two cores; nothing leaves this machine.", text_alignment="center")
    if pressed:
        known = [graph for graph in studio.graphs.list() if graph["name"] == config.name]
        usable = next((graph for graph in known if graph["status"] in _USABLE), None)
        if usable:
            go("explorer", {keys.GRAPH: usable["id"]})
        # Two clicks, or two tabs, are one demo.
        _build(studio, demo_config, request=f"graph-demo-{len(known)}")


# -- a person's own -------------------------------------------------------------------------------------------------
def _own_text(studio: Studio, now: Form) -> Callable[[], GraphConfig] | None:
    with st.container(border=True, key="graph_own"):
        text = st.text_area(
            "Your text", key="graph_text", height=190, placeholder=_EXAMPLE, persist_state="session",
            help="It is kept as a file in the home folder. One sentence or paragraph a line, or running text.",
        ).strip()  # fmt: skip
        file = st.file_uploader(
            "or a file", type=_FILE_TYPES, key="graph_file",
            help="Plain text, a table with a column of texts, or CoNLL-U with trees. Up to 20 MB.",
        )  # fmt: skip
        path = _kept(studio, file) if file is not None else None
        if file is not None and path is None:
            return None
        settings(studio, now, source=path, text=None if path else text or None)
        now.sync()
        # Never disabled: a text that was just pasted arrives with the click.
        pressed = st.button("Build the graph", type="primary", icon=":material/hub:", key=keys.PRIMARY)
        if not (text or path):
            if pressed:
                st.warning("Paste a text or choose a file first.", icon=":material/edit_note:")
            return None

    def config() -> GraphConfig:
        if file is not None:
            return _config(now, str(path), file.name)
        content = text.encode("utf-8", "replace")
        kept = studio.data.save_upload(f"text-{hashlib.sha256(content).hexdigest()[:8]}.txt", content)
        return _config(now, str(kept), textwrap.shorten(text, 44, placeholder=" …"))

    if pressed:
        _build(studio, config)
    # A text is a file only when a graph is built of it.
    return config if file is not None else None


def _kept(studio: Studio, file: Any) -> str | None:
    """Keep an uploaded file, once."""
    done: tuple[str, str] | None = st.session_state.get("graph_kept")
    if done is not None and done[0] == file.file_id and Path(done[1]).is_file():
        return done[1]
    try:
        path = str(studio.data.save_upload(file.name, file.getvalue()))
    except BertloomError as error:
        error_box(error, title="The file was not taken")
        return None
    st.session_state["graph_kept"] = (file.file_id, path)
    return path


def _sample_or_file(studio: Studio, now: Form) -> Callable[[], GraphConfig] | None:
    samples = {str(sample["name"]): sample for sample in studio.data.samples() if not sample.get("derived")}
    uploads = {str(upload["path"]): upload for upload in studio.data.uploads()}

    def words(source: str) -> str:
        if source in samples:
            return f"{samples[source]['title']} ({samples[source]['language']})"
        if source in uploads:
            return f"{uploads[source]['name']} · {bytes_text(uploads[source]['bytes'])}"
        return source

    with st.container(border=True, key="graph_sample"):
        first = now.first("corpus.source")
        options = list(dict.fromkeys([*samples, *uploads, first]))
        source: str | None = st.selectbox(
            "Corpus", options, key=now.widget("corpus.source"), index=options.index(first), format_func=words,
            accept_new_options=True,
            help=f"{field_help(GraphConfig, 'corpus.source')} Type a path or hub:NAME and press Enter.",
        )  # fmt: skip
        now.sync()
        if source in samples:
            st.caption(plain(samples[source]["about"]))
        elif source and source not in uploads and not source.startswith("hub:"):
            _nowhere(now, source, {option: words(option) for option in (*samples, *uploads)})
        settings(studio, now, source=source)
        now.sync()
        pressed = st.button(
            "Build the graph", type="primary", icon=":material/hub:", key=keys.PRIMARY, disabled=not source
        )
    if not source:
        return None

    def config() -> GraphConfig:
        return _config(now, source, words(source).rpartition("/")[2])

    if pressed:
        _build(studio, config)
    return config


def _nowhere(now: Form, source: str, names: dict[str, str]) -> None:
    """Say at once that what was typed is no file, and offer what it may have meant."""
    try:
        there = Path(source).expanduser().is_file()
    except (OSError, RuntimeError, ValueError):
        there = False
    if there:
        return
    st.warning(f"**{plain(source, 80)}** is neither a sample nor a file on this machine.", icon=":material/search_off:")
    parts = source.lower().split()
    hits = {option: sum(part in f"{option} {name}".lower() for part in parts) for option, name in names.items()}
    meant = sorted((option for option, number in hits.items() if number), key=lambda option: -hits[option])[:4]
    if meant:
        row = st.container(horizontal=True, vertical_alignment="center", gap="small", key="graph_meant")
        row.caption("Was it this?", width="content")
        for place, option in enumerate(meant):
            row.button(
                plain(names[option], 50), key=f"graph_meant_{place}", on_click=now.put, args=("corpus.source", option)
            )


def _config(now: Form, source: str, name: str) -> GraphConfig:
    """Return the form's config; without a name of its own it is called after the corpus."""
    usual = GraphConfig().name
    given = now.state["name"]
    found: GraphConfig = now.config(corpus__source=source, name=given if given != usual else name[:120] or usual)
    return found


def _build(studio: Studio, config: Callable[[], GraphConfig], request: str | None = None) -> None:
    try:
        made = config()
        run_id = studio.graphs.build(made, request_id=request)
    except ValidationError as error:
        error_box(message_of(error), title="The graph was not started")
        return
    except BertloomError as error:
        error_box(error, title="The graph was not started")
        return
    notice(f"{made.name} is being built.")
    go("explorer", {keys.GRAPH: run_id})
