"""What a stage decides, row by row as docs/stages.md says it."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config import GateConfig, RaiseConfig, Stage
from core.training.decisions import ACTIONS, RULES, decision, gate_words
from core.training.gates import Decision, GateWatch, Place, Raising, Score, capped, decide, passes

# ---- does it pass? --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gate", "score", "reference", "metric", "expected"),
    [
        ({}, Score(0.61), 0.6, "accuracy", True),
        ({}, Score(0.6), 0.6, "accuracy", False),  # equal is not beyond
        ({"min_delta": 0.02}, Score(0.61), 0.6, "accuracy", False),
        ({"min_delta": 0.02}, Score(0.63), 0.6, "accuracy", True),
        ({"rule": "lower"}, Score(0.9, 0.59, 0.95), 0.6, "accuracy", False),
        ({"rule": "lower"}, Score(0.9, 0.61, 0.95), 0.6, "accuracy", True),
        ({"rule": "lower"}, Score(0.9), 0.6, "accuracy", False),  # no interval, no pass
        ({}, Score(0.5), 0.6, "loss", True),
        ({"min_delta": 0.2}, Score(0.5), 0.6, "loss", False),
        ({"rule": "lower"}, Score(0.5, 0.4, 0.7), 0.6, "loss", False),  # for losses the upper end counts
        ({"rule": "lower"}, Score(0.5, 0.4, 0.59), 0.6, "loss", True),
        ({}, Score(math.nan), 0.6, "accuracy", False),
        ({}, Score(0.9), math.nan, "accuracy", False),
        ({}, Score(0.9), None, "accuracy", False),
    ],
)
def test_a_gate_passes_when_the_score_is_beyond_the_reference(
    gate: dict[str, Any], score: Score, reference: float | None, metric: str, expected: bool
) -> None:
    assert passes(GateConfig(**gate), score, reference, metric) is expected


@pytest.mark.parametrize(
    ("gate", "passed", "expected"),
    [
        ({}, [True, False, True], [None, None, None]),
        ({"decide": "first"}, [False, True], [None, "passed"]),
        ({"patience": 2}, [False, False], [None, "patience"]),
        ({"patience": 2}, [False, True, False, False], [None, None, None, "patience"]),
        ({"patience": 2, "decide": "first"}, [False, True], [None, "passed"]),
    ],
)
def test_evaluations_that_end_the_stage(gate: dict[str, Any], passed: list[bool], expected: list[str | None]) -> None:
    watch = GateWatch(GateConfig(**gate))
    assert [watch.observe(one) for one in passed] == expected


# ---- what follows ---------------------------------------------------------------------------------------------------


def made(stage: dict[str, Any], *, guard: bool = False, passed: bool | None = None, **place: Any) -> Decision | None:
    return decide(
        Stage(**{"gate": {} if passed is not None else None, **stage}), Place(**place), guard=guard, passed=passed
    )


def row(found: Decision | None) -> tuple[Any, ...]:
    assert found is not None
    return found.rule, found.action, found.then, found.weights, pytest.approx(found.scale), found.outcome


def test_a_stage_without_gate_that_ends_has_nothing_to_decide() -> None:
    assert made({}) is None


@pytest.mark.parametrize(
    ("stage", "place", "expected"),
    [
        ({"on_pass": "promote"}, {}, ("gate", "promote", "next", "best", 1.0, "promoted")),
        ({"on_pass": "stop"}, {}, ("gate", "stop", "end", "best", 1.0, "stopped")),
        ({"on_pass": "repeat", "max_retries": 2}, {}, ("gate", "repeat", "again", "best", 3.0, None)),
        ({"on_pass": "repeat", "max_retries": 2}, {"begun_again": 2, "scale": 9.0, "repeating": True},
         ("gate", "promote", "next", "best", 9.0, "promoted")),
        ({"on_pass": "repeat", "lr_cap": 2e-3}, {"top": 1e-3}, ("gate", "repeat", "again", "best", 2.0, None)),
        ({"on_pass": "repeat", "lr_cap": 2e-3}, {"top": 1e-3, "scale": 2.0, "repeating": True},
         ("gate", "promote", "next", "best", 2.0, "promoted")),
        ({"on_pass": "repeat", "lr_cap": 1e-4}, {"top": 1e-3}, ("gate", "promote", "next", "best", 1.0, "promoted")),
    ],
)  # fmt: skip
def test_a_gate_that_passes(stage: dict[str, Any], place: dict[str, Any], expected: tuple[Any, ...]) -> None:
    assert row(made(stage, passed=True, **place)) == expected


@pytest.mark.parametrize(
    ("stage", "place", "expected"),
    [
        ({"on_fail": "continue"}, {}, ("gate", "continue", "next", "keep", 1.0, "continued")),
        ({"on_fail": "stop"}, {}, ("gate", "stop", "end", "keep", 1.0, "stopped")),
        ({"on_fail": "rollback"}, {}, ("gate", "rollback", "next", "back", 1.0, "rolled back")),
        ({"on_fail": "cut", "max_retries": 1}, {}, ("gate", "cut", "again", "start", 1 / 3, None)),
        ({"on_fail": "raise", "max_retries": 1}, {}, ("gate", "raise", "again", "start", 3.0, None)),
        ({"on_fail": "raise", "max_retries": 1, "lr_cap": 2e-3}, {}, ("gate", "raise", "again", "start", 2.0, None)),
        ({"on_fail": "raise", "max_retries": 3, "lr_cap": 2e-3}, {"scale": 2.0, "begun_again": 1},
         ("retries", "rollback", "next", "back", 2.0, "rolled back")),
        ({"on_fail": "cut"}, {}, ("retries", "rollback", "next", "back", 1.0, "rolled back")),
        ({"on_fail": "cut", "max_retries": 2}, {"begun_again": 2, "scale": 1 / 9},
         ("retries", "rollback", "next", "back", 1 / 9, "rolled back")),
        ({"on_fail": "cut", "max_retries": 2, "on_exhausted": "stop"}, {"begun_again": 2},
         ("retries", "stop", "end", "back", 1.0, "stopped")),
    ],
)  # fmt: skip
def test_a_gate_that_fails(stage: dict[str, Any], place: dict[str, Any], expected: tuple[Any, ...]) -> None:
    assert row(made(stage, passed=False, **place)) == expected


@pytest.mark.parametrize(
    ("stage", "place", "expected"),
    [
        ({}, {}, ("guard", "fail", "fail", "keep", 1.0, None)),
        ({"max_retries": 1}, {}, ("guard", "rollback", "again", "back", 1 / 3, None)),
        ({"max_retries": 1, "lr_factor": 10}, {"scale": 2.0}, ("guard", "rollback", "again", "back", 0.2, None)),
        ({"max_retries": 1}, {"begun_again": 1}, ("retries", "rollback", "next", "back", 1.0, "rolled back")),
        ({"max_retries": 1, "on_exhausted": "stop"}, {"begun_again": 1},
         ("retries", "stop", "end", "back", 1.0, "stopped")),
    ],
)  # fmt: skip
def test_a_guard_that_holds(stage: dict[str, Any], place: dict[str, Any], expected: tuple[Any, ...]) -> None:
    assert row(made(stage, guard=True, **place)) == expected


@pytest.mark.parametrize(("guard", "passed"), [(True, None), (False, False)])
def test_a_repeat_that_comes_to_nothing_hands_on_the_best_weights(guard: bool, passed: bool | None) -> None:
    stage = {"on_pass": "repeat", "max_retries": 5, "on_fail": "stop", "gate": {}}
    found = made(stage, guard=guard, passed=passed, repeating=True, scale=3.0, begun_again=1)
    assert row(found) == ("guard" if guard else "gate", "promote", "next", "best", 3.0, "promoted")


def test_what_goes_back_goes_on_there_and_a_repeat_begins_anew() -> None:
    again = [
        made({"max_retries": 1}, guard=True),
        made({"on_fail": "cut", "max_retries": 1}, passed=False),
        made({"on_pass": "repeat", "max_retries": 1}, passed=True),
    ]
    assert [one is not None and one.whole for one in again] == [True, True, False]


@given(
    on_pass=st.sampled_from(["promote", "repeat", "stop"]),
    on_fail=st.sampled_from(["cut", "raise", "rollback", "continue", "stop"]),
    on_exhausted=st.sampled_from(["rollback", "stop"]),
    max_retries=st.integers(0, 4),
    cap=st.none() | st.floats(1e-4, 1.0),
    outcomes=st.lists(st.sampled_from(["passes", "fails", "guard"]), min_size=12, max_size=12),
)
def test_every_stage_comes_to_an_end_and_no_raised_rate_goes_beyond_the_cap(
    on_pass: str, on_fail: str, on_exhausted: str, max_retries: int, cap: float | None, outcomes: list[str]
) -> None:
    if on_pass == "repeat" and cap is None and max_retries == 0:
        return  # refused by the schema
    stage = Stage(
        gate={}, on_pass=on_pass, on_fail=on_fail, on_exhausted=on_exhausted, max_retries=max_retries, lr_cap=cap,
        lr_factor=10,
    )  # fmt: skip
    place = Place(top=1e-3)
    for attempt, outcome in enumerate(outcomes):
        passed = None if outcome == "guard" else outcome == "passes"
        found = decide(stage, place, guard=outcome == "guard", passed=passed)
        assert found is not None
        assert found.rule in RULES
        assert found.action in ACTIONS
        if cap is not None and found.scale > place.scale:
            assert 1e-3 * found.scale <= cap * (1 + 1e-9)
        if found.then != "again":
            assert found.then == "fail" or found.outcome is not None
            return
        place = Place(found.scale, 1e-3, attempt + 1, found.action == "repeat")
    raise AssertionError(f"still going on after {len(outcomes)} attempts")


# ---- raising within a stage -----------------------------------------------------------------------------------------


def looked(config: dict[str, Any], *parts: tuple[list[float], list[float]]) -> list[dict[str, Any] | None]:
    raising = Raising(RaiseConfig(**{"every": 4, **config}))
    found = []
    for losses, norms in parts:
        for loss, norm in zip(losses, norms, strict=True):
            raising.observe(loss, norm)
        found.append(raising.look())
    return found


STEADY = [1.0, 1.1, 0.9, 1.0]


def test_rates_are_raised_while_the_loss_falls_and_the_gradient_is_steady() -> None:
    first, second = looked({}, ([1.0] * 4, STEADY), ([0.8] * 4, STEADY))
    assert first is None  # nothing to compare with
    assert second is not None
    assert second["fall"] == pytest.approx(0.2)
    assert second["variation"] == pytest.approx(0.0707, abs=1e-3)


@pytest.mark.parametrize(
    ("config", "losses", "norms"),
    [
        ({}, [1.0] * 4, STEADY),  # does not fall
        ({"min_fall": 0.3}, [0.8] * 4, STEADY),  # not enough
        ({}, [0.8] * 4, [0.1, 5.0, 0.1, 5.0]),  # unsteady
        ({}, [0.8, 0.8, math.nan, 0.8], STEADY),
    ],
)
def test_rates_are_not_raised_otherwise(config: dict[str, Any], losses: list[float], norms: list[float]) -> None:
    assert looked(config, ([1.0] * 4, STEADY), (losses, norms))[1] is None


def test_raising_goes_on_from_its_state() -> None:
    one = Raising(RaiseConfig(every=4))
    for value in (1.0, 0.9):
        one.observe(value, 1.0)
    other = Raising(RaiseConfig(every=4))
    other.load_state_dict(one.state_dict())
    assert other == one
    one.observe(0.5, 1.0)
    assert other != one


def test_a_raised_scale_is_capped_by_the_highest_rate() -> None:
    assert capped(8.0, Stage(lr_cap=2e-3), 1e-3) == pytest.approx(2.0)
    assert capped(8.0, Stage(), 1e-3) == 8.0


# ---- the log --------------------------------------------------------------------------------------------------------


def test_a_decision_holds_what_the_docs_list_and_only_known_words() -> None:
    found = decision(
        3, Stage(name="head"), 1, attempt=2, rule="gate", action="promote",
        evidence={"value": math.nan, "ends": (0.1, math.inf)}, lr_scale=0.5, step=120,
    )  # fmt: skip
    assert found == {
        "number": 3, "stage": "head", "index": 1, "attempt": 2, "rule": "gate", "action": "promote",
        "evidence": {"value": None, "ends": [0.1, None]}, "lr_scale": 0.5, "step": 120,
    }  # fmt: skip
    with pytest.raises(ValueError, match="no decision"):
        decision(1, Stage(), 0, attempt=1, rule="gate", action="dance", evidence={}, lr_scale=1.0, step=1)


def test_a_decision_is_one_sentence_with_its_numbers() -> None:
    evidence = {
        "metric": "gate/accuracy", "value": 0.714, "low": 0.66, "high": 0.76, "reference": 0.58, "min_delta": 0.01,
        "rule": "lower", "passed": True,
    }  # fmt: skip
    stage = Stage(name="head", gate={})
    found = decide(stage, Place(), guard=False, passed=True)
    assert found is not None
    assert gate_words(found, stage, evidence, "its best weights") == (
        "Gate of head: gate/accuracy 0.714 (0.66 to 0.76) passes 0.58 by more than 0.01; its best weights go on to the "
        "next stage."
    )
