"""From nothing to a graph: the demo in one click, or a person's own text with settings that fold away."""

from __future__ import annotations

import contextlib
import hashlib
import textwrap
from collections.abc import Callable
from typing import Any

import streamlit as st
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from core.api import Studio
from core.config import plan_to_yaml, problems
from core.config.graph import EDGE_TYPES, GraphConfig
from core.errors import BertloomError
from core.runs.records import Status
from pages.ui import keys
from pages.ui.components import empty_state, error_box, notice, page_header, paint_header
from pages.ui.format import bytes_text, plain
from pages.ui.graph.demo import ARTICLE_PATH, demo_config
from pages.ui.graph.looks import EDGE_LOOKS, edge_name
from pages.ui.graph.shapes import arrow_words

__all__ = ["field_help", "start_page"]

#: A demo in one of these needs no second one.
_USABLE = (Status.QUEUED, Status.STARTING, Status.RUNNING, Status.FINISHED)
_TABS = (":material/auto_awesome: Demo", ":material/edit_note: Your text", ":material/inventory_2: Sample or file")
_FILE_TYPES = ["txt", "csv", "tsv", "json", "jsonl", "parquet", "conllu"]
_UNITS = {"word": "Words", "subword": "Sub-words", "character": "Characters"}
_EXAMPLE = "Paste any text: a page of notes, an article, a chapter. One sentence is enough to begin."


def start_page(studio: Studio) -> None:
    """Draw the page that makes a graph."""
    page_header("Graph explorer", "Type two words, and see how a model and a text connect them, layer by layer.")
    paint_header()
    demo, own, other = st.tabs(_TABS, key="graph_start", on_change="rerun")
    if demo.open:
        with demo:
            _demo(studio)
    if own.open:
        with own:
            _own_text(studio)
    if other.open:
        with other:
            _sample_or_file(studio)


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
            st.switch_page(st.session_state[keys.PAGES]["explorer"], query_params={keys.GRAPH: usable["id"]})
        # Two clicks, or two tabs, are one demo.
        _build(studio, demo_config, request=f"graph-demo-{len(known)}")


# -- a person's own -------------------------------------------------------------------------------------------------
def _own_text(studio: Studio) -> None:
    with st.container(border=True, key="graph_own"):
        text = st.text_area(
            "Your text", key="graph_text", height=190, placeholder=_EXAMPLE, persist_state="session",
            help="It is kept as a file in the home folder. One sentence or paragraph a line, or running text.",
        )  # fmt: skip
        file = st.file_uploader(
            "or a file", type=_FILE_TYPES, key="graph_file",
            help="Plain text, a table with a column of texts, or CoNLL-U with trees. Up to 20 MB.",
        )  # fmt: skip
        values = _settings(studio, "own")
        # Never disabled: a text that was just pasted arrives with the click.
        pressed = st.button("Build the graph", type="primary", icon=":material/hub:", key=keys.PRIMARY)
        if pressed and not (text.strip() or file):
            st.warning("Paste a text or choose a file first.", icon=":material/edit_note:")
            return
    if pressed:

        def config() -> GraphConfig:
            if file is not None:
                path = studio.data.save_upload(file.name, file.getvalue())
            else:
                content = text.strip().encode("utf-8", "replace")
                path = studio.data.save_upload(f"text-{hashlib.sha256(content).hexdigest()[:8]}.txt", content)
            name = file.name if file is not None else textwrap.shorten(text, 44, placeholder=" …")
            return _config(values, str(path), name)

        _build(studio, config)


