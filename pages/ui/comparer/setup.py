"""The form of a comparison: strategies, tasks, seeds, budget and margin, the time it takes, and its start.

What comes and goes is drawn in a container that is always there: a browser builds fields anew when one more thing comes
in above them, and what a person was typing is gone.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from core.api import Studio
from core.config import Comparison
from core.config.comparison_file import comparison_yaml, preset, presets
from core.config.files import validated
from core.errors import BertloomError
from pages.ui import keys
from pages.ui.comparer.words import BUDGETS, STRATEGIES, TASKS
from pages.ui.components import error_box, notice, run_url
from pages.ui.format import count, duration, plain
from pages.ui.leaving import go
from pages.ui.planner_jobs import ask, peek

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

__all__ = ["JOB", "setup"]

JOB = "comparer_time"
_PLANNER = "planner"
#: Rows that keep a comparison within minutes on two cores.
_GATE, _TEST = 300, 1000


def setup(studio: Studio) -> None:
    """Draw the form."""
    with st.container(border=True, gap="medium", key="comparer_setup"):
        strategies = st.multiselect(
            "Strategies", list(presets()), default=["single", "single-frozen"], key="comparer_strategies",
            format_func=lambda name: STRATEGIES.get(name, name),
            help="What is compared, two by two. Others can be written into a file for `bertloom compare run`.",
        )  # fmt: skip
        tasks = _tasks(studio)
        ready = [preset(name) for name in strategies]
        if len(tasks) > 1 and any(one.sharing == "joint" for one in ready):
            for one in tasks:  # one task may be judged on texts that another one trains on: those are dropped
                one["data"]["drop_duplicates"] = True
        budget, numbers = _numbers()
        with st.container():
            model = _model()
        fields = {
            "name": " or ".join(strategies)[:120] or "comparison",
            "strategies": [one.model_dump(mode="json") for one in ready], "tasks": tasks, **numbers,
            "budget": budget, "model": model,
        }  # fmt: skip
        if len(strategies) < 2 or not tasks:
            st.info("Choose two strategies and a task at least.", icon=":material/info:")
            return
        try:
            config = validated(Comparison, fields, where="comparison")
        except BertloomError as error:
            error_box(error)
            return
        _start(studio, config)


def _tasks(studio: Studio) -> list[dict[str, Any]]:
    samples = {one["name"]: one for one in studio.data.samples() if one["tasks"] and one["available"]}
    uploads = {one["path"]: one["name"] for one in studio.data.uploads()}
    words = {name: f"{one['title']} ({TASKS.get(one['tasks'][0], one['tasks'][0])})" for name, one in samples.items()}
    words |= {path: f"Upload: {name}" for path, name in uploads.items()}
    row = st.container(horizontal=True, gap="medium", vertical_alignment="bottom")
    default = ["reviews"] if "reviews" in samples else list(words)[:1]
    chosen = row.multiselect(
        "Tasks", list(words), default=default, key="comparer_tasks", format_func=lambda name: words[name][:70],
        help="Bundled samples and uploaded files. Every strategy learns each of them; the rows are the same for all.",
    )  # fmt: skip
    rows = row.number_input("Training rows", 20, 100_000, 1000, 100, key="comparer_rows", width=140,
                            help="Of each task, at most.")  # fmt: skip
    found = []
    kinds = st.container()
    for source in chosen:
        kind = samples[source]["tasks"][0] if source in samples else _kind(kinds, source, uploads[source])
        settings = samples[source].get("settings") or {} if source in samples else {}
        name = source if source in samples else Path(uploads[source]).stem
        found.append(
            {
                "name": name.replace("/", " ").strip()[:40], "task": {"kind": kind, **settings},
                "data": {
                    "source": source, "train_rows": int(rows), "gate_rows": _GATE, "test_rows": _TEST,
                    "gate_share": 0.15, "test_share": 0.25,
                },
            }
        )  # fmt: skip
    return found


def _kind(place: DeltaGenerator, source: str, name: str) -> str:
    return place.selectbox(
        f"What is learnt on {plain(name, 60)}", list(TASKS), format_func=lambda kind: TASKS[kind],
        key=f"comparer_kind_{source}", width=320,
    )  # fmt: skip


def _numbers() -> tuple[dict[str, Any], dict[str, Any]]:
    row = st.container(horizontal=True, gap="medium", vertical_alignment="bottom")
    seeds = row.number_input("Seeds", 1, 50, 5, key="comparer_seeds", width=110,
                             help="Every strategy is trained once a seed; 5 are the least for a verdict.")  # fmt: skip
    rule = row.segmented_control(
        "The same for all", list(BUDGETS), format_func=lambda name: BUDGETS[name], default="steps", required=True,
        key="comparer_rule",
        help="Equal steps favour nobody in time; equal examples favour nobody in data. They differ where strategies "
        "have other batches, or share steps between tasks.",
    ) or "steps"  # fmt: skip
    amounts = row.container(width="content")
    if rule == "steps":
        amount = amounts.number_input("Steps a task", 2, 100_000, 300, 50, key="comparer_steps", width=150)
    else:
        amount = amounts.number_input("Examples a task", 32, 10_000_000, 9600, 320, key="comparer_examples", width=170)
    margin = row.number_input(
        "Margin in points", 0.1, 50.0, 1.0, 0.5, key="comparer_margin", width=150,
        help="Differences of the score below it do not matter. Choose it before you look.",
    )  # fmt: skip
    with st.container():
        if seeds < 5:
            st.caption(":material/info: With fewer than 5 seeds there is no verdict, only a first look.")
    return {"rule": rule, rule: int(amount)}, {"seeds": int(seeds), "margin": round(margin / 100, 6)}


def _model() -> dict[str, Any]:
    """Return the encoder: the bundled one, or as it stands in the stage planner."""
    from pages.ui.planner_draft import draft

    now = draft().nearest().model
    if now.source == "bundled" and now.max_length == 128:
        return {"source": "bundled"}
    words = {"bundled": "The bundled one", _PLANNER: f"As in the stage planner: {Path(now.source).name}"}
    chosen = st.segmented_control(
        "Encoder", list(words), format_func=lambda name: plain(words[name], 60), default="bundled", required=True,
        key="comparer_model",
    )  # fmt: skip
    return now.model_dump(mode="json") if chosen == _PLANNER else {"source": "bundled"}


def _start(studio: Studio, config: Comparison) -> None:
    runs = studio.comparisons.count(config)
    question = config.model_dump(mode="json")
    job = peek(JOB, question)
    st.caption(plain(_told(runs, job)))
    row = st.container(horizontal=True, gap="small", vertical_alignment="center")
    if row.button(
        "Compare", icon=":material/play_arrow:", type="primary", key=keys.PRIMARY,
        help=f"Trains {runs} runs one after the other and opens their page.",
    ):  # fmt: skip
        _submit(studio, config)
    if row.button(
        "How long?", icon=":material/timer:", key="comparer_time", disabled=job is not None,
        help="Tries a few steps of each strategy on each task, without training.",
    ):  # fmt: skip
        ask(JOB, question, lambda: studio.comparisons.estimate(config))
        st.rerun()
    row.download_button(
        "As a file", comparison_yaml(config), "comparison.yaml", "application/yaml", icon=":material/download:",
        type="tertiary", key="comparer_yaml", on_click="ignore", help="For `bertloom compare run comparison.yaml`.",
    )  # fmt: skip


def _told(runs: int, job: Any) -> str:
    said = f"{count(runs)} runs."
    if job is None:
        return said
    if job.state == "running":
        return f"{said} Trying a few steps …"
    if job.state == "failed":
        return f"{said} How long they take cannot be said: {job.error.what}"
    found: Mapping[str, Any] = job.answer
    low, high = (duration(found[key]) for key in ("seconds_low", "seconds_high"))
    return f"{said} They take {low} to {high} here, and {count(found['memory_mb'])} MB of memory."


def _submit(studio: Studio, config: Comparison) -> None:
    # Two clicks are one run: the id is used up by the first one that succeeds.
    request = st.session_state.setdefault("comparer_request", uuid.uuid4().hex)
    try:
        run_id = studio.comparisons.submit(config, request_id=request)
    except BertloomError as error:
        error_box(error, title="The comparison was not started")
        return
    st.session_state.pop("comparer_request", None)
    notice(f"{config.name} is in the queue.")
    go("run", run_url(run_id))
