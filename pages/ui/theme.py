"""Colours that mean things, the same on every page, and how a run's status looks.

Ten colours for each of the two themes. Any two of them stay at least 15 units of CIE76 colour difference apart for
normal, protan, deutan and tritan vision (Machado, Oliveira & Fernandes 2009, severity 1), and each has a contrast of
3:1 or more with its page's background; `tests/pages/test_theme.py` computes both. `.streamlit/config.toml` repeats
the lists.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core.runs.records import Status

__all__ = [
    "CATEGORICAL",
    "ROLES",
    "STATUS_LOOKS",
    "BadgeColour",
    "Mode",
    "StatusLook",
    "mode",
    "palette",
    "role_colour",
    "status_look",
]

Mode = Literal["light", "dark"]
BadgeColour = Literal["red", "orange", "yellow", "blue", "green", "violet", "gray", "primary"]

#: Names of the ten colours, in the order of :data:`CATEGORICAL`; the first six are roles, the others are free.
ROLES: tuple[str, ...] = (
    "train",
    "gate",
    "test",
    "teacher",
    "student",
    "baseline",
    "extra1",
    "extra2",
    "extra3",
    "extra4",
)

CATEGORICAL: dict[Mode, tuple[str, ...]] = {
    "light": (
        "#4F46E5",
        "#B84510",
        "#1F7064",
        "#6B2C91",
        "#E268A1",
        "#323748",
        "#B28D0B",
        "#4F96DE",
        "#592716",
        "#789957",
    ),
    "dark": (
        "#736FF5",
        "#F58B5E",
        "#93F0F0",
        "#9A86E0",
        "#B8568F",
        "#BBBBBB",
        "#F9D572",
        "#74AAD1",
        "#AA7E70",
        "#A6DD98",
    ),
}

#: Backgrounds that the contrasts are computed against.
BACKGROUND: dict[Mode, str] = {"light": "#FFFFFF", "dark": "#11141D"}
#: Colours of warnings and errors inside plots.
SIGNAL: dict[Mode, dict[str, str]] = {
    "light": {"good": "#1F7A3D", "warn": "#9A6200", "bad": "#C0263B"},
    "dark": {"good": "#6FCF8B", "warn": "#F2B84B", "bad": "#FF7A85"},
}


@dataclass(frozen=True)
class StatusLook:
    """How a status is shown: always a word and an icon, so that nobody depends on the colour."""

    label: str
    icon: str
    colour: BadgeColour
    #: One sentence that says what the status means.
    meaning: str


STATUS_LOOKS: dict[Status, StatusLook] = {
    Status.QUEUED: StatusLook("Queued", ":material/schedule:", "gray", "Waits for its turn in the queue."),
    Status.STARTING: StatusLook(
        "Starting", ":material/rocket_launch:", "blue", "The worker is loading the model and data."
    ),
    Status.RUNNING: StatusLook("Running", ":material/play_circle:", "blue", "At work now."),
    Status.PAUSING: StatusLook("Pausing", ":material/pause_circle:", "orange", "Writes a checkpoint, then stops."),
    Status.PAUSED: StatusLook(
        "Paused", ":material/pause_circle:", "orange", "Stopped at a checkpoint; resume continues exactly."
    ),
    Status.CANCELLING: StatusLook("Cancelling", ":material/cancel:", "orange", "Writes a checkpoint, then stops."),
    Status.CANCELLED: StatusLook("Cancelled", ":material/cancel:", "gray", "Stopped on request; it can be resumed."),
    Status.FINISHED: StatusLook("Finished", ":material/check_circle:", "green", "Done; the best weights are kept."),
    Status.FAILED: StatusLook("Failed", ":material/error:", "red", "Ended with an error."),
    Status.INTERRUPTED: StatusLook(
        "Interrupted", ":material/power_off:", "red", "Its worker went away; it can be resumed."
    ),
}


def status_look(status: Status | str) -> StatusLook:
    """Return how a status is shown."""
    return STATUS_LOOKS[Status(status)]


def mode() -> Mode:
    """Return which of the two themes the page is shown in; light where nobody can tell (tests)."""
    import streamlit as st

    try:
        shown = st.context.theme.type
    except AttributeError:
        shown = None
    return "dark" if shown == "dark" else "light"


def palette(shown: Mode | None = None) -> tuple[str, ...]:
    """Return the ten categorical colours of a theme (default: the one that is shown)."""
    return CATEGORICAL[shown or mode()]


def role_colour(role: str, shown: Mode | None = None) -> str:
    """Return the colour of a role (see :data:`ROLES`).

    Raises
    ------
    ValueError
        If there is no such role.
    """
    return palette(shown)[ROLES.index(role)]
