"""A run's decision log in words: what was seen, by which rule, and what followed."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from core.runs.decisions import COLUMNS, action_words, decisions, decisions_csv, evidence_words, rule_words
from core.runs.records import EventRecord
from core.training.decisions import ACTIONS, RULES


def event(data: dict[str, Any], step: int | None = 120, kind: str = "decision", message: str = "Said.") -> EventRecord:
    return EventRecord(1, 1_000.25, step, kind, message, data)


GATE = {
    "stage": "head", "index": 0, "attempt": 1, "rule": "gate", "action": "promote", "lr_scale": 1.0, "step": 120,
    "evidence": {"metric": "gate/accuracy", "value": 0.71234, "low": 0.66, "high": 0.76, "reference": 0.58,
                 "min_delta": 0.01, "rule": "lower"},
}  # fmt: skip


def test_only_decisions_are_listed_in_their_order() -> None:
    found = decisions([event(GATE), event({}, kind="eval"), event({**GATE, "attempt": 2})])
    assert [one["attempt"] for one in found] == [1, 2]
    assert found[0]["stage"] == "head"
    assert (found[0]["rule"], found[0]["action"], found[0]["step"], found[0]["lr_scale"]) == ("gate", "promote", 120, 1)


def test_a_gate_is_told_with_value_interval_reference_and_margin() -> None:
    (one,) = decisions([event(GATE)])
    assert one["words"] == "accuracy 0.7123 (0.66 to 0.76) against 0.58, by more than 0.01, lower end of the interval"


def test_a_raise_is_told_with_losses_and_variation() -> None:
    words = evidence_words("raise_if", {"loss": 0.52, "previous": 0.61, "variation": 0.3, "fall": 0.1475, "steps": 20})
    assert words == "mean loss 0.52 after 0.61, gradient norm varies by 0.3 of its mean"


def test_evidence_of_any_other_rule_is_told_entry_by_entry() -> None:
    words = evidence_words("budget", {"seconds": 61.5, "budget_s": 60, "late": True, "nothing": None})
    assert words == "seconds 61.5; budget s 60; late yes"


def test_a_choice_by_timing_leaves_its_timings_to_the_results() -> None:
    data = {"precision": "bf16", "threads": 2, "timings": [{"seconds": 1.0}], "trained_rows": 100}
    (one,) = decisions([event(data, step=0)])
    assert (one["rule"], one["action"], one["stage"]) == ("choice", "train", None)
    assert one["words"] == "precision bf16; threads 2"


def test_a_lowered_rate_of_an_earlier_version_is_a_plateau() -> None:
    (one,) = decisions([event({}, message="No improvement: the highest learning rate is lowered to 1e-05.")])
    assert (one["rule"], one["action"]) == ("plateau", "lower")
    (one,) = decisions([event({"bytes": 12, "limit": 10}, message="The activations would take 12 MB.")])
    assert (one["rule"], one["action"], one["words"]) == ("choice", "train", "bytes 12; limit 10")


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_words(rule: str) -> None:
    assert "_" not in rule_words(rule)
    assert rule_words(rule)


@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_has_words(action: str) -> None:
    assert "_" not in action_words(action)


def test_the_csv_has_a_row_a_decision_and_runs_nothing_in_a_spreadsheet() -> None:
    found = decisions([event({**GATE, "stage": "=cmd|' /C calc'!A0"}), event(GATE, message='a, "b"\nc')])
    rows = list(csv.reader(io.StringIO(decisions_csv(found))))
    assert rows[0] == list(COLUMNS)
    assert rows[1][2].startswith("'=")
    assert rows[2][:5] == ["1970-01-01T00:16:40.250+00:00", "120", "head", "1", "gate"]
    assert rows[2][-1] == 'a, "b"\nc'
