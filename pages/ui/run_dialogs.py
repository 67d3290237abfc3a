"""Questions that a run's page asks before it does something: rename, delete, export."""

from __future__ import annotations

import streamlit as st

from core.errors import BertloomError
from core.runs.records import RunRecord
from pages.ui.components import error_box, notice
from pages.ui.format import bytes_text, plain
from pages.ui.joint.export import joint_export
from pages.ui.leaving import go
from pages.ui.run_export import export_form
from pages.ui.studio import studio
from pages.ui.texts import parts_words

__all__ = ["ask", "keep_parts", "open_dialog"]

_ASKED = "_run_question"


def ask(question: str, run_id: str) -> None:
    """Open a dialog with the next run of the page: dialogs cannot be opened from a part that refreshes itself."""
    st.session_state[_ASKED] = (question, run_id)
    st.rerun(scope="app")


def open_dialog(run: RunRecord) -> None:
    """Open the dialog that was asked for, once."""
    question, run_id = st.session_state.pop(_ASKED, (None, None))
    if run_id != run.id:
        return
    if question == "rename":
        _rename(run)
    elif question == "delete":
        _delete(run)
    elif question == "export":
        _export(run)


@st.dialog("Rename and tags", icon=":material/edit:")
def _rename(run: RunRecord) -> None:
    name = st.text_input("Name", run.name, max_chars=120, key=f"rename_{run.id}")
    tags = st.multiselect(
        "Tags",
        sorted({*run.tags, *_known_tags()}),
        default=list(run.tags),
        accept_new_options=True,
        key=f"tags_{run.id}",
        help="Words to find the run by, at most 40 characters each.",
    )
    if st.button("Save", type="primary", key="rename_save"):
        try:
            studio().runs.rename(run.id, name.strip())
            studio().runs.set_tags(run.id, [tag.strip() for tag in tags])
        except BertloomError as error:
            error_box(error)
            return
        notice("Saved.")
        st.rerun()


def _known_tags() -> set[str]:
    return {tag for run in studio().runs.list() for tag in run.tags}


def keep_parts(count: int, kind: str | None) -> bool:
    """Say how many parts go with runs that are to be deleted, and ask whether they are kept; False without any.

    Parameters
    ----------
    count
        How many there are.
    kind
        Kind of the runs that they belong to; None where these differ.
    """
    if not count:
        return False
    words = parts_words(kind, count)
    st.caption(f"{words} {'is' if count == 1 else 'are'} deleted too. Kept ones become runs of their own.")
    return st.checkbox(f"Keep the {words.partition(' ')[2]}", key="delete_keep_parts")


@st.dialog("Delete this run?", icon=":material/delete:")
def _delete(run: RunRecord) -> None:
    st.markdown(f"**{plain(run.name)}**")
    st.markdown(
        f"Its curves, checkpoints and best weights ({bytes_text(run.bytes)}) are deleted. This cannot be undone. "
        "Exported model folders stay."
    )
    keep = keep_parts(run.children, run.kind)
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Keep", key="delete_keep"):
            st.rerun()
        if st.button("Delete", type="primary", icon=":material/delete:", key="delete_confirm"):
            try:
                studio().runs.delete(run.id, keep_children=keep)
            except BertloomError as error:
                error_box(error)
                return
            notice("The run was deleted.")
            go("runs")


@st.dialog("Export the model", icon=":material/download:", width="medium")
def _export(run: RunRecord) -> None:
    if run.kind == "joint":
        joint_export(run, place="dialog")
    else:
        export_form(run, place="dialog")
