"""What evaluations saw of a student: read on from where this visit was, so that a long run costs no more."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from core.runs.records import RunRecord
from pages.ui.studio import studio

__all__ = ["Seen", "seen"]

_KINDS = ("gaps", "layers")


@dataclass
class Seen:
    """The evaluations of one run so far, oldest first, by kind."""

    cursor: int = 0
    name: str = ""
    entries: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {kind: [] for kind in _KINDS})

    def first(self, kind: str) -> dict[str, Any] | None:
        """Return the oldest entry of a kind in the stage of the newest."""
        last = self.last(kind)
        return next((one for one in self.entries[kind] if last is not None and one["stage"] == last["stage"]), None)

    def last(self, kind: str) -> dict[str, Any] | None:
        """Return the newest entry of a kind."""
        return self.entries[kind][-1] if self.entries[kind] else None

    def take(self, batch: dict[str, Any]) -> None:
        """Take what :meth:`core.runs.desk.RunDesk.watched` returned."""
        if batch["replace"]:
            self.entries = {kind: [] for kind in _KINDS}
        self.cursor, self.name = batch["cursor"], batch["name"]
        for entry in batch["entries"]:
            if entry["kind"] in _KINDS:
                self.entries[entry["kind"]].append(entry)


def seen(run: RunRecord) -> Seen:
    """Return what evaluations saw of a run's student."""
    slot = f"_seen_{run.id}"
    known: Seen = st.session_state.setdefault(slot, Seen())
    while True:
        batch = studio().runs.watched(run.id, known.cursor, known.name)
        known.take(batch)
        if not batch["more"]:
            return known
