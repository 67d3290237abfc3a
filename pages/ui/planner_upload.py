"""A field of the planner that can be given a file: uploaded now, or one of earlier uploads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import streamlit as st

from core.api import Studio
from core.errors import BertloomError
from pages.ui.components import error_box
from pages.ui.format import bytes_text
from pages.ui.planner_draft import Draft, living, widget_key

__all__ = ["upload_part"]


def upload_part(
    draft: Draft,
    studio: Studio,
    path: str,
    use: Callable[[Path], None],
    *,
    label: str,
    types: Sequence[str],
    help: str | None = None,
    label_visible: bool = True,
    among_types: bool = False,
) -> bool:
    """Draw where a file is dropped and the list of those that were, and return whether there are any.

    Parameters
    ----------
    draft
        The draft.
    studio
        The facade, which keeps the file.
    path
        The field, which holds the path of a file.
    use
        Called with the file that a person chose.
    label
        Of the place where a file is dropped.
    types
        Endings that can be dropped.
    help
        More about the files.
    label_visible
        Whether the label is shown (screen readers always hear it).
    among_types
        Whether only earlier uploads with these endings are offered.
    """
    key = f"{widget_key(path)}_upload"
    pick, trouble = f"{key}_pick", f"{path}_upload_problem"

    def came() -> None:
        file = st.session_state.get(key)
        if file is None:
            return
        try:
            kept = studio.data.save_upload(file.name, file.getvalue())
        except BertloomError as error:
            st.session_state[trouble] = error
            return
        use(kept)

    def picked() -> None:
        if st.session_state[pick]:
            use(Path(st.session_state[pick]))

    st.file_uploader(
        label, type=list(types), key=key, on_change=living(path, "_upload", came), help=help,
        label_visibility="visible" if label_visible else "collapsed",
    )  # fmt: skip
    problem = st.session_state.pop(trouble, None)
    if problem is not None:
        error_box(problem)
    by_path = {
        str(one["path"]): one for one in studio.data.uploads()
        if not among_types or any(suffix.lower().lstrip(".") in types for suffix in Path(one["name"]).suffixes)
    }  # fmt: skip
    if not by_path:
        return False
    now = draft.state.get(path)
    st.session_state[pick] = now if now in by_path else None
    st.selectbox(
        "Uploaded files", list(by_path), index=None, key=pick, placeholder="Use an earlier upload",
        on_change=living(path, "_upload_pick", picked),
        format_func=lambda one: f"{by_path[one]['name']} · {bytes_text(by_path[one]['bytes'])}",
    )  # fmt: skip
    return True
