"""Planner, first card: where the rows come from, what is in their columns, and whether they can be used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import streamlit as st

from core.api import Studio
from core.data.samples import sample_names
from pages.ui.components import error_box, notice
from pages.ui.format import count, plain
from pages.ui.forms import subset
from pages.ui.forms_fields import SECTIONS
from pages.ui.forms_values import words_for
from pages.ui.planner_draft import Draft, given, living, put, widget_key
from pages.ui.planner_jobs import Job, ask, forget, peek
from pages.ui.planner_sets import sets_part
from pages.ui.planner_task import (
    column_names,
    fits_kind,
    forget_columns,
    kind_of_file,
    suit_kind,
    suit_task,
    task_fields,
)
from pages.ui.planner_upload import upload_part
from pages.ui.planner_widgets import field, fields, folded, section

__all__ = ["data_part", "data_section", "language_of", "preview_question", "source_kind"]

SourceKind = Literal["sample", "upload", "path", "hub"]

_KINDS: dict[SourceKind, str] = {
    "sample": ":material/inventory_2: Bundled",
    "upload": ":material/upload_file: Upload",
    "path": ":material/folder_open: File path",
    "hub": ":material/cloud_download: Hub",
}
_LANGUAGES = {"en": "English", "zh": "Chinese"}
_FILE_TYPES = ["csv", "tsv", "json", "jsonl", "parquet", "txt", "conll", "conllu", "bio", "iob2"]
_PREVIEW_ROWS = 20
_LONGEST_CELL = 400


def data_section(draft: Draft, studio: Studio) -> Any:
    """Draw the card and return it: the check stands at its end."""
    card = section(1, "Data", "Which rows are learnt from, and what is learnt from them.", key="planner_data")
    with card:
        data_part(draft, studio)
    return card


def data_part(draft: Draft, studio: Studio) -> None:
    """Draw what the card holds: source, task, rows, and the three steps of the data."""
    with st.container():
        kind = _source(draft, studio, studio.data.samples())
    field(draft, "task.kind", on_change=suit_kind)
    with st.container():
        task_fields(draft, studio)
    with st.container():
        _preview(draft, studio, kind)
    fields(draft, SECTIONS["rows"][0])
    with st.container():
        sets_part(draft, studio)
    folded(draft, "rows", label="More about rows and files")


def source_kind(source: str, samples: Sequence[str], uploads: Path) -> SourceKind:
    """Return how a person chose a source: a sample's name, a file below the uploads folder, a path, or a hub name."""
    if source.startswith("hub:"):
        return "hub"
    if source in samples:
        return "sample"
    return "upload" if uploads in Path(source).parents else "path"


#: Settings of the task that decide how rows are read.
_SHAPING = ("task.kind", "task.multi_label", "task.no_answer", "task.tree", "task.relations", "task.gold")


def preview_question(draft: Draft) -> dict[str, Any]:
    """Return the part of the form that the preview depends on."""
    aside = ("_rows", "_share", "training", "finetuning_source", "fit_warn", "fit_refuse", "fit_labels")
    data = {key: value for key, value in subset(draft.state, "data.").items() if not key.endswith(aside)}
    return {**data, **{path: draft.state.get(path) for path in _SHAPING}}


