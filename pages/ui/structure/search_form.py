"""The form of a structure search: presets, budget, texts, and everything else folded away."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from core.api import Studio
from core.config import plan_to_yaml
from core.config.reference import config_keys
from core.config.structure import StructureConfig
from core.errors import BertloomError, ConfigError
from pages.ui import keys
from pages.ui.components import error_box, notice
from pages.ui.format import percent, plain
from pages.ui.structure.place import Place
from pages.ui.structure.search_values import (
    SIZES,
    State,
    config_of_yaml,
    from_statistics,
    from_widget,
    read,
    sized,
    state_of,
    to_widget,
    with_finetune,
)

__all__ = ["UNSHOWN", "SearchForm", "search_form", "start_form"]

_SLOT = "structure_search_form"
_PROBLEM = "structure_search_problem"
_MOST_BYTES = 1_000_000
#: Keys without a field: what is always the same, and what a search of shapes does not read. YAML keeps them.
UNSHOWN = {
    "version", "kind", "tags", "model.dropout", "model.revision", "corpus.subset",
    "corpus.revision", "corpus.split", "corpus.encoding", "corpus.columns.text", "corpus.columns.text_pair",
    "corpus.columns.label", "corpus.columns.tokens", "corpus.columns.tags",
    "corpus.columns.question", "corpus.columns.context", "corpus.columns.answers", "corpus.columns.start",
    "corpus.columns.heads", "corpus.columns.relations",
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
_MORE: dict[str, tuple[str, ...]] = {
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


@dataclass
class SearchForm:
    """What the form keeps in the session.

    Parameters
    ----------
    state
        Dotted key → value.
    origin
        What it was filled from.
    """

    state: State
    origin: str = ""
    generation: int = 0
    request: str = field(default_factory=lambda: uuid.uuid4().hex)
    problems: dict[str, str] = field(default_factory=dict)
    given: dict[str, Any] = field(default_factory=dict)
    config: StructureConfig | None = None
    #: Measurement, thresholds and budget that were taken over last.
    followed: list[Any] | None = None

    def key(self, path: str) -> str:
        """Return the key of a field's widget. Tests and the browser find it by this name."""
        return f"search{self.generation}_{path.replace('.', '_')}"

    def first(self, path: str) -> Any:
        """Return what a field's widget starts with, the same with every run."""
        key = self.key(path)
        if key not in self.given or key not in st.session_state:
            self.given[key] = to_widget(path, self.state[path])
        return self.given[key]

    def load(self, state: State, origin: str = "") -> None:
        """Take over other values; the fields get new widgets."""
        self.state, self.origin = state, origin
        self.generation += 1
        self.given, self.request = {}, uuid.uuid4().hex
        self.config, self.problems = read(state)


def search_form(parent: str = "bundled", budget: int = 50) -> SearchForm:
    """Return the session's form with its widgets read back; the first time it is a quick search."""
    now: SearchForm | None = st.session_state.get(_SLOT)
    if now is None:
        share = min(1.0, budget / 100)
        now = st.session_state[_SLOT] = SearchForm(
            {**state_of(StructureConfig.quick()), "model.source": parent, "budget.share": share}
        )
    for path in now.state:
        key = now.key(path)
        if path not in ("finetune",) and key in st.session_state:
            now.state[path] = from_widget(path, st.session_state[key])
    _read_finetune(now)
    now.config, now.problems = read(now.state)
    return now


def start_form(studio: Studio, place: Place, *, parent: str, statistics: Mapping[str, Any] | None) -> None:
    """Draw the form.

    Parameters
    ----------
    studio
        The facade.
    place
        Where the person is on the page.
    parent
        The parent that the page is about.
    statistics
        What was measured of it, if it was: its texts and settings are taken over with one click.
    """
    now = search_form(parent, place.asked.budget)
    _follow(studio, place, now, statistics)
    _bar(studio, now, statistics)
    problem = st.session_state.pop(_PROBLEM, None)
    with st.container():  # the columns below keep their place whether or not something stands here
        if problem is not None:
            error_box(problem, title="The form stays as it was")
    left, right = st.columns([3, 2], gap="large")
    with left, st.container(border=True, gap="small", key="search_form"):
        _main(studio, now)
        _finetune(studio, now)
        with st.expander("More settings", icon=":material/tune:", key="search_more", expanded=_folded_problem(now)):
            for title, paths in _MORE.items():
                st.markdown(f"**{title}**")
                _grid(now, [path for path in paths if _relevant(path, now)])
    with right:
        _outlook(studio, place, now)


def _follow(studio: Studio, place: Place, now: SearchForm, statistics: Mapping[str, Any] | None) -> None:
    """Take over the open measurement, its thresholds and the budget, as often as these are others than before."""
    if not statistics:
        return
    mark = [statistics["run"], statistics["thresholds"], place.asked.budget]
    if now.followed == mark:
        return
    now.followed = mark
    _as_measured(studio, str(statistics["run"]), statistics, min(1.0, place.asked.budget / 100))


