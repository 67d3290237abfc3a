"""Going to another page after a click that does something first: Start opens the run that it has made.

``st.switch_page`` changes the page on the server. What the old page's fragments ask for until the browser has heard of
it (a page that looks every second asks every second) is then answered for the old page: the browser empties the new
one, and it stays empty. A busy machine makes that likely. So the browser changes the page here, as with any link that
a person follows: the old page is replaced by a link, which takes itself, and which stays if no script can run.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

import streamlit as st

from pages.ui import keys

__all__ = ["depart", "go", "pass_on"]

_SLOT = "leaving"
_HERE = "leaving_here"
#: Seconds after the other page came within which a click that was on its way may ask for the old one again.
LATE_CLICK: Final = 1.0

_follow = st.components.v2.component(
    "bertloom_follow",
    js="""
export default function ({ data }) {
  let left = 300;
  const take = () => {
    const link = document.querySelector(".st-key-leaving a");
    if (link && link.dataset.taken !== data.turn) {
      link.dataset.taken = data.turn;
      link.click();
    } else if (!link && (left -= 1) > 0) timer = setTimeout(take, 20);
  };
  let timer = setTimeout(take, 0);
  return () => clearTimeout(timer);
}
""",
)
_CSS = """<style>
.st-key-leaving { animation: bl-leaving 0.3s 1.2s both; }
@keyframes bl-leaving { from { opacity: 0; } to { opacity: 1; } }
</style>"""


@dataclass
class _Departure:
    """Where a person is taken, and from where."""

    page: str
    params: dict[str, str]
    origin: str
    arrived: float | None = None
    turn: str = field(default_factory=lambda: uuid.uuid4().hex)


def depart(page: str, params: Mapping[str, Any] | None = None) -> None:
    """Let this run of the script, which has not begun to draw, take the person to another page; for callbacks.

    Parameters
    ----------
    page
        Its name in ``st.session_state[keys.PAGES]``.
    params
        Query parameters.
    """
    wanted = {name: str(value) for name, value in (params or {}).items()}
    st.session_state[_SLOT] = _Departure(page, wanted, st.session_state.get(_HERE, ""))


def go(page: str, params: Mapping[str, Any] | None = None) -> NoReturn:
    """Take the person to another page now, or to the same with other parameters; they are those of :func:`depart`."""
    target = st.session_state[keys.PAGES][page]
    if target.url_path == st.session_state.get(_HERE):  # a link to the page that is shown would leave its address
        st.switch_page(target, query_params=dict(params or {}))
    depart(page, params)
    st.rerun()


def pass_on(here: st.Page) -> bool:
    """Draw the way to another page in the place of this one, if a person is on the way; called by the router.

    Parameters
    ----------
    here
        The page that was asked for.

    Returns
    -------
    bool
        Whether that was all to be drawn. The script is to end then, not to be stopped: only when it ends does Streamlit
        forget the fragments of the old page.
    """
    departure = st.session_state.get(_SLOT)
    if departure is not None:
        target = st.session_state[keys.PAGES][departure.page]
        if here.url_path == target.url_path:
            departure.arrived = departure.arrived or time.monotonic()
        elif here.url_path == departure.origin and not _long_ago(departure):
            departure.turn = uuid.uuid4().hex
            _take(target, departure)
            return True
        else:  # the person has gone somewhere else
            del st.session_state[_SLOT]
    st.session_state[_HERE] = here.url_path
    return False


def _long_ago(departure: _Departure) -> bool:
    return departure.arrived is not None and time.monotonic() - departure.arrived > LATE_CLICK


def _take(target: st.Page, departure: _Departure) -> None:
    st.html(_CSS)
    with st.container(key="leaving"):
        st.page_link(target, label=f"Open {target.title}", query_params=departure.params)
    _follow(key="leaving_follow", data={"turn": departure.turn})
