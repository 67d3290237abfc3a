"""Where a student lost most: rows whose answer its teacher knows and it does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from pages.ui.format import count, number, percent, plain

__all__ = ["lost_part", "lost_rows"]


def lost_part(found: Mapping[str, Any]) -> None:
    """Show the examples of each teacher, the largest divergence first."""
    st.markdown("**Where the student lost most**")
    for at, one in enumerate(found["teachers"]):
        lost = one.get("lost")
        if lost is None:
            st.caption("The results of this run hold no examples: it was made by an older version.")
            continue
        of = f" that {plain(one['name'], 60)} knows" if len(found["teachers"]) > 1 else " that the teacher knows"
        if not lost["rows"]:
            st.caption(f"None: on {count(lost['of'])} {found['role']} rows the student answers all{of}.")
            continue
        rows = lost_rows(lost)
        st.caption(
            f"On {count(lost['rows'])} of {count(lost['of'])} {found['role']} rows the student is wrong about something"
            f"{of}. The {count(len(rows))} where their answers lie furthest apart:"
        )
        st.dataframe(
            rows, hide_index=True, width="stretch", height=min(38 + 35 * len(rows), 420), key=f"lost_table_{at}",
            column_config={
                "row": st.column_config.TextColumn("row", width="small", help="Number of the row in its source."),
                "text": st.column_config.TextColumn("text", width="large"),
                "apart": st.column_config.TextColumn(
                    "apart", help="Jensen–Shannon divergence of the two answers: 0 alike, 1 nothing in common."
                ),
            },
        )  # fmt: skip


def lost_rows(lost: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return examples as a table; texts stay as they are, for a table shows them as text."""
    rows = []
    for one in lost["examples"]:
        row = {"row": "–" if one.get("row") is None else str(one["row"]), "text": str(one["text"])}
        if "words" in one:
            row["words"] = "; ".join(
                f"{word['word']}: {word['teacher']}, student {word['student']}" for word in one["words"]
            )
        else:
            row |= {name: _answer(one[name]) for name in ("gold", "teacher", "student")}
        row["apart"] = number(one["divergence"], 3)
        row["teacher is sure"] = percent(one["teacher_confidence"])
        row["student is sure"] = percent(one["student_confidence"])
        rows.append(row)
    return rows


def _answer(value: Any) -> str:
    return (", ".join(map(str, value)) or "none") if isinstance(value, list) else str(value)
