"""Planner: what is known of the plan's encoder before anything is loaded."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.api import Studio
from core.errors import BertloomError
from pages.ui.planner_draft import Draft
from pages.ui.planner_jobs import peek

__all__ = ["describe", "language_mismatch", "layers_of"]

#: Layers of an encoder that nobody has looked at yet.
_USUAL_LAYERS = 12


def describe(draft: Draft, studio: Studio) -> dict[str, Any] | BertloomError | None:
    """Return the description of the draft's encoder, why there is none, or ``None`` while nobody has asked the hub."""
    source = str(draft.state.get("model.source") or "")
    revision = draft.state.get("model.revision")
    if source.startswith("hub:"):
        job = peek("describe", [source, revision])
        if job is None or job.state == "running":
            return None
        return job.error if job.state == "failed" else job.answer
    try:
        return _described(source, str(studio.home.root), studio)
    except BertloomError as error:
        return error


@st.cache_data(ttl=20, max_entries=50, show_spinner=False)
def _described(source: str, home: str, _studio: Studio) -> dict[str, Any]:
    """Describe a local model; a folder that changes is seen again after some seconds."""
    return _studio.models.describe(source, None)


def layers_of(about: object, kept: object = None) -> int:
    """Return the number of layers of a described encoder, and a usual one where there is no description.

    Parameters
    ----------
    about
        The description, if there is one.
    kept
        ``model.keep_layers`` of the form: how many, or which.
    """
    found = int(about.get("layers") or _USUAL_LAYERS) if isinstance(about, dict) else _USUAL_LAYERS
    if isinstance(kept, list) and kept:
        return min(found, len(kept))
    return min(found, kept) if isinstance(kept, int) and kept > 0 else found


def language_mismatch(language: str | None, hint: str | None) -> bool:
    """Tell whether texts of a language meet an encoder whose vocabulary is of another script."""
    return language == "zh" and hint == "Latin script"
