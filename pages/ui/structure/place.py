"""Where a person is on the structure search page, as one value: it comes from the address and goes into it.

All parts of the page share it. Widgets are filled from it once a generation; whatever changes it from elsewhere (the
address, a button of another tab) begins a new generation, so that no widget keeps an old value. Parameters of the
address that are not named here stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import streamlit as st

from core.api import Studio
from core.errors import RunError
from core.runs.records import RunRecord, Status
from core.search.proposal import propose

__all__ = [
    "LIKE", "NEW", "Place", "Question", "Tab", "find_measurement", "follow_address", "from_params", "measurements",
    "place", "statistics_at", "to_params",
]  # fmt: skip

_SLOT = "structure_place"
#: Value of ``stats``: no measurement, but the form of a new one.
NEW = "new"
#: Parameter of the address: a measurement whose settings fill the form.
LIKE = "like"

Tab = Literal["statistics", "layers", "search"]


@dataclass(frozen=True)
class Question:
    """What the page shows.

    Parameters
    ----------
    stats
        Run of kind ``stats``; empty for the newest, :data:`NEW` for the form.
    tab
        The open tab.
    search
        Run of kind ``structure``, for the tab Search.
    rho, overlap, share
        Moved thresholds; None: as they were measured with.
    depth
        Layers of the student; None: the fewest that suffice.
    budget
        Per cent of the parent's parameters between embeddings and pooler.
    """

    stats: str = ""
    tab: Tab = "statistics"
    search: str = ""
    rho: float | None = None
    overlap: float | None = None
    share: float | None = None
    depth: int | None = None
    budget: int = 50


#: Least and largest value of what can be moved.
RANGES: dict[str, tuple[float, float]] = {
    "rho": (0.5, 1.0), "overlap": (0.3, 1.0), "share": (0.01, 0.6), "depth": (1, 96), "budget": (5, 120),
}  # fmt: skip
_LONGEST = 200


def to_params(asked: Question) -> dict[str, str]:
    """Return the question as parameters of an address; what is as usual is left out."""
    usual = _usual(asked.search)
    found = {}
    for name in usual.__dict__:
        value = getattr(asked, name)
        if value != getattr(usual, name):
            found[name] = f"{value:g}" if isinstance(value, float) else str(value)
    return found


def _usual(search: str) -> Question:
    """Return what holds where an address says nothing: one that names a search means its tab."""
    return Question(tab="search" if search else "statistics")


def from_params(params: Mapping[str, str]) -> Question:
    """Return the question that an address asks; what cannot be read is as usual."""
    values: dict[str, Any] = {}
    for name in Question().__dict__:
        text = params.get(name)
        if text is None or len(text) > _LONGEST:
            continue
        if name in RANGES:
            low, high = RANGES[name]
            try:
                number = float(text)
            except ValueError:
                continue
            if not low <= number <= high:
                continue
            values[name] = int(number) if name in ("depth", "budget") else round(number, 4)
        elif name != "tab" or text in get_args(Tab):
            values[name] = text.strip()
    return replace(_usual(values.get("search", "")), **values)


@dataclass
class Place:
    """What the page keeps in the session.

    Parameters
    ----------
    asked
        What is shown now.
    generation
        Part of every widget's key.
    address
        Parameters that were last read or written.
    given
        What each widget starts with, by its key: told with every run of the page, the same each time.
    settled
        Parameters that an incomplete address stands for: not worth a step of the back button.
    """

    asked: Question = field(default_factory=Question)
    generation: int = 0
    address: dict[str, str] = field(default_factory=dict)
    given: dict[str, Any] = field(default_factory=dict)
    settled: dict[str, str] = field(default_factory=dict)

    def key(self, name: str) -> str:
        """Return the key of a widget of this generation."""
        return f"structure{self.generation}_{name}"

    def first(self, name: str, value: Any) -> Any:
        """Return what a widget starts with: `value` when it is new, afterwards what it was told then."""
        return self.given.setdefault(self.key(name), value)

    def go(self, **values: Any) -> None:
        """Change what is shown from code (a button, a callback); call ``st.rerun(scope="app")`` after it."""
        self.asked = replace(self.asked, **values)
        self.generation += 1
        self.given = {}

    def keep(self, **values: Any) -> None:
        """Take over what widgets hold."""
        self.asked = replace(self.asked, **values)

    def settle(self, **values: Any) -> None:
        """Fill in what the address leaves open."""
        self.asked = replace(self.asked, **values)
        self.settled = to_params(self.asked)

    def write_address(self) -> None:
        """Put what is shown into the address, if it changed: each change is a step that the back button undoes."""
        wanted = to_params(self.asked)
        if wanted not in (self.address, self.settled):
            self.address, self.settled = wanted, {}
            names = Question().__dict__
            others = {name: value for name, value in st.query_params.to_dict().items() if name not in names}
            others.pop(LIKE, None)
            st.query_params.from_dict({**others, **wanted})


def place() -> Place:
    """Return the session's place on the page."""
    if _SLOT not in st.session_state:
        st.session_state[_SLOT] = Place()
    found: Place = st.session_state[_SLOT]
    return found


def follow_address() -> Place:
    """Return the session's place, moved to that of the address if it is not the one it wrote itself."""
    now, names = place(), Question().__dict__
    shown = {name: value for name, value in st.query_params.to_dict().items() if name in names}
    if shown != now.address:
        now.go(**from_params(shown).__dict__)
        now.address = shown
    return now


# -- what was measured ----------------------------------------------------------------------------------------------
def measurements(studio: Studio) -> list[RunRecord]:
    """Return the runs that measure or measured a parent's layers, newest first."""
    return [run for run in studio.runs.list(limit=1000) if run.kind == "stats"]


def find_measurement(studio: Studio, named: str) -> RunRecord | None:
    """Return the run of kind ``stats`` of this id, or None."""
    try:
        run = studio.runs.get(named)
    except RunError:
        return None
    return run if run.kind == "stats" else None


def statistics_at(studio: Studio, asked: Question) -> dict[str, Any] | None:
    """Return the statistics that the page shows, at the thresholds that it shows; None if there are none.

    ``thresholds`` in it are those that were applied, ``measured`` those that the run was started with, ``run`` is the
    run's id.
    """
    run = find_measurement(studio, asked.stats)
    if run is None or run.status is not Status.FINISHED:
        return None
    found = ((studio.runs.results(run.id) or {}).get("details") or {}).get("statistics")
    if not isinstance(found, dict):
        return None
    usual = dict(found["thresholds"])
    moved = {name: usual[name] if getattr(asked, name) is None else getattr(asked, name) for name in usual}
    return {**propose(found, **moved), "measured": usual, "run": run.id}
