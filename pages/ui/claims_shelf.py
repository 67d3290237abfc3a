"""The shelf: what is to be tested on, and one card a claim."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from core.api import Studio
from core.config import ClaimConfig
from core.config.files import validated
from core.errors import BertloomError
from core.runs.records import Status
from pages.ui import keys
from pages.ui.claims_view import PARTS, verdict_badge
from pages.ui.components import error_box, notice, run_url, status_markdown
from pages.ui.format import count, duration, plain, relative
from pages.ui.leaving import go
from pages.ui.planner_jobs import ask, peek

__all__ = ["Setup", "cards", "setup"]

_PLANNER = "planner"
#: Rows that keep a claim within minutes on two cores.
_ROWS = {"train_rows": 1000, "gate_rows": 300, "test_rows": 1000}


class Setup:
    """What all claims of the page are tested on."""

    def __init__(self, source: str, base: Mapping[str, Any], parts: list[str], seeds: int) -> None:
        self.source = source
        self.base = dict(base)
        self.parts = parts
        self.seeds = seeds

    def config(self, claim: Mapping[str, Any]) -> ClaimConfig:
        """Return the config of one claim.

        Raises
        ------
        ConfigError
            If the data cannot be used for it.
        """
        place = self.source.rpartition("/")[2]
        fields = {
            "name": f"{claim['name']} on {place}"[:120], "claim": claim["name"], "parts": self.parts,
            "seeds": self.seeds, **self.base,
        }  # fmt: skip
        return validated(ClaimConfig, fields, where="claim")


def setup(studio: Studio) -> Setup:
    """Draw the choice of data, of what is trained and of seeds; return what was chosen."""
    from pages.ui.planner_draft import draft

    samples = {one["name"]: one for one in studio.data.samples() if one["tasks"] and not one.get("derived")}
    uploads = {one["path"]: one["name"] for one in studio.data.uploads()}
    now = draft().nearest()
    words = {_PLANNER: f"As in the stage planner: {Path(now.data.source).name or now.data.source}"}
    words |= {name: str(one["title"]) for name, one in samples.items()}
    words |= {path: f"Upload: {name}" for path, name in uploads.items()}
    options = [*samples, _PLANNER, *uploads]
    row = st.container(horizontal=True, gap="medium", vertical_alignment="bottom", key="claims_setup")
    source = row.selectbox(
        "Data", options, format_func=lambda name: plain(words[name], 60), key="claims_data", width=320,
        help="A bundled sample, an uploaded file, or data and model as they stand in the stage planner's form, where "
        "files, columns and hub sets can be chosen.",
    )  # fmt: skip
    part = row.segmented_control(
        "What is trained", ["both", *PARTS], format_func=lambda name: PARTS.get(name, "Both"), required=True,
        default="both", key="claims_part",
    ) or "both"  # fmt: skip
    seeds = row.number_input(
        "Seeds", 1, 30, 5, key="claims_seeds", width=110, help="Each arm is trained once a seed; 5 give a verdict."
    )
    with st.container():
        if seeds < 5:
            st.caption(":material/info: With fewer than 5 seeds there is no verdict, only a first look.")
    base: dict[str, Any] = {"data": {"source": source, **_ROWS}}
    if source == _PLANNER:
        data = now.data.model_dump(mode="json")
        base = {
            "data": {**data, **{key: _least(data.get(key), most) for key, most in _ROWS.items()}},
            "task": now.task.model_dump(mode="json"), "model": now.model.model_dump(mode="json"),
        }  # fmt: skip
        source = now.data.source
    elif source in samples:
        base["task"] = {"kind": samples[source]["tasks"][0]}
    return Setup(source, base, list(PARTS) if part == "both" else [part], int(seeds))


def _least(value: int | None, most: int) -> int:
    return most if value is None else min(value, most)


def cards(studio: Studio, chosen: Setup) -> None:
    """Draw one card a claim, two beside each other."""
    shelf = studio.claims.list()
    for at in range(0, len(shelf), 2):
        for column, one in zip(st.columns(2, gap="medium"), shelf[at : at + 2], strict=False):
            with column, st.container(border=True, height="stretch", gap="small", key=f"claim_card_{one['name']}"):
                _card(studio, chosen, one)


def _card(studio: Studio, chosen: Setup, one: Mapping[str, Any]) -> None:
    st.markdown(f"#### {plain(one['sentence'], 200)}" if one["table"] else f"#### “{plain(one['sentence'], 200)}”")
    _last(one["last"])
    st.caption(plain(one["tested"], 500))
    try:
        config = chosen.config(one)
    except BertloomError as error:
        error_box(error)
        return
    runs = studio.claims.count(config)
    question = config.model_dump(mode="json")
    job = peek(f"claim_{one['name']}", question)
    st.caption(plain(_told(runs, job)))
    row = st.container(horizontal=True, gap="small", vertical_alignment="center")
    test = row.button(
        "Test it", icon=":material/science:", key=f"claim_test_{one['name']}",
        help=f"Trains {runs} runs one after the other and opens their page.",
    )  # fmt: skip
    if test:
        _start(studio, config)
    time = row.button(
        "How long?", icon=":material/timer:", type="tertiary", key=f"claim_time_{one['name']}",
        disabled=job is not None, help="Tries a few steps of one arm of each part, without training.",
    )  # fmt: skip
    if time:
        ask(f"claim_{one['name']}", question, lambda: studio.claims.estimate(config))
        st.rerun()
    if one["last"] is not None:
        row.page_link(
            st.session_state[keys.PAGES]["run"], label="Last test", icon=":material/monitoring:",
            query_params=run_url(one["last"]["id"]),
        )  # fmt: skip


def _last(last: Mapping[str, Any] | None) -> None:
    if last is None:
        st.caption("Not tested yet on this home.")
    elif last["verdicts"]:
        badges = "&ensp;".join(verdict_badge(verdict, part) for part, verdict in last["verdicts"].items())
        st.markdown(f"{badges}&ensp;:small[:gray[{relative(last['time'])}]]")
    else:
        st.markdown(f"{status_markdown(Status(last['status']))}&ensp;:small[:gray[{relative(last['time'])}]]")


def _told(runs: int, job: Any) -> str:
    said = f"{count(runs)} short runs."
    if job is None:
        return said
    if job.state == "running":
        return f"{said} Trying a few steps …"
    if job.state == "failed":
        return f"{said} How long they take cannot be said: {job.error.what}"
    found = job.answer
    low, high = (duration(found[key]) for key in ("seconds_low", "seconds_high"))
    return f"{said} They take {low} to {high} here."


def _start(studio: Studio, config: ClaimConfig) -> None:
    # Two clicks are one run: the id is used up by the first one that succeeds.
    requests: dict[str, str] = st.session_state.setdefault("claims_requests", {})
    request = requests.setdefault(config.claim, uuid.uuid4().hex)
    try:
        run_id = studio.claims.submit(config, request_id=request)
    except BertloomError as error:
        error_box(error, title="The claim was not started")
        return
    requests.pop(config.claim, None)
    notice(f"{config.name} is in the queue.")
    go("run", run_url(run_id))