def language_of(draft: Draft, samples: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the language of the rows: a sample's own, else ``zh`` when the previewed texts are mostly Chinese."""
    source = draft.state.get("data.source")
    for sample in samples:
        if sample["name"] == source:
            return str(sample["language"])
    job = peek("preview", preview_question(draft))
    if job is None or job.state != "done":
        return None
    text = "".join(str(value) for row in job.answer["rows"] for value in row.values())[:20_000]
    letters = [char for char in text if char.isalpha()]
    chinese = sum("\u4e00" <= char <= "\u9fff" or "\u3400" <= char <= "\u4dbf" for char in letters)
    return "zh" if letters and chinese / len(letters) > 0.3 else None


def _source(draft: Draft, studio: Studio, samples: Sequence[Mapping[str, Any]]) -> SourceKind:
    source = str(draft.state.get("data.source") or "")
    key = f"{widget_key('data.source')}_kind"
    first = given(key, source_kind(source, [sample["name"] for sample in samples], studio.home.uploads))
    kind: SourceKind = st.segmented_control(
        "Source of the rows", list(_KINDS), format_func=lambda name: _KINDS[name], required=True, key=key,
        label_visibility="collapsed", default=first,
    ) or "sample"  # fmt: skip
    if kind == "sample":
        _sample(draft, samples)
    elif kind == "upload":
        _upload(draft, studio)
    elif kind == "path":
        _typed(draft, "Path of the file", "/home/me/data/reviews.csv", prefix="", help=(
            "CSV, TSV, JSON lines, Parquet, CoNLL columns or CoNLL-U. The file stays where it is."
        ))  # fmt: skip
    else:
        _typed(draft, "Name on the hub", "imdb or owner/name", prefix="hub:", help=(
            "A data set of the Hugging Face hub. Only looking and starting ask the network."
        ))  # fmt: skip
    _missing(draft)
    return kind


def _sample(draft: Draft, samples: Sequence[Mapping[str, Any]]) -> None:
    usable = [sample for sample in samples if sample["tasks"]]
    by_name = {sample["name"]: sample for sample in usable}
    key = f"{widget_key('data.source')}_sample"
    source = draft.state.get("data.source")
    first = given(key, source if source in by_name else None)

    def chosen() -> None:
        name = st.session_state[key]
        if name in by_name:
            use_sample(draft, by_name[name], list(by_name))

    st.pills(
        "Bundled samples", list(by_name), key=key, on_change=living("data.source", "_sample", chosen), default=first,
        label_visibility="collapsed",
        format_func=lambda name: f"{plain(by_name[name]['title'])}",
    )  # fmt: skip
    sample = by_name.get(str(source))
    if sample is None:
        return
    tasks = " or ".join(words_for("task.kind", task).lower() for task in sample["tasks"])
    badges = [
        f":blue-badge[{_LANGUAGES.get(sample['language'], sample['language'])}]",
        f":violet-badge[{plain(tasks)}]",
    ]
    if sample.get("rows"):
        badges.append(f":gray-badge[{count(sample['rows'])} rows]")
    st.markdown(" ".join(badges) + f"&ensp;{plain(sample['about'])}")
    if not sample.get("available", True):
        st.warning(
            "This sample is not on this machine yet. Run `make samples` and reload the page.", icon=":material/warning:"
        )


def use_sample(draft: Draft, sample: Mapping[str, Any], names: Sequence[str]) -> None:
    """Put a sample into the draft with the settings that go with it."""
    if draft.state.get("name") in (*names, "run", ""):
        put("name", sample["name"])
    put("data.source", sample["name"])
    if draft.state.get("task.kind") not in sample["tasks"]:
        put("task.kind", sample["tasks"][0])
    suit_task(draft, sample)
    put("data.train_rows", 2000 if (sample.get("rows") or 0) > 2500 else None)
    forget_columns()
    for path in ("data.gate_source", "data.test_source", "data.subset", "data.revision", "data.finetuning_source"):
        put(path, None)
    put("data.training", "original")


def _upload(draft: Draft, studio: Studio) -> None:
    earlier = upload_part(
        draft, studio, "data.source", lambda path: _use_file(draft, path), label="File", types=_FILE_TYPES,
        label_visible=False,
        help="A table with a row a text or question (CSV, TSV, JSON lines, Parquet), words in columns (CoNLL), or "
        "questions as SQuAD writes them (JSON).",
    )  # fmt: skip
    if not earlier:
        st.caption("The file is copied into the home folder. For larger files than 20 MB give their path instead.")


def _use_file(draft: Draft, path: Path) -> None:
    put("data.source", str(path))
    if draft.state.get("name") in (*sample_names(), "run", ""):
        put("name", path.stem[:120] or "run")
    put("data.format", "auto")
    forget_columns()
    kind = kind_of_file(path)
    if kind is not None and not fits_kind(path, str(draft.state.get("task.kind"))):
        put("task.kind", kind)
        put("task.multi_label", False)
    notice(f"{path.name} is the source now.")


def _typed(draft: Draft, label: str, example: str, *, prefix: str, help: str) -> None:
    suffix = "_hub" if prefix else "_path"
    key = f"{widget_key('data.source')}{suffix}"
    source = str(draft.state.get("data.source") or "")
    fits = source.startswith("hub:") if prefix else ("/" in source or "\\" in source or "." in source)
    first = given(key, source.removeprefix(prefix) if fits else "")

    def typed() -> None:
        text = st.session_state[key].strip()
        if text:
            put("data.source", prefix + text.removeprefix(prefix) if prefix else text)

    told = living("data.source", suffix, typed)
    st.text_input(label, value=first, key=key, on_change=told, placeholder=example, help=help)


def _missing(draft: Draft) -> None:
    if draft.problems.get("data.source"):
        st.caption(f":red[:material/error: {plain(draft.problems['data.source'])}]")


def _preview(draft: Draft, studio: Studio, kind: SourceKind) -> None:
    plan = draft.nearest()
    question = preview_question(draft)
    job: Job | None = peek("preview", question)
    if job is None:
        if kind == "hub" or str(plan.data.source).startswith("hub:"):
            st.caption("Looking at the rows asks the hub for them.")
            if not st.button("Look at the rows", icon=":material/cloud_download:", key="planner_look"):
                return
        job = ask("preview", question, lambda: studio.data.preview(plan.data, plan.task, _PREVIEW_ROWS))
    if job.state == "running":
        st.skeleton(height=180)
        return
    if job.state == "failed":
        error_box(job.error, title="These rows cannot be read yet")
        st.button("Read again", icon=":material/refresh:", key="planner_look_again", on_click=forget, args=("preview",))
        _columns(draft, [], {})
        return
    answer = job.answer
    _table(answer)
    if kind != "sample":
        _columns(draft, answer["columns"], answer.get("mapping") or {})


def _table(answer: Mapping[str, Any]) -> None:
    rows = [{column: _cut(row.get(column)) for column in answer["columns"]} for row in answer["rows"]]
    which = "rows from all over" if answer.get("format") == "sample" else "first rows"
    facts = [f"{len(rows)} {which}", str(answer.get("format") or ""), str(answer.get("encoding") or "")]
    st.caption(plain(" · ".join(part for part in facts if part)))
    with st.container(key="planner_preview"):
        st.dataframe(rows, hide_index=True, height=min(38 + 35 * max(len(rows), 1), 213))
    for problem in answer.get("problems") or []:
        words = problem.get("message", "") if isinstance(problem, Mapping) else problem
        st.warning(plain(words, 400), icon=":material/warning:")


def _columns(draft: Draft, columns: Sequence[str], found: Mapping[str, Any]) -> None:
    names = column_names(draft.state)
    row = st.columns(len(names), gap="medium")
    for column, name in zip(row, names, strict=True):
        with column:
            hint = found.get(name)
            field(
                draft, f"data.columns.{name}", options=list(columns), placeholder=f"found: {hint}" if hint else "none"
            )


def _cut(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= _LONGEST_CELL else value[:_LONGEST_CELL] + "…"
    if isinstance(value, list | dict):
        return _cut(" ".join(str(item) for item in value) if isinstance(value, list) else str(value))
    return value
