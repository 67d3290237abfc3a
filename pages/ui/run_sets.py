"""Prepare, train, test: what a run with an original and a finetuning set made of its rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import streamlit as st

from core.runs.records import RunRecord, Status
from pages.ui.format import count, plain
from pages.ui.planner_sets import fit_badges, made_words

__all__ = ["sets_part", "steps_of"]

_LEARNT = {"original": "the original set", "finetuning": "the finetuning set", "together": "both sets"}
_REASONS = {
    "leaking": "stand in gate or test, or were made of a row there", "repeated": "repeat a row of the set",
    "original": "stand in the original set",
}  # fmt: skip


def sets_part(run: RunRecord, report: Mapping[str, Any]) -> None:
    """Show the three steps; nothing for a run that has one set."""
    if not (report.get("sets") or {}).get("finetuning"):
        return
    st.markdown("##### Prepare, train, test")
    columns = st.columns(3, gap="small")
    for column, (title, words) in zip(columns, steps_of(run.status, report).items(), strict=True):
        key = f"run_sets_{title.rpartition(' ')[2].lower()}"
        with column, st.container(border=True, height="stretch", gap=None, key=key):
            st.markdown(f"**{title}**")
            for line in words:
                st.caption(plain(line, 400))
            if title.endswith("Prepare"):
                st.markdown(" ".join(fit_badges(report)))


def steps_of(status: Status, report: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the lines of each step by its title."""
    sets, roles = report["sets"], report.get("roles") or {}
    original, made = sets["original"], sets["finetuning"]
    prepare = [
        f"Original set: {count(original['rows'])} rows of {_short(original.get('source'))}.",
        f"Finetuning set: {count(made['rows'])} rows of {_short(made.get('source'))}.",
    ]
    told = made_words(report)
    if told:
        source = (made["record"].get("source") or {}).get("given")
        prepare.append(f"Made of {_short(source)}: {told}." if source else f"Made so: {told}.")
    prepare += [
        f"Left out: {count(number)} rows that {_REASONS[reason]}."
        for reason, number in (made.get("dropped") or {}).items() if number
    ]  # fmt: skip
    what = str(sets.get("training"))
    train = [f"Learns from {_LEARNT[what]}: {_rows(roles, 'train')}."]
    if what == "original":
        train.append("The finetuning set was held against it, and not learnt from.")
    train.append(f"Gate, {_rows(roles, 'gate')}, decides which weights are kept.")
    over = status is Status.FINISHED
    test = [f"Test: {_rows(roles, 'test')}.", "Scored once, at the end." if over else "Untouched until the end."]
    return {"1 · Prepare": prepare, "2 · Train": train, "3 · Test": test}


def _rows(roles: Mapping[str, Any], name: str) -> str:
    number = (roles.get(name) or {}).get("rows")
    return "no rows" if not number else f"{count(number)} row{'' if number == 1 else 's'}"


def _short(source: object) -> str:
    words = str(source or "")
    return PurePath(words).name or words
