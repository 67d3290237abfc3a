"""The Teacher tab of a run: what the student kept of its teacher, against itself without one, and what both cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.config import Plan
from core.config.joint import JointPlan
from core.runs.distilled import alone
from core.runs.joint_tasks import parted
from core.runs.records import RunRecord, Status
from pages.ui import keys
from pages.ui.components import Card, card_row, empty_state, run_url
from pages.ui.format import count, interval, metric_name, metric_value, percent, plain
from pages.ui.leaving import go
from pages.ui.run_teacher_lost import lost_part
from pages.ui.run_teacher_speed import speed_part
from pages.ui.run_teacher_students import students_part
from pages.ui.studio import studio

__all__ = ["has_teacher", "quadrant_rows", "teacher_tab"]

#: Metrics that the most frequent answer has a score of.
_SHARES = ("accuracy", "micro_f1")
_QUADRANTS = {
    ("right", "right"): "both_right", ("right", "wrong"): "teachable", ("wrong", "right"): "harmful",
    ("wrong", "wrong"): "both_wrong",
}  # fmt: skip


def has_teacher(run: RunRecord) -> bool:
    """Whether a stage of a run learns from a teacher."""
    stages = run.plan.get("stages") or []
    return run.kind == "train" and any(one.get("kind") == "distil" and one.get("enabled", True) for one in stages)


def teacher_tab(run: RunRecord) -> None:
    """Show what a distilled run came to, or that it has not come to an end."""
    if not (studio().runs.results(parted(run.id)[0]) or {}).get("teachers"):
        going = run.status.active or run.status in (Status.QUEUED, Status.PAUSED)
        with empty_state(
            "Not compared yet" if going else "Nothing to compare",
            "Student and teacher are compared on the test rows after the last step; the curves above show how near "
            "they are on the training rows." if going else "This run did not get to the test rows.",
            icon=":material/school:", key="no_teacher_report",
        ):  # fmt: skip
            pass
        return
    found = studio().students.report(run.id)
    _cards(found)
    _alone(run, found)
    for one in found["teachers"]:
        if one["quadrants"]:
            _quadrants(one, found)
    lost_part(found)
    speed_part(run, found)
    students_part(run)


def _cards(found: Mapping[str, Any]) -> None:
    metric, role = found["metric"], found["role"]
    name = metric_name(f"{role}/{metric}")
    student, teacher, other = found["student"], found["teachers"][0], found["alone"]
    kept = teacher["retention"]
    cards = [
        Card("Student", metric_value(metric, student["score"]), _between(metric, student), help=name),
        Card("Teacher", metric_value(metric, teacher["score"]), _between(metric, teacher), help=teacher["name"]),
        Card(
            "Kept of the teacher", "–" if kept is None else percent(kept["value"]),
            "" if kept is None or not kept["interval"] else " to ".join(percent(one) for one in kept["interval"]),
            help="The student's score by the teacher's, with a 95 % interval over the rows.",
        ),
        Card(
            "Without a teacher", "–" if other is None else metric_value(metric, other["score"]),
            "not trained yet" if other is None else _between(metric, other),
        ),
        Card(
            "Parameters", "–" if student["parameters"] is None else count(student["parameters"]),
            f"teacher {count(teacher['parameters'])}",
        ),
    ]  # fmt: skip
    card_row(cards, key="run_cards_teacher")
    if found["majority"] is not None:
        how = "Always giving the most frequent answer" if metric in _SHARES else "A method without a model"
        st.caption(f"{how} scores {metric_value(metric, found['majority'])}.")


def _between(metric: str, one: Mapping[str, Any]) -> str:
    return interval(metric, one.get("interval"))


def _alone(run: RunRecord, found: Mapping[str, Any]) -> None:
    other = found["alone"]
    if other is not None:
        st.page_link(
            st.session_state[keys.PAGES]["run"],
            label=f"The same student without a teacher: {plain(other['name'], 80)}",
            icon=":material/open_in_new:", query_params=run_url(parted(other["id"])[0]),
        )  # fmt: skip
        return
    st.info(
        "What the teacher gave is only known beside the same student that learns from the labels alone, on the same "
        "rows, with the same steps and seed.", icon=":material/balance:",
    )  # fmt: skip
    if st.button("Train it without the teacher", icon=":material/play_arrow:", key="train_alone"):
        go("run", run_url(_train_alone(parted(run.id)[0])))


def _train_alone(run_id: str) -> str:
    """Submit a run's plan without its teachers, once; returns the new run's id."""
    plan = studio().runs.config(run_id)
    request = f"alone:{run_id}"
    if isinstance(plan, JointPlan):
        return studio().runs.submit(alone(plan), kind=plan.kind, request_id=request, parent=run_id)
    assert isinstance(plan, Plan)
    return studio().runs.submit(alone(plan), request_id=request, parent=run_id)


def quadrant_rows(quadrants: Mapping[str, int]) -> list[dict[str, str]]:
    """Return the scored rows crossed by who is right, ready to be shown."""
    total = max(1, sum(quadrants.values()))

    def cell(teacher: str, student: str) -> str:
        value = quadrants[_QUADRANTS[teacher, student]]
        return f"{count(value)} ({percent(value / total)})"

    return [
        {"": f"teacher {one}", "student right": cell(one, "right"), "student wrong": cell(one, "wrong")}
        for one in ("right", "wrong")
    ]


def _quadrants(one: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    st.markdown(f"**Who is right, on the {found['role']} rows**")
    st.dataframe(quadrant_rows(one["quadrants"]), hide_index=True, width="stretch", key=f"quadrants_{one['name']}")
    st.caption(
        "Teacher right and student wrong is what could still be taught; teacher wrong and student right is where "
        "listening to it would do harm."
    )
