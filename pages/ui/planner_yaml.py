"""The plan as YAML beside either form of the planner: shown, downloaded, and a file that fills the form."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core.config import Plan, plan_to_yaml
from core.config.joint import JointPlan
from core.errors import BertloomError
from pages.ui.components import error_box, notice
from pages.ui.joint.files import plan_of_text, show_plan

__all__ = ["yaml_part"]


def yaml_part(plan: Plan | JointPlan | None, form: str, generation: Callable[[], int], *, file: str) -> None:
    """Draw the plan as YAML with download and upload.

    Parameters
    ----------
    plan
        What the form holds; None while a field is not usable.
    form
        Beginning of the names of the widgets.
    generation
        Says how often the form was filled.
    file
        What the file is called in words.
    """
    with st.expander("Plan as YAML", icon=":material/code:", key=f"{form}_yaml"):
        st.caption(f"The form is this file, and `bertloom run {file}` does exactly the same.")
        row = st.container(horizontal=True, gap="small", vertical_alignment="center")
        text = "" if plan is None else plan_to_yaml(plan)
        if plan is not None:
            row.download_button(
                "Download YAML", text, file_name=f"{_stem(plan.name)}.yaml", mime="application/yaml",
                icon=":material/download:", key=f"{form}_download", on_click="ignore",
            )  # fmt: skip
        with row.popover("Upload YAML", icon=":material/upload:", key=f"{form}_yaml_upload_box"):
            _upload(form, generation)
        problem = st.session_state.get(_problem(form))
        if problem is not None:
            error_box(problem, title="The form is as it was: this file cannot be used")
        if plan is None:
            st.caption("The plan is shown when every field is usable.")
        else:
            st.code(text, language="yaml", height=420, wrap_lines=True)


def _problem(form: str) -> str:
    return f"{form}_yaml_problem"


def _stem(name: str) -> str:
    """Return a file name for a run's name: letters and digits of any script, everything else a dash."""
    kept = "".join(char if char.isalnum() else "-" for char in name)
    return "-".join(part for part in kept.split("-") if part)[:60] or "plan"


def _upload(form: str, generation: Callable[[], int]) -> None:
    key = f"{form}_yaml_upload_{generation()}"

    def came() -> None:
        file = st.session_state.get(key)
        # A browser may tell a file again whose plan has been loaded: the form that it made is not replaced once more.
        if file is None or key != f"{form}_yaml_upload_{generation()}":
            return
        st.session_state.pop(_problem(form), None)
        try:
            plan = plan_of_text(file.getvalue().decode("utf-8"), file.name)
        except BertloomError as error:
            st.session_state[_problem(form)] = error
        except UnicodeDecodeError:
            st.session_state[_problem(form)] = BertloomError(
                "The plan file is not UTF-8 text.", where=file.name, expected="a YAML file in UTF-8"
            )
        else:
            show_plan(plan, origin=f"file {file.name}")
            notice(f"The form holds {file.name} now.")

    st.file_uploader(
        "Plan file", type=["yaml", "yml"], key=key, on_change=came,
        help="The form takes its place; a wrong file changes nothing.",
    )  # fmt: skip
