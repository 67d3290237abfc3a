"""All students so far of a run's task and data, by size, speed and score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.runs.joint_tasks import parted
from core.runs.records import RunRecord
from pages.ui import keys
from pages.ui.components import run_url
from pages.ui.format import bytes_text, count, metric_name, metric_value, number, plain
from pages.ui.studio import studio

__all__ = ["student_rows", "students_part"]

_KINDS = {"distilled": "with a teacher", "alone": "without a teacher", "teacher": "teacher"}
_ACROSS = {"p50_ms": "Speed", "parameters": "Size"}


def students_part(run: RunRecord) -> None:
    """Draw the students, list them, and lead to the one that was chosen in the figure or the table."""
    from core.render.look import CONFIG
    from core.render.students_figures import ACROSS, drawn, students_figure
    from pages.ui.planner_look import look

    st.markdown("**All students so far**")
    found = studio().students.overview(run.id)
    measured = any(one["p50_ms"] is not None for one in found["students"])
    across = "parameters"
    if measured:
        across = str(
            st.segmented_control(
                "Across", list(_ACROSS), default="p50_ms", required=True, key="students_across",
                format_func=lambda one: _ACROSS[one], label_visibility="collapsed",
            )
        )  # fmt: skip
    points = drawn(found, across)
    chosen = None
    if points:
        with st.container(border=True, key="students_plot"):
            event = st.plotly_chart(
                students_figure(found, look(), across=across), theme=None, config=CONFIG,
                key=f"students_figure_{across}", on_select="rerun", selection_mode="points",
                alt=f"Students by {ACROSS[across]} and {found['metric']}",
            )  # fmt: skip
        chosen = _clicked(event)
    rows = student_rows(found)
    table = st.dataframe(
        rows, hide_index=True, width="stretch", height="content" if len(rows) < 9 else 320, key="students_table",
        on_select="rerun", selection_mode="single-row",
    )  # fmt: skip
    picked = table.get("selection", {}).get("rows") or []
    everyone = [*found["students"], *found["teachers"]]
    if picked and picked[0] < len(everyone):
        chosen = everyone[picked[0]]["run"]
    other = next((one for one in found["students"] if one["run"] == chosen), None)
    if other is not None and not other["here"]:
        st.page_link(
            st.session_state[keys.PAGES]["run"], label=f"Open {plain(other['name'], 80)}",
            icon=":material/open_in_new:", query_params=run_url(parted(other["run"])[0]),
        )  # fmt: skip
    elif len(found["students"]) > 1:
        st.caption("Choose a point or a row to go to its run.")
    st.caption(_words(found))


def _clicked(event: Any) -> str | None:
    points = ((event or {}).get("selection") or {}).get("points") or []
    data = points[0].get("customdata") if points else None
    data = data[0] if isinstance(data, list) and data else data
    return str(data) if data else None


def _words(found: Mapping[str, Any]) -> str:
    words = [
        "Runs with the same task, data and metric. The area of a point is its size; those with a border are the front: "
        "no other is smaller, faster and better at once."
    ]
    machine = found["machine"]
    if machine:
        words.append(f"Speed: {machine.get('processor')}, {found['threads']} threads.")
    missing = sum(one["why"] is not None for one in found["students"])
    if missing:
        words.append(
            f"{count(missing)} of {count(len(found['students']))} cannot be on the front: the table says what is not "
            "known. Measure them on their own pages."
        )
    return plain(" ".join(words))


def student_rows(found: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return students, then teachers, a row each, in the order in which they were found."""
    name = metric_name(found["metric"])
    return [
        {
            "run": f"{one['name']}{' (this run)' if one['here'] else ''}", "what": _KINDS[one["kind"]],
            name: metric_value(found["metric"], one["score"]),
            "parameters": "–" if one["parameters"] is None else count(one["parameters"]),
            "file": "–" if one["file_bytes"] is None else bytes_text(one["file_bytes"]),
            "p50 ms": "–" if one["p50_ms"] is None else number(one["p50_ms"], 3),
            "texts/s": "–" if one["texts_per_s"] is None else number(one["texts_per_s"], 3),
            "front": "yes" if one["on_front"] else "", "not known": one["why"] or "",
        }
        for one in (*found["students"], *found["teachers"])
    ]  # fmt: skip
