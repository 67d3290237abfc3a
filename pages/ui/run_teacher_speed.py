"""What student, teacher, the student without a teacher and its ONNX exports cost: measured in the background, kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import streamlit as st

from core.runs.records import RunRecord
from pages.ui.components import error_box
from pages.ui.format import bytes_text, count, duration, metric_value, number, percent, plain, when
from pages.ui.studio import studio

__all__ = ["cost_rows", "same_answers", "speed_part", "timing_rows"]


def speed_part(run: RunRecord, found: Mapping[str, Any]) -> None:
    """Show what was measured last, and measure again when asked."""
    st.markdown("**Size, speed and memory**")
    students = studio().students
    going = students.measuring(run.id)
    at_work = going is not None and not going.done
    measured = found["speed"]
    label = "Measure" if measured is None else "Measure again"
    if st.button(label, icon=":material/timer:", key="measure_speed", disabled=at_work):
        students.measure(run.id)
        st.rerun()
    if going is not None and going.done and going.error is not None and not going.cancel.is_set():
        error_box(going.error, title="The measurement did not come to an end")
    if at_work:
        _progress(run.id)
    if measured is None:
        if not at_work:
            st.caption(
                "Student, teacher, the student without a teacher and ONNX exports answer random texts in turns, each "
                "in a process of its own; that takes one to three minutes, and the numbers are kept with the run."
            )
        return
    st.dataframe(cost_rows(found), hide_index=True, width="stretch", key="speed_table")
    machine = measured["machine"] or {}
    versions = ", ".join(
        f"{name} {version}" for name, version in (measured["versions"] or {}).items()
        if name in ("torch", "onnxruntime")
    )  # fmt: skip
    st.caption(
        plain(
            f"{machine.get('processor')}, {machine.get('cores')} cores, {measured['threads']} threads; "
            f"{when(measured['measured'])}; {versions}. Times of one text of 64 sub-words; throughput of 32 at once. "
            "Memory is the most that the process held, libraries included, also for the largest batch."
        )
    )
    with st.expander("All sizes of batch and text", icon=":material/table_rows:", key="speed_all"):
        st.dataframe(timing_rows(found), hide_index=True, width="stretch", key="timing_table")


def _progress(run_id: str) -> None:
    row = st.container(horizontal=True, vertical_alignment="center", gap="small", key="measuring_speed")

    @st.fragment(run_every=0.7)
    def bar() -> None:
        now = studio().students.measuring(run_id)
        if now is None or now.done:
            st.rerun(scope="app")
        st.progress(min(now.share, 1.0), text=f"{plain(now.doing or 'starting', 120)} · {duration(int(now.seconds))}")

    with row.container(width="stretch"):
        bar()
    row.button("Cancel", icon=":material/close:", key="measure_cancel", on_click=_cancel, args=(run_id,))


def _cancel(run_id: str) -> None:
    now = studio().students.measuring(run_id)
    if now is not None:
        now.cancel.set()


def _parts(found: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield everything in a report that may have been measured, with its name."""
    yield "student", found["student"]
    several = len(found["teachers"]) > 1
    for one in found["teachers"]:
        yield f"teacher {one['name']}" if several else "teacher", one
    if found["alone"] is not None:
        yield "without a teacher", found["alone"]
    for one in found["exports"]:
        if one["format"] != "safetensors":
            yield f"{one['format']}: {one['name']}", one


def cost_rows(found: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return what each costs, a row each; what was not measured says so."""
    teacher = next((_timing(one, 1, 64) for one in found["teachers"] if one["bench"]), None)
    rows = []
    for name, one in _parts(found):
        bench, timing, many = one["bench"], _timing(one, 1, 64), _timing(one, 32, 64)
        size = one.get("parameters") if bench is None else bench["parameters"]
        faster = ""
        if timing and teacher and name.partition(" ")[0] != "teacher":
            faster = f"{number(teacher['p50_ms'] / timing['p50_ms'], 2)} ×"
        rows.append(
            {
                "": name, "parameters": "–" if size is None else count(size),
                "file": bytes_text(bench["file_bytes"]) if bench else "not measured",
                "p50": f"{number(timing['p50_ms'], 3)} ms" if timing else "–",
                "p95": f"{number(timing['p95_ms'], 3)} ms" if timing else "–",
                "faster than teacher": faster,
                "texts/s": number(many["texts_per_s"], 3) if many else "–",
                "memory": f"{count(bench['memory_mb'])} MB" if bench else "–",
                "same answers": same_answers(one.get("about") or {}),
            }
        )  # fmt: skip
    if not any(row["same answers"] for row in rows):
        for row in rows:
            del row["same answers"]
    return rows


def timing_rows(found: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return every timing: a row for each size of batch and text, three columns for each of what was measured."""
    measured = [(name, one) for name, one in _parts(found) if one["bench"]]
    sizes = sorted({(row["batch"], row["length"]) for _, one in measured for row in one["bench"]["timings"]})
    rows = []
    for batch, length in sizes:
        row = {"texts at once": count(batch), "sub-words each": count(length)}
        for name, one in measured:
            timing = _timing(one, batch, length)
            row[f"{name}, p50 ms"] = "–" if timing is None else number(timing["p50_ms"], 3)
            row[f"{name}, p95 ms"] = "–" if timing is None else number(timing["p95_ms"], 3)
            row[f"{name}, texts/s"] = "–" if timing is None else number(timing["texts_per_s"], 3)
        rows.append(row)
    return rows


def same_answers(about: Mapping[str, Any]) -> str:
    """Return how an export's answers compare with its model's, from what it noted down itself; empty without."""
    rows, batches = about.get("rows") or {}, about.get("batches") or {}
    if "metric" in rows:
        metric = rows["metric"]
        scores = f"{metric_value(metric, rows['onnx'])} for {metric_value(metric, rows['torch'])}"
        return f"{percent(rows['agreement'])} of {count(rows['answers'])} on {rows['role']}; {scores}"
    if batches:
        return f"{percent(batches['agreement'])} of {count(batches['answers'])} on random pieces"
    return ""


def _timing(one: Mapping[str, Any], batch: int, length: int) -> Mapping[str, Any] | None:
    timings = (one["bench"] or {}).get("timings", ())
    return next((row for row in timings if (row["batch"], row["length"]) == (batch, length)), None)