def _sample_or_file(studio: Studio) -> None:
    samples = {str(sample["name"]): sample for sample in studio.data.samples()}
    uploads = {str(upload["path"]): upload for upload in studio.data.uploads()}
    with st.container(border=True, key="graph_sample"):
        options = [*samples, *uploads]

        def words(source: str) -> str:
            if source in samples:
                return f"{samples[source]['title']} ({samples[source]['language']})"
            if source in uploads:
                return f"{uploads[source]['name']} · {bytes_text(uploads[source]['bytes'])}"
            return source

        source = st.selectbox(
            "Corpus", options, key="graph_source", format_func=words, accept_new_options=True,
            help=f"{field_help('corpus.source')} Type a path or hub:NAME and press Enter.",
        )  # fmt: skip
        if source in samples:
            st.caption(plain(samples[source]["about"]))
        values = _settings(studio, "sample")
        name = words(source).rpartition("/")[2] if source else ""
        row = st.container(horizontal=True, vertical_alignment="center", gap="medium")
        pressed = row.button(
            "Build the graph", type="primary", icon=":material/hub:", key=keys.PRIMARY, disabled=not source
        )
        with contextlib.suppress(ValidationError):  # what is wrong is said when the graph is to be built
            row.download_button(
                "Settings as YAML", plan_to_yaml(_config(values, source or "reviews", name)), file_name="graph.yaml",
                mime="application/yaml", icon=":material/download:", type="tertiary", key="graph_yaml",
                on_click="ignore", help="`bertloom run graph.yaml` builds exactly this graph.",
            )  # fmt: skip
    if pressed:
        _build(studio, lambda: _config(values, source, name))


def _settings(studio: Studio, part: str) -> dict[str, Any]:
    """Draw the settings and return them by dotted key of the config."""
    values: dict[str, Any] = {}

    def key(path: str) -> str:
        return f"graph_{part}_{path.replace('.', '_')}"

    row = st.columns([3, 3, 4], gap="medium")
    with row[0]:
        encoders = {str(model["source"]): model for model in studio.models.list()}
        values["model.source"] = st.selectbox(
            "Encoder", list(encoders), key=key("model.source"), accept_new_options=True,
            format_func=lambda source: str((encoders.get(source) or {}).get("title") or source)[:60],
            help=field_help("model.source"),
        )  # fmt: skip
    with row[1]:
        values["corpus.unit"] = st.segmented_control(
            "Unit", list(_UNITS), default="word", required=True, key=key("corpus.unit"), width="stretch",
            format_func=_UNITS.__getitem__, help=field_help("corpus.unit"),
        )  # fmt: skip
    with row[2]:
        values["edges"] = st.pills(
            "Edges", [kind for kind in EDGE_TYPES if kind != "gnn"], selection_mode="multi",
            default=GraphConfig().edges, key=key("edges"), format_func=edge_name,
            help=" ".join(f"{look[1].capitalize()}: {look[3]}" for kind, look in EDGE_LOOKS.items() if kind != "gnn"),
        )  # fmt: skip
    with st.expander("More settings", icon=":material/tune:", key=f"graph_more_{part}"):
        _grid(
            [
                ("corpus.max_sentences", "Sentences, at most"), ("corpus.min_count", "Smallest count of a word"),
                ("corpus.language", "Language"), ("corpus.lowercase", "Ignore case"),
                ("corpus.stop_words", "Keep stop-words"), ("vectors.mode", "Word vectors"),
                ("vectors.contexts", "Contexts a word"), ("vectors.remove_components", "Removed components"),
                ("vectors.whiten", "Whiten"),
            ],
            values, key,
        )  # fmt: skip
        rest = st.columns(3, gap="medium")
        with rest[0]:
            values["corpus.parts_of_speech"] = st.multiselect(
                "Parts of speech", list(_UPOS), key=key("corpus.parts_of_speech"), placeholder="all",
                help=field_help("corpus.parts_of_speech"),
            )  # fmt: skip
        with rest[1]:
            layers = st.text_input(
                "Layers",
                value="all",
                key=key("layers"),
                help=f"{field_help('layers')} all, or numbers such as 0, 3, 6.",
            )
            values["layers"] = _numbers(layers)
        with rest[2]:
            column = st.text_input(
                "Column with the text", key=key("corpus.columns.text"), placeholder="the usual names",
                help="For tables with several columns of text.",
            )  # fmt: skip
            values["corpus.columns.text"] = column.strip() or None
        chosen = values["edges"] or []
        for kind, fields in _EDGE_FIELDS.items():
            if kind in chosen:
                st.markdown(f"**{edge_name(kind).capitalize()}**")
                _grid([(f"settings.{kind}.{name}", label) for name, label in fields], values, key)
    return values


