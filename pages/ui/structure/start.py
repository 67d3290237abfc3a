"""From nothing to a measurement: the demo in one click, or a parent and a text of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st
from pydantic import ValidationError

from core.api import Studio
from core.config.statistics import StatisticsConfig
from core.errors import BertloomError
from core.runs.records import Status
from pages.ui import keys
from pages.ui.components import empty_state, error_box, notice
from pages.ui.format import bytes_text, count, plain
from pages.ui.graph.fields import field, field_help, grid
from pages.ui.graph.form import Form, form, message_of
from pages.ui.structure.measurements import earlier, parent_words
from pages.ui.structure.place import LIKE, Place, find_measurement, measurements

__all__ = ["FIELDS", "FORM", "demo_config", "start"]

#: Name of the form, part of the keys of its widgets.
FORM = "structure_form"
#: Session state: the measurement that the form was filled from by the present address.
_LIKED = "structure_like"
_USABLE = (Status.QUEUED, Status.STARTING, Status.RUNNING, Status.FINISHED)
_FILE_TYPES = ["txt", "csv", "tsv", "json", "jsonl", "parquet", "conllu"]
#: The form's fields beside parent and corpus, by heading.
FIELDS: dict[str, tuple[str, ...]] = {
    "Text": (
        "corpus.max_sentences", "corpus.min_count", "corpus.language", "corpus.columns.text", "corpus.columns.tokens",
        "corpus.encoding", "corpus.seed",
    ),
    "Measuring": (
        "words", "neighbours", "contexts", "remove_components", "draws", "rank", "probe", "model.max_length",
    ),
    "Run": ("name", "runtime.seed", "runtime.device", "runtime.threads", "runtime.backend"),
}  # fmt: skip
_HUB = ("corpus.subset", "corpus.split", "corpus.revision")


def demo_config() -> StatisticsConfig:
    """Return the demo: the bundled encoder on bundled film reviews, fewer words and sentences than usual."""
    return StatisticsConfig.model_validate(
        {
            "name": "demo: layers of the bundled encoder", "tags": ["demo"], "words": 1000, "draws": 50,
            "corpus": {"source": "reviews", "max_sentences": 800},
        }
    )  # fmt: skip


def start(studio: Studio, now: Place) -> None:
    """Draw the form of a new measurement, with the demo beside it while nothing was measured yet."""
    runs = measurements(studio)
    mine = form(FORM, StatisticsConfig())
    problem = _like(studio, mine)
    if problem is not None:
        error_box(problem, title="The form could not be filled from this address")
    demo = next((run for run in runs if "demo" in run.tags and run.status in _USABLE), None)
    left, right = st.columns(2, gap="medium")
    with left:
        _demo(studio, now, demo.id if demo else None, len(runs))
    with right, st.container(border=True, gap="small", key="structure_own"):
        st.markdown("**Your parent and your text**")
        _own(studio, now, mine)
    earlier(studio, now, runs=runs)


def _demo(studio: Studio, now: Place, there: str | None, number: int) -> None:
    config = demo_config()
    words = (
        f"{count(config.corpus.max_sentences)} sentences of film reviews go through the bundled encoder. Every layer "
        "is asked: how much does it change, does it hold the trees of sentences, and from how few directions can its "
        "graph of words be rebuilt?"
    )
    with empty_state("What does each layer hold?", words, icon=":material/straighten:", key="structure_demo"):
        with st.container(horizontal=True, horizontal_alignment="center"):
            pressed = st.button(
                "Open the demo" if there else "Measure the demo", type="primary", icon=":material/play_arrow:",
                key=keys.PRIMARY,
            )  # fmt: skip
        st.caption(
            "Fewer words and sentences than usual, so it is quick; nothing leaves this machine.",
            text_alignment="center",
        )
    if pressed:
        if there:
            now.go(stats=there)
            st.rerun()
        # Two clicks, or two tabs, are one demo.
        _measure(studio, now, config, request=f"structure-demo-{number}")


def _own(studio: Studio, now: Place, mine: Form) -> None:
    encoders = {str(model["source"]): model for model in studio.models.list()}
    samples = {str(sample["name"]): sample for sample in studio.data.samples() if not sample.get("derived")}
    uploads = {str(upload["path"]): upload for upload in studio.data.uploads()}

    def corpus_words(source: str) -> str:
        if source in samples:
            return f"{samples[source]['title']} ({samples[source]['language']})"
        if source in uploads:
            return f"{uploads[source]['name']} · {bytes_text(uploads[source]['bytes'])}"
        return source

    _choice(mine, "model.source", "Parent", list(encoders),
            lambda source: str((encoders.get(source) or {}).get("title") or source)[:70])  # fmt: skip
    _choice(mine, "corpus.source", "Text", [*samples, *uploads], corpus_words)
    mine.sync()
    with st.popover("Upload a text", icon=":material/upload_file:", key="structure_upload"):
        file = st.file_uploader(
            "A file with sentences", type=_FILE_TYPES, key="structure_file",
            help="Plain text, a table with a column of texts, or CoNLL-U with trees. Up to 20 MB.",
        )  # fmt: skip
        if file is not None and st.session_state.get("structure_kept") != file.file_id:
            try:
                mine.put("corpus.source", str(studio.data.save_upload(file.name, file.getvalue())))
            except BertloomError as error:
                error_box(error, title="The file was not taken")
            else:
                st.session_state["structure_kept"] = file.file_id
                mine.generation += 1
                st.rerun()
    with st.expander("More settings", icon=":material/tune:", key="structure_more"):
        for title, paths in FIELDS.items():
            st.markdown(f"**{title}**")
            hub = title == "Text" and str(mine.state["corpus.source"]).startswith("hub:")
            grid(mine, (*paths, *(_HUB if hub else ())), columns=2)
        if str(mine.state["model.source"]).startswith("hub:"):
            field(mine, "model.revision")
    mine.sync()
    if not mine.state["probe"]:
        st.caption(
            ":material/info: Without probes nothing is said about syntax; novelty alone chooses representatives."
        )
    pressed = st.button("Measure the layers", icon=":material/straighten:", key="structure_measure")
    st.caption("It starts at once, beside a training, and goes on when you leave the page.")
    if not pressed:
        return
    try:
        config: StatisticsConfig = mine.config(name=_name(mine))
    except ValidationError as error:
        error_box(message_of(error), title="The measurement was not started")
        return
    _measure(studio, now, config)


def _choice(mine: Form, path: str, label: str, known: list[str], words: Any) -> None:
    first = mine.first(path)
    options = list(dict.fromkeys([*known, first]))
    st.selectbox(
        label, options, index=options.index(first), key=mine.widget(path), format_func=words, accept_new_options=True,
        help=f"{field_help(StatisticsConfig, path)} Type a path or hub:NAME and press Enter.",
    )  # fmt: skip


def _name(mine: Form) -> str:
    usual, given = StatisticsConfig().name, str(mine.state["name"])
    if given and given != usual:
        return given
    parent, text = (parent_words(str(mine.state[f"{part}.source"])) for part in ("model", "corpus"))
    return f"{parent} on {Path(text).name}"[:120]


def _measure(studio: Studio, now: Place, config: StatisticsConfig, request: str | None = None) -> None:
    try:
        run_id = studio.runs.submit(config, kind="stats", now=True, request_id=request)
    except BertloomError as error:
        error_box(error, title="The measurement was not started")
        return
    notice(f"{config.name}: the layers are being measured.")
    now.go(stats=run_id, rho=None, overlap=None, share=None, depth=None)
    st.rerun()


def _like(studio: Studio, mine: Form) -> BertloomError | None:
    """Fill the form with the settings of the measurement that the address names, once."""
    named = st.query_params.get(LIKE)
    if not named or st.session_state.get(_LIKED) == named:
        return None
    st.session_state[_LIKED] = named
    run = find_measurement(studio, named)
    if run is None:
        return BertloomError("There is no measurement of this address.", where=plain(named, 60))
    try:
        config = StatisticsConfig.model_validate(run.plan)
    except ValidationError:
        return BertloomError("The measurement does not say how it was made.", where=plain(named, 60))
    mine.load(config, origin=f"the measurement {config.name}")
    return None
