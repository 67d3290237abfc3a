"""Runs (home): what runs, waits, was interrupted and is finished; comparing, resuming, deleting, freeing space."""

from __future__ import annotations

import streamlit as st

from core.api import Studio
from core.config import Plan
from core.errors import BertloomError
from pages.ui import keys
from pages.ui.compare_view import comparison
from pages.ui.components import empty_state, error_box, notice, page_header, paint_header, run_url
from pages.ui.leaving import go
from pages.ui.runs_list import run_list
from pages.ui.runs_live import live_part
from pages.ui.runs_space import space_dialog
from pages.ui.studio import studio

_CSS = """<style>
[class*="st-key-row_"] {
  border-top: 1px solid color-mix(in srgb, currentColor 10%, transparent); padding-top: 0.3rem;
}
[class*="st-key-row_"] p, [class*="st-key-queued_"] p { overflow-wrap: anywhere; }
/* Names of runs are links without the page's icon, flush with the words below them. */
.st-key-runs_home [data-testid="stPageLink"] a { padding-left: 0; }
.st-key-runs_home [data-testid="stPageLink"] span:has(> [data-testid="stIconMaterial"]) { display: none; }
/* A long name ends with an ellipsis instead of a hard cut. */
.st-key-runs_home [data-testid="stPageLink"], .st-key-runs_home [data-testid="stPageLink"] a { max-width: 100%; }
.st-key-runs_home [data-testid="stPageLink"] p {
  overflow: hidden; text-overflow: ellipsis; white-space: nowrap;
}
[class*="st-key-queued_"] > div:first-child, [class*="st-key-active_"] > div > div > div:first-child { min-width: 0; }
.st-key-runs_empty [data-testid="stCaptionContainer"] { max-width: 44rem; margin-inline: auto; }
/* Icon buttons keep their words for screen readers. */
[class*="st-key-queued_"] button [data-testid="stMarkdownContainer"],
[class*="st-key-menu_"] > div > div > button [data-testid="stMarkdownContainer"],
[class*="st-key-menu_"] [data-testid="stPopover"] button [data-testid="stMarkdownContainer"] {
  position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap;
}
[class*="st-key-menu_"] [data-testid="stPopover"] button > div > div[aria-hidden="true"] { display: none; }
@media (max-width: 640px) {
  [class*="st-key-row_"] [data-testid="stHorizontalBlock"] { flex-wrap: wrap; gap: 0.25rem 0.6rem; }
  [class*="st-key-row_"] [data-testid="stColumn"] {
    min-width: 0 !important; flex: 0 1 auto !important; width: auto !important;
  }
  [class*="st-key-row_"] [data-testid="stColumn"]:nth-child(2) { flex: 1 1 70% !important; }
}
</style>"""


def demo_plan() -> Plan:
    """Return the bundled demo: 2,000 review sentences, one epoch; under two minutes on two cores."""
    return Plan.model_validate(
        {
            "name": "demo: film reviews",
            "tags": ["demo"],
            "data": {"source": "reviews", "train_rows": 2000, "gate_rows": 300, "test_rows": 500},
            "stages": [{"name": "fine-tune", "epochs": 1, "lr": 1e-4, "eval_every": 8}],
        }
    )


def _empty(desk: Studio) -> None:
    words = (
        "See how the bundled encoder connects two words, layer by layer, and why. Or let the demo teach it to tell "
        "fresh from rotten film reviews: 2,000 sentences, one epoch, all on this machine; you watch the loss live and "
        "end with a model folder that can be exported."
    )
    with empty_state("No runs yet", words, icon=":material/rocket_launch:", key="runs_empty"):
        with st.container(horizontal=True, horizontal_alignment="center", vertical_alignment="center", gap="medium"):
            explore = st.button("Explore words", type="primary", icon=":material/hub:", key=keys.PRIMARY)
            pressed = st.button("Run the demo", icon=":material/play_arrow:", key="runs_demo")
            st.page_link(
                st.session_state[keys.PAGES]["planner"],
                label="Plan a run of your own",
                icon=":material/tune:",
                width="content",
            )
        st.caption("The graph takes about half a minute, the demo one to two minutes on two cores.",
                   text_alignment="center")  # fmt: skip
    if explore:
        go("explorer", {keys.GRAPH: "new"})
    if pressed:
        _start_demo(desk)


def _start_demo(desk: Studio) -> None:
    try:
        # One request id a home: two clicks, or two tabs, are one demo.
        run_id = desk.runs.submit(demo_plan(), request_id="demo-on-empty-home")
    except BertloomError as error:
        error_box(error, title="The demo was not started")
        return
    notice("The demo is in the queue.")
    go("run", run_url(run_id))


def main() -> None:
    """Draw the page."""
    st.html(_CSS)
    desk = studio()
    some = desk.runs.list(limit=50)
    anything = bool(some)
    actions = page_header("Runs", "What is running, waiting, interrupted and finished in this home folder.")
    paint_header()
    if not anything:
        _empty(desk)
        return
    if actions.button("Disk use", icon=":material/hard_drive:", key="runs_space", type="tertiary"):
        space_dialog(desk)
    # Whoever has explored words first has still seen no training.
    untrained = all(run.kind != "train" for run in some)
    if untrained and actions.button("Run the demo", icon=":material/play_arrow:", key="runs_demo"):
        _start_demo(desk)
    if actions.button("New run", type="primary", icon=":material/add:", key=keys.PRIMARY):
        go("planner")
    with st.container(key="runs_home"):
        live_part(desk)
        picked = run_list(desk)
        if len(picked) > 1:
            comparison(desk, picked)


main()