#: Universal parts of speech (de Marneffe et al. 2021).
_UPOS = (
    "ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN", "SCONJ", "SYM", "VERB",
    "X",
)  # fmt: skip


def _numbers(text: str) -> Any:
    """Return ``all``, or the numbers that a person typed; what is neither stays, and the config says what is wrong."""
    text = text.strip()
    parts = text.replace(",", " ").split()
    if not parts or text.lower() == "all":
        return "all"
    return [int(part) for part in parts] if all(part.isdecimal() for part in parts) else text


_EDGE_FIELDS: dict[str, tuple[tuple[str, str], ...]] = {
    "dep": (("min_count", "Smallest count of a pair"), ("punctuation", "Keep punctuation")),
    "sim": (("k", "Neighbours a word"), ("min_cosine", "Smallest cosine")),
    "cooc": (("window", "Window"), ("smoothing", "Smoothing"), ("min_count", "Smallest count of a pair ")),
    "attn": (("k", "Edges a word"), ("min_count", "Sentences of a pair, at least")),
}


def _grid(fields: list[tuple[str, str]], values: dict[str, Any], key: Callable[[str], str]) -> None:
    for start in range(0, len(fields), 3):
        row = st.columns(3, gap="medium")
        for column, (path, label) in zip(row, fields[start : start + 3], strict=False):
            with column:
                values[path] = _field(path, label, key(path))


def _field(path: str, label: str, key: str) -> Any:
    """Draw one field from the schema: its kind, range, default and help come from there."""
    info = _info(path)
    default = info.get_default(call_default_factory=True)
    bounds = {mark: getattr(item, mark) for item in info.metadata for mark in ("ge", "gt", "le", "lt")
              if getattr(item, mark, None) is not None}  # fmt: skip
    low, high = bounds.get("ge", bounds.get("gt")), bounds.get("le", bounds.get("lt"))
    shared: dict[str, Any] = {"key": key, "help": info.description}
    if isinstance(default, bool):
        st.space("small")
        return st.toggle(label, value=default, **shared)
    if isinstance(default, float):
        return st.number_input(
            label, value=default, step=0.05, format="%g", min_value=None if low is None else float(low),
            max_value=None if high is None else float(high), **shared,
        )  # fmt: skip
    if isinstance(default, int) or path == "corpus.min_count":
        return st.number_input(
            label, value=default, min_value=None if low is None else int(low), step=1,
            max_value=None if high is None else int(high), placeholder="automatic", **shared,
        )  # fmt: skip
    if path == "vectors.mode":
        return st.segmented_control(
            label, ["contexts", "vocabulary"], default=default, required=True, width="stretch", **shared
        )
    return st.text_input(label, value=default, **shared)


def _info(path: str) -> FieldInfo:
    model: type[BaseModel] = GraphConfig
    *parents, last = path.split(".")
    for part in parents:
        nested = model.model_fields[part].annotation
        assert isinstance(nested, type)
        model = nested
    return model.model_fields[last]


def field_help(path: str) -> str:
    """Return the description of a key of the config, as in the schema."""
    return _info(path).description or ""


def _config(values: dict[str, Any], source: str, name: str) -> GraphConfig:
    data: dict[str, Any] = {"name": name[:120] or "graph", "corpus": {"source": source}}
    for path, value in values.items():
        place = data
        *parents, last = path.split(".")
        for part in parents:
            place = place.setdefault(part, {})
        place[last] = value
    return GraphConfig.model_validate(data)


def _build(studio: Studio, config: Callable[[], GraphConfig], request: str | None = None) -> None:
    try:
        made = config()
        run_id = studio.graphs.build(made, request_id=request)
    except ValidationError as error:
        lines = [f"{where}: {message}" for where, message in problems(error).items()]
        error_box(" · ".join(lines), title="The graph was not started")
        return
    except BertloomError as error:
        error_box(error, title="The graph was not started")
        return
    notice(f"{made.name} is being built.")
    st.switch_page(st.session_state[keys.PAGES]["explorer"], query_params={keys.GRAPH: run_id})