def _bar(studio: Studio, now: SearchForm, statistics: Mapping[str, Any] | None) -> None:
    row = st.container(horizontal=True, gap="small", vertical_alignment="center", key="search_bar")
    for size, words in (("quick", "Quick"), ("thorough", "Thorough")):
        made = SIZES[size]()
        row.button(
            words, key=f"search_size_{size}", icon=":material/bolt:" if size == "quick" else ":material/hourglass_top:",
            on_click=_resize, args=(size,),
            help=f"{made.candidates} candidates; {made.halving.enter} of them are trained in rungs of "
            f"{', '.join(map(str, made.halving.rungs))} steps.",
        )  # fmt: skip
    run = str((statistics or {}).get("run") or "")
    if run:
        row.button(
            "As measured", icon=":material/straighten:", key="search_as_measured", on_click=_as_measured,
            args=(studio, run, statistics),
            help="Parent, texts and thresholds of the open measurement: nothing is measured again.",
        )  # fmt: skip
    with row.popover("Settings file", icon=":material/description:", key="search_file_box"):
        st.file_uploader(
            "Fill the form from a YAML file", type=["yaml", "yml"], key="search_file", on_change=_take_file
        )
        if now.config is not None:
            st.download_button(
                "Settings as YAML", plan_to_yaml(now.config), file_name="search.yaml", mime="application/yaml",
                icon=":material/download:", key="search_yaml", on_click="ignore",
                help="`bertloom search run search.yaml` runs exactly this search.",
            )  # fmt: skip
    if now.origin:
        row.caption(f":material/subdirectory_arrow_right: from {plain(now.origin, 80)}", width="stretch")


def _main(studio: Studio, now: SearchForm) -> None:
    row = st.columns(2, gap="medium")
    with row[0]:
        encoders = {str(one["source"]): str(one.get("title") or one["source"]) for one in studio.models.list()}
        _choose(now, "model.source", "Parent", encoders)
    with row[1]:
        _choose(now, "corpus.source", "Texts", _texts(studio))
    _grid(now, ["budget.share", "budget.parameters", "budget.latency_ms"])
    row = st.columns(2, gap="medium")
    with row[0]:
        _field(now, "name")
    with row[1]:
        st.space("small")
        _field(now, "random")
    _message(now, "")


def _texts(studio: Studio) -> dict[str, str]:
    known = [one for one in studio.data.samples() if not one.get("derived")]
    samples = {str(one["name"]): f"{one['title']} ({one['language']})" for one in known}
    return {**samples, **{str(one["path"]): str(one["name"]) for one in studio.data.uploads()}}


def _choose(now: SearchForm, path: str, label: str, words: Mapping[str, str]) -> None:
    first = now.first(path)
    options = list(dict.fromkeys([*words, first]))
    st.selectbox(
        label, options, index=options.index(first), key=now.key(path), accept_new_options=True,
        format_func=lambda one: words.get(one, one)[:70], help=config_keys(StructureConfig)[path].description,
    )  # fmt: skip
    _message(now, path)


# -- fine-tuning -------------------------------------------------------------------------------------------------------
def _finetune(studio: Studio, now: SearchForm) -> None:
    on = now.state["finetune"] is not None
    st.toggle(
        "Fine-tune those that are left", value=on, key=now.key("finetune_on"), on_change=_switch_finetune,
        help="On labelled rows: the front then weighs their scores too.",
    )  # fmt: skip
    if not on:
        return
    part = now.state["finetune"]
    labelled = {
        str(one["name"]): str(one["title"]) for one in studio.data.samples() if "classification" in one["tasks"]
    }
    uploads = {str(one["path"]): str(one["name"]) for one in studio.data.uploads()}
    words = {**labelled, **uploads}
    source: str = part["data"]["source"]
    row = st.columns([2, 1, 1], gap="medium")
    options = list(dict.fromkeys([*words, source]))
    row[0].selectbox(
        "Labelled rows", options, index=options.index(source), key=now.key("finetune_source"), accept_new_options=True,
        format_func=lambda one: str(words.get(one, one))[:60],
    )  # fmt: skip
    row[1].number_input("Steps", value=part["steps"], step=10, key=now.key("finetune_steps"))
    row[2].number_input("Rows to train on", value=part["data"]["train_rows"], step=100, key=now.key("finetune_rows"))
    _message(now, "finetune")


def _read_finetune(now: SearchForm) -> None:
    part = now.state["finetune"]
    if part is None:
        return
    for name, place, field_ in (
        ("finetune_source", part["data"], "source"),
        ("finetune_steps", part, "steps"),
        ("finetune_rows", part["data"], "train_rows"),
    ):
        key = now.key(name)
        if key in st.session_state:
            place[field_] = st.session_state[key]


def _switch_finetune() -> None:
    now = search_form()
    on = bool(st.session_state[now.key("finetune_on")])
    now.load(with_finetune(now.state, on), now.origin)


