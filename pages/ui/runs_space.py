"""Runs home: disk use, and freeing what can be done without."""

from __future__ import annotations

import streamlit as st

from core.api import Studio
from core.errors import BertloomError
from core.runs.records import Status
from pages.ui.components import notice, shown_errors
from pages.ui.format import bytes_text, plain

__all__ = ["space_dialog"]


@st.dialog("Disk use", width="medium")
def space_dialog(studio: Studio) -> None:
    """Show what takes space, what freeing would remove, and do it after a second click."""
    with shown_errors("Disk use cannot be read"):
        disk = studio.runs.disk()
        finished = {run.id for run in studio.runs.list(status=str(Status.FINISHED), limit=100_000)}
        row = st.container(horizontal=True, gap="small")
        row.metric("Bertloom uses", bytes_text(disk["total"]))
        row.metric("Free on this disk", bytes_text(disk["free"]))
        done = [run for run in disk["runs"] if run["id"] in finished]
        sizes = {
            "checkpoints": sum(run["checkpoints"] or 0 for run in done),
            "cache": disk["cache"] or 0,
            "models": sum(run["best"] or 0 for run in done),
        }
        checkpoints = st.checkbox(
            f"Resume checkpoints of finished runs · {bytes_text(sizes['checkpoints'])}", True, key="free_checkpoints",
            help="A finished run has no use for them. Runs that can be resumed keep theirs.",
        )  # fmt: skip
        cache = st.checkbox(
            f"Cached activations · {bytes_text(sizes['cache'])}", True, key="free_cache",
            help="They are computed again when a run needs them.",
        )  # fmt: skip
        models = st.checkbox(
            f"Best weights of finished runs · {bytes_text(sizes['models'])}", False, key="free_models",
            help="Their metrics stay, but they can no longer predict or be exported.",
        )  # fmt: skip
        chosen = {"checkpoints": checkpoints, "cache": cache, "models": models}
        total = sum(size for name, size in sizes.items() if chosen[name])
        if models and sizes["models"]:
            st.warning("The models of finished runs cannot be brought back.", icon=":material/warning:")
        if st.button(
            f"Free {bytes_text(total)}", type="primary", key="free_yes", disabled=not total,
            icon=":material/cleaning_services:", on_click=_free, args=(studio, checkpoints, cache, models),
        ):  # fmt: skip
            st.rerun()
        biggest = sorted(disk["runs"], key=lambda run: -(run["bytes"] or 0))[:5]
        if biggest:
            st.caption(
                "Largest runs: " + ", ".join(f"{plain(run['name'], 30)} {bytes_text(run['bytes'])}" for run in biggest)
            )


def _free(studio: Studio, checkpoints: bool, cache: bool, models: bool) -> None:
    """Free space, in the callback of the dialog's button."""
    try:
        freed = studio.runs.free_space(checkpoints=checkpoints, cache=cache, models=models)
    except BertloomError as error:
        notice(error.message())
    else:
        notice(f"{bytes_text(freed)} are free again.")
