"""Planner, first card: the three steps of the data, prepare, train and test, with what each holds and how it fits."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import streamlit as st

from core.api import Studio
from core.runs.sources import data_uses_hub
from pages.ui.format import count, plain
from pages.ui.planner_check import check_question
from pages.ui.planner_draft import Draft, draft, put, widget_key
from pages.ui.planner_jobs import Job, ask, peek
from pages.ui.planner_side import steps_question
from pages.ui.planner_widgets import field

__all__ = ["checks_itself", "fit_badges", "made_words", "sets_part"]

_SOURCE = "data.finetuning_source"
_LEVELS = {"fits": ("green", "fit"), "warned": ("orange", "shifted by"), "refused": ("red", "shifted too far:")}


def sets_part(now: Draft, studio: Studio) -> None:
    """Draw the finetuning set's field and the three steps."""
    named = bool(now.state.get(_SOURCE))
    row = st.columns(2, gap="medium")
    with row[0]:
        field(now, _SOURCE, on_change=_named)
    with row[1]:
        if named:
            field(now, "data.training")
    counted, checked = _known(now, studio)
    rows = (counted.answer.get("rows") or {}) if counted is not None and counted.state == "done" else {}
    report: Mapping[str, Any] = checked.answer if checked is not None and checked.state == "done" else {}
    steps = st.columns(3, gap="small")
    for column, key, title, words in zip(
        steps, ("prepare", "train", "test"), ("1 · Prepare", "2 · Train", "3 · Test"),
        (_prepare(named, report, rows), _train(now, rows), _test(rows)), strict=True,
    ):  # fmt: skip
        with column, st.container(border=True, height="stretch", gap=None, key=f"planner_sets_{key}"):
            st.markdown(f"**{title}**")
            for line in words:
                st.caption(line)
            if key == "prepare" and named:
                badges = fit_badges(report)
                if badges:
                    st.markdown(" ".join(badges))


def _known(now: Draft, studio: Studio) -> tuple[Job | None, Job | None]:
    """Return how far counting the steps and the check are; the rest of the page asks the same, but further below.

    An answer that comes at once makes the page run no second time, so it has to be there before the steps are drawn.
    """
    plan = now.plan()
    local = plan is not None and not (data_uses_hub(plan.data) or plan.model.source.startswith("hub:"))
    if plan is not None and local:
        ask("steps", steps_question(now), partial(studio.steps, plan))
        if checks_itself(now):
            ask("check", check_question(now), partial(studio.data.check, plan.data, plan.task, plan.model))
    return peek("steps", steps_question(now)), peek("check", check_question(now))


def checks_itself(now: Draft) -> bool:
    """Tell whether the check starts by itself: a finetuning set is named, and no other machine need be asked."""
    source = str(now.state.get(_SOURCE) or "")
    return bool(source) and not source.startswith("hub:")


def made_words(report: Mapping[str, Any]) -> str:
    """Return how the finetuning set was made, as far as its record tells: ``read 120 → part 60 → sample 30``."""
    record = ((report.get("sets") or {}).get("finetuning") or {}).get("record") or {}
    steps = [f"{str(step['step']).replace('_', ' ')} {count(step['after'])}" for step in record.get("steps") or []]
    return " → ".join(steps)


def fit_badges(report: Mapping[str, Any]) -> list[str]:
    """Return badges for the fit of the finetuning set: label sets, shift of the labels, shift of the lengths."""
    fit = report.get("fit") or {}
    if not fit:
        return []
    unequal = bool(fit.get("missing") or fit.get("extra"))
    badges = [":red-badge[other labels]" if unequal else ":green-badge[same labels]"]
    for name in ("labels", "lengths"):
        shift = fit.get(name)
        if shift:
            colour, words = _LEVELS[str(shift["level"])]
            number = "" if shift["level"] == "fits" else f" {shift['divergence']:.2f}"
            what = "label shares" if name == "labels" else "lengths"
            badges.append(f":{colour}-badge[{what} {words}{number}]")
    return badges


def _prepare(named: bool, report: Mapping[str, Any], rows: Mapping[str, Any]) -> list[str]:
    if not named:
        return [
            f"Original set{_rows(rows.get('train'))}. A second set, derived from development data, can join it: "
            "`bertloom data derive` makes one."
        ]
    sets = report.get("sets") or {}
    if not sets:
        return ["Original and finetuning set; the check below holds one against the other."]
    words = [
        f"Original set{_rows(sets['original']['rows'])}.",
        f"Finetuning set{_rows(sets['finetuning']['rows'])}.",
    ]
    made = made_words(report)
    return [*words, f"{plain(made[:1].upper() + made[1:], 200)}."] if made else words


def _train(now: Draft, rows: Mapping[str, Any]) -> list[str]:
    from_both = {"together": "both sets", "finetuning": "the finetuning set"}
    what = from_both.get(str(now.state.get("data.training")), "the original set")
    return [f"Learns from {what}{_rows(rows.get('train'))}.", f"Gate{_rows(rows.get('gate'))} decides what is kept."]


def _test(rows: Mapping[str, Any]) -> list[str]:
    return [f"Test{_rows(rows.get('test'))}.", "Untouched until the end, then scored once."]


def _rows(number: Any) -> str:
    return "" if number is None else f" ({count(number)} rows)"


def _named() -> None:
    """Choose what is learnt from when a set was named or taken away."""
    given = str(st.session_state.get(widget_key(_SOURCE)) or "").strip()
    if not given:
        put("data.training", "original")
    elif not draft().state.get(_SOURCE):
        put("data.training", "together")
