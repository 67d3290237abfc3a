"""What a run's stages came to, and what was estimated before: two parts of the Results tab."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from core.runs.records import RunRecord
from pages.ui.components import Card, card_row
from pages.ui.format import count, duration, metric_name, metric_value, number, percent, plain

__all__ = ["estimate_part", "stages_part"]

_KINDS = {"train": "train", "range_test": "range test", "search": "search", "distil": "distillation"}


def stages_part(results: Mapping[str, Any]) -> None:
    """Show one row a stage: attempts, steps, what it began and ended with, how it ended, how long it took."""
    entries = results.get("stages") or []
    if not _worth_a_table(entries):
        return
    st.markdown("##### Stages")
    rows = [_row(entry) for entry in entries]
    gates = sum(float(entry.get("gate_seconds") or 0) for entry in entries)
    seconds = sum(float(entry.get("seconds") or 0) for entry in entries)
    said = "Every decision with its evidence is in the tab Decisions."
    if gates and seconds:
        said += f" Evaluations for gates took {duration(gates)}, {percent(gates / seconds)} of the stages' time."
    st.caption(plain(said))
    st.dataframe(
        rows, hide_index=True, width="stretch", key="stages_table",
        column_config={
            "stage": st.column_config.TextColumn("Stage"),
            "kind": st.column_config.TextColumn("Kind", width="small"),
            "attempts": st.column_config.NumberColumn("Attempts", width="small"),
            "steps": st.column_config.TextColumn("Steps", width="small"),
            "score": st.column_config.TextColumn("Start → best", help="On the gate rows."),
            "outcome": st.column_config.TextColumn("Outcome"),
            "seconds": st.column_config.TextColumn("Time", width="small"),
        },
    )  # fmt: skip


def _worth_a_table(entries: Sequence[Mapping[str, Any]]) -> bool:
    """An ordinary run of one stage has nothing to say here."""
    if len(entries) != 1:
        return bool(entries)
    (only,) = entries
    return only.get("kind") != "train" or bool(only.get("gate")) or len(only.get("attempts") or []) > 1


def _row(entry: Mapping[str, Any]) -> dict[str, Any]:
    attempts = entry.get("attempts") or []
    steps = sum(
        max(0, int(one["last_step"]) - int(one["first_step"]) + 1)
        for one in attempts
        if one.get("first_step") is not None and one.get("last_step") is not None
    )
    return {
        "stage": str(entry.get("name")),
        "kind": _KINDS.get(str(entry.get("kind")), str(entry.get("kind"))),
        "attempts": len(attempts) or None,
        "steps": count(steps) if attempts else "–",
        "score": _score(entry),
        "outcome": str(entry.get("outcome") or ""),
        "seconds": duration(entry.get("seconds")),
    }


def _score(entry: Mapping[str, Any]) -> str:
    best, start, suggestion = entry.get("best"), entry.get("start"), entry.get("suggestion")
    if isinstance(suggestion, Mapping) and suggestion.get("lr") is not None:
        return f"suggests {number(suggestion['lr'])}"
    if not isinstance(best, Mapping):
        return "–"
    name = str(best.get("metric", "")).removeprefix("gate/")
    reached = metric_value(name, best.get("value"))
    if isinstance(start, Mapping) and str(start.get("metric", "")).removeprefix("gate/") == name:
        reached = f"{metric_value(name, start.get('value'))} → {reached}"
    return f"{metric_name(name)} {reached}"


def estimate_part(run: RunRecord) -> None:
    """Show what was estimated before the start beside what it took; nothing where there was no estimate."""
    from pages.ui.studio import studio

    found = studio().runs.estimate(run.id)
    if found is None or found["seconds"]["real"] is None:
        return
    st.markdown("##### Estimated and real")
    seconds, memory = found["seconds"], found["memory_mb"]
    limit = " The estimate was a limit: a search may take less." if found["upper"] else ""
    st.caption(plain(f"The estimate of the dry run before the start, and its error.{limit}"))
    cards = [Card("Time, estimated", duration(seconds["estimated"]), _span(seconds)),
             Card("Time, real", duration(seconds["real"]), _error(seconds["error"]))]  # fmt: skip
    if memory["real"] is not None:
        cards += [Card("Memory, estimated", f"{count(memory['estimated'])} MB"),
                  Card("Memory, real", f"{count(memory['real'])} MB", _error(memory["error"]))]  # fmt: skip
    card_row(cards, key="run_cards_estimate")
    stages = [stage for stage in found["stages"] if stage["real"] is not None]
    if len(stages) > 1:
        st.dataframe(
            [
                {"stage": stage["name"], "estimated": duration(stage["estimated"]), "real": duration(stage["real"]),
                 "error": _error(stage["real"] / stage["estimated"] - 1) if stage["estimated"] else "",
                 "attempts": stage["attempts"]}
                for stage in stages
            ],
            hide_index=True, width="stretch", key="estimate_table",
        )  # fmt: skip


def _span(pair: Mapping[str, Any]) -> str:
    low, high = pair["low"], pair["high"]
    return f"{duration(low)} to {duration(high)}" if low is not None and high is not None else ""


def _error(error: float | None) -> str:
    if error is None:
        return ""
    if abs(error) < 0.005:
        return "as estimated"
    return f"{percent(abs(error), 0)} {'more' if error > 0 else 'less'} than estimated"