# -- fields ------------------------------------------------------------------------------------------------------------
def _relevant(path: str, now: SearchForm) -> bool:
    if path == "readout":
        return bool(now.state["mode"] == "bus")
    if path in ("prior_share", "deviation", "sampler"):
        return not now.state["random"] and (path == "sampler" or now.state["sampler"] == "prior")
    return True


def _folded_problem(now: SearchForm) -> bool:
    return any(path in now.problems for paths in _MORE.values() for path in paths)


def _grid(now: SearchForm, paths: Sequence[str], columns: int = 3) -> None:
    for start in range(0, len(paths), columns):
        for column, path in zip(st.columns(columns, gap="medium"), paths[start : start + columns], strict=False):
            with column:
                _field(now, path)


def _field(now: SearchForm, path: str) -> None:
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
    _message(now, path)


def _message(now: SearchForm, path: str) -> None:
    if path in now.problems:
        st.caption(f":red[:material/error: {plain(now.problems[path], 300)}]")


# -- what it will do, and Start ----------------------------------------------------------------------------------------
def _outlook(studio: Studio, place: Place, now: SearchForm) -> None:
    with st.container(border=True, gap="small", key="search_outlook"):
        st.markdown("**What it will do**")
        refused: BertloomError | None = None
        config = now.config
        if config is not None:
            refused = _said(studio, config)
            if refused is not None:
                error_box(refused, title="This search cannot be made")
        else:
            st.caption("The fields with a message need mending first.")
        st.button(
            "Start the search", type="primary", icon=":material/play_arrow:", key=keys.PRIMARY, width="stretch",
            disabled=config is None or refused is not None, on_click=_submit, args=(studio, place),
        )  # fmt: skip
        st.caption(
            "It runs in the background, can be paused and resumed, and keeps what it has found. Whatever it finds is "
            "one search with one seed."
        )


def _said(studio: Studio, config: StructureConfig) -> BertloomError | None:
    """Tell the steps of a search in words; returns why it cannot be made."""
    far = config.model.source.startswith("hub:")
    lines = []
    try:
        if not far:
            told = studio.structures.check(config)
            budget = told["budget"]
            lines.append(f"Budget: **{budget['parameters']:,}** parameters between embeddings and pooler, within 3 %.")
    except BertloomError as error:
        return error
    prior, even = config.shares
    if config.sampler == "tpe":
        drawn = "widths proposed by TPE"
    elif config.random:
        drawn = "all drawn evenly"
    else:
        drawn = f"{percent(prior, 0)} from the statistics' prior, {percent(even, 0)} drawn evenly"
    lines.append("Statistics of the parent (or those that were measured before) say how many layers and how wide.")
    lines.append(f"**{config.candidates}** candidates ({drawn}) inherit weights and are ranked.")
    rungs = ", ".join(map(str, config.halving.rungs))
    lines.append(f"The best **{config.halving.enter}**, and an even shape of each depth, are distilled in rungs of "
                 f"{rungs} steps; {percent(config.halving.keep, 0)} go on each time.")  # fmt: skip
    if config.finetune is not None:
        lines.append(f"Those that are left are fine-tuned for {config.finetune.steps} steps.")
    lines.append(f"The front weighs {', '.join(config.objectives)}.")
    st.markdown("\n".join(f"1. {line}" for line in lines))
    return None


def _submit(studio: Studio, place: Place) -> None:
    now = search_form()
    if now.config is None:
        return
    try:
        run_id = studio.structures.submit(now.config, request_id=now.request)
    except BertloomError as error:
        st.session_state[_PROBLEM] = error
        return
    notice(f"{now.config.name} is in the queue.")
    now.request = uuid.uuid4().hex
    place.go(search=run_id, tab="search")


def _resize(size: str) -> None:
    now = search_form()
    usual = {made().name for made in SIZES.values()}
    state = sized(now.state, size)
    if state["name"] in usual:
        state["name"] = SIZES[size]().name
    now.load(state, now.origin)


def _as_measured(studio: Studio, run_id: str, statistics: Mapping[str, Any], share: float | None = None) -> None:
    now = search_form()
    try:
        record = studio.runs.get(run_id)
    except BertloomError as error:
        st.session_state[_PROBLEM] = error
        return
    state = from_statistics(now.state, record.plan, statistics)
    if share is not None:
        state |= {"budget.share": share, "budget.parameters": None}
    now.load(state, f"the measurement {record.name}")


def _take_file() -> None:
    file = st.session_state.get("search_file")
    if file is None:
        return
    try:
        if file.size > _MOST_BYTES:
            raise ConfigError("The file is larger than 1 MB.", where=file.name, expected="a YAML file of a few kB")
        try:
            text = file.getvalue().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ConfigError("The file is not UTF-8 text.", where=file.name, expected="a YAML file") from error
        search_form().load(state_of(config_of_yaml(text, file.name)), file.name)
    except BertloomError as error:
        st.session_state[_PROBLEM] = error
