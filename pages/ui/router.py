"""What every page has: page settings, sign-in, logo, navigation and the card of the active run.

Streamlit runs this file for every visit, also for a deep link: `app.py` names it as the script.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.errors import BertloomError
from core.runs.records import RunRecord, Status
from pages.ui import keys, security
from pages.ui.components import error_box, run_card, show_notice
from pages.ui.leaving import pass_on
from pages.ui.studio import studio
from pages.ui.style import apply_style
from pages.ui.texts import ABOUT
from pages.ui.theme import mode
from pages.ui.theme_watch import watch_theme

_PAGES = Path(__file__).resolve().parents[1]
_ASSETS = _PAGES.parent / "assets"


def _sign_in() -> None:
    """End the page here until a person has signed in, if sign-in is configured."""
    if not security.sign_in_configured() or st.user.get("is_logged_in"):
        return
    with st.container(horizontal_alignment="center", key="sign_in"):
        st.title("Bertloom", anchor=False, text_alignment="center")
        st.caption("This dashboard is for people who are signed in.", text_alignment="center")
        try:
            from streamlit.auth_util import is_authlib_installed

            ready = is_authlib_installed()
        except ImportError:
            ready = True
        if not ready:
            error_box("Sign-in is configured, but the package Authlib is missing. Install it with: pip install Authlib")
        elif st.button("Sign in", type="primary", icon=":material/login:", key="sign_in_button"):
            st.login()
    st.stop()


def _navigation() -> st.Page:
    """Return the page that was asked for, and show the others in the sidebar."""
    home = st.Page(_PAGES / "runs.py", title="Runs", icon=":material/list_alt:", url_path="runs", default=True)
    run = st.Page(
        _PAGES / "run.py",
        title="Run",
        icon=":material/monitoring:",
        url_path="run",
        # Without an id there is no run to show, so the entry would lead nowhere.
        visibility="visible" if keys.RUN_ID in st.query_params else "hidden",
    )
    planner = st.Page(
        _PAGES / "stage_planner.py", title="Stage planner", icon=":material/tune:", url_path="stage_planner"
    )
    explorer = st.Page(
        _PAGES / "graph_explorer.py", title="Graph explorer", icon=":material/hub:", url_path="graph_explorer"
    )
    structure = st.Page(
        _PAGES / "structure_search.py", title="Structure search", icon=":material/architecture:",
        url_path="structure_search",
    )  # fmt: skip
    claims = st.Page(_PAGES / "claims.py", title="Claims", icon=":material/science:", url_path="claims")
    comparer = st.Page(
        _PAGES / "strategy_comparer.py", title="Strategy comparer", icon=":material/balance:",
        url_path="strategy_comparer",
    )  # fmt: skip
    st.session_state[keys.PAGES] = {
        "runs": home, "run": run, "planner": planner, "explorer": explorer, "structure": structure, "claims": claims,
        "comparer": comparer,
    }  # fmt: skip
    return st.navigation(
        {"Runs": [home, run], "Explore": [explorer, structure], "Plan": [planner, comparer, claims]},
        position="sidebar",
    )


@st.fragment(run_every=3)
def _active_run() -> None:
    """Show the run that is executed now, or the next in the queue."""
    try:
        runs = studio().runs.list(
            status=[str(status) for status in Status if status.active or status is Status.QUEUED], limit=50
        )
    except BertloomError:
        return  # the page itself shows the reason
    active = [run for run in runs if run.status.active]
    queued = sorted((run for run in runs if run.status is Status.QUEUED), key=_place)
    shown = active or queued[:1]
    if shown:
        run_card(shown[0], len(queued) - (0 if active else 1) + len(active[1:]))


def _place(run: RunRecord) -> float:
    return run.position if run.position is not None else float("inf")


def main() -> None:
    """Show the page that was asked for."""
    st.set_page_config(
        page_title="Bertloom",
        page_icon=str(_ASSETS / "icon.svg"),
        layout="wide",
        menu_items={"About": ABOUT},
    )
    apply_style()
    st.logo(str(_ASSETS / f"logo-{mode()}.svg"), icon_image=str(_ASSETS / "icon.svg"), size="large")
    _sign_in()
    page = _navigation()
    if pass_on(page):
        return
    show_notice()
    try:
        problem = studio().problem
    except BertloomError as error:
        error_box(error, title="The home folder cannot be used")
        st.stop()
    if problem:
        error_box(problem, title="Runs cannot be started or watched now")
    try:
        page.run()
    except BertloomError as error:
        error_box(error)
    watch_theme()
    # After the page, so that its header comes first.
    with st.sidebar:
        _active_run()
        if st.user.get("is_logged_in"):
            st.button("Sign out", on_click=st.logout, type="tertiary", icon=":material/logout:")


main()
