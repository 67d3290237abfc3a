"""Verdicts of claims, from runs whose outcome is known."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from core.config import Plan
from core.studies import claim_named
from core.studies.records import ArmRun
from core.studies.verdicts import ClaimVerdict, Judged, judge
from tests.unit.studies.made import Learns, config, records


def _judged(name: str, learns: Learns, *, seeds: int = 5, drop: int = 0) -> Judged:
    claim, of = claim_named(name), config(name, parts=["full"], seeds=seeds)
    found = records(claim, of, learns)
    return judge(claim, found[: len(found) - drop], of.seed_list, parts=["full"])[0]


def _fits(best: float) -> Learns:
    """The nearer to the best rate (in decades) the higher the score and the sooner it is there."""

    def learns(plan: Plan) -> tuple[float, float]:
        away = abs(math.log10(plan.stages[-1].lr / best))
        return 0.85 - 0.1 * away, 8 * (1 + 2 * away) + plan.runtime.seed % 3

    return learns


def test_a_sentence_that_is_true_of_every_pair_holds() -> None:
    found = _judged("lower-is-faster", _fits(2e-5))
    assert found.verdict is ClaimVerdict.HOLDS
    assert [one.verdict for one in found.comparisons] == ["better"] * 3
    assert "takes fewer steps" in found.words


def test_a_sentence_that_is_false_of_every_pair_does_not_hold() -> None:
    found = _judged("lower-is-faster", _fits(1e-3))
    assert found.verdict is ClaimVerdict.FAILS
    assert "takes more steps" in found.words


def test_a_sentence_that_is_true_of_some_pairs_holds_in_part() -> None:
    assert _judged("lower-is-faster", _fits(2e-4)).verdict is ClaimVerdict.IN_PART


def test_scores_are_compared_over_seeds_and_over_documents() -> None:
    found = _judged("raise-to-1e-3", _fits(5e-5))
    assert found.verdict is ClaimVerdict.FAILS
    assert all(one.documents == 400 for one in found.comparisons)
    assert all(one.documents_interval is not None for one in found.comparisons)
    assert "scores lower" in found.words


def test_arms_that_score_the_same_are_not_called_different() -> None:
    found = _judged("raise-to-1e-3", lambda plan: (0.8, 10.0))
    assert found.verdict in (ClaimVerdict.UNDECIDED, ClaimVerdict.FAILS)
    assert {str(one.verdict) for one in found.comparisons} <= {"not distinguishable", "equivalent"}


def test_four_seeds_make_no_verdict() -> None:
    found = _judged("raise-to-1e-3", _fits(1e-3), seeds=4)
    assert found.verdict is ClaimVerdict.NONE
    assert "With 4 seeds there is no verdict" in found.words


def test_one_seed_makes_no_verdict_and_no_interval() -> None:
    found = _judged("raise-to-1e-3", _fits(1e-3), seeds=1)
    assert found.words == "With 1 seed there is no verdict; 5 are the least."
    assert found.comparisons[0].difference is not None


def test_runs_that_are_missing_make_no_verdict() -> None:
    found = _judged("raise-to-1e-3", _fits(1e-3), drop=1)
    assert (found.verdict, found.complete) == (ClaimVerdict.NONE, False)


def test_runs_that_failed_count_with_the_majoritys_score_and_are_counted() -> None:
    found = _judged("raise-to-1e-3", lambda plan: None if plan.stages[0].lr > 5e-3 else (0.8, 10.0))
    failed = next(one for one in found.standings if one.arm == "1e-02")
    assert (failed.failed, failed.mean) == (5, None)
    worse = next(one for one in found.comparisons if "1e-02" in one.name)
    assert worse.verdict == "worse"
    assert worse.arm_mean == pytest.approx(0.5)


def test_runs_that_never_reach_the_target_count_with_all_their_steps() -> None:
    found = _judged("lower-is-faster", lambda plan: (0.52, 10.0) if plan.stages[0].lr < 5e-5 else (0.85, 10.0))
    slow = next(one for one in found.standings if one.arm == "2e-05")
    assert (slow.never, slow.steps) == (5, None)
    assert found.comparisons[0].arm_mean == 60


def test_where_nobody_learns_there_is_nothing_to_compare() -> None:
    found = _judged("lower-is-faster", lambda plan: (0.5, 10.0))
    assert found.verdict is ClaimVerdict.NONE
    assert found.target is None
    assert "nothing to compare" in found.words


def test_memory_is_compared_in_megabytes() -> None:
    found = _judged("batch-memory", lambda plan: (0.8, 10.0))
    assert found.verdict is ClaimVerdict.HOLDS  # 2 MB an example: 8 → 32 → 128
    assert found.comparisons[0].difference == pytest.approx(48)


def test_what_a_larger_rate_costs_stands_beside_but_decides_nothing() -> None:
    def fast_but_worse(plan: Plan) -> tuple[float, float]:
        high = plan.stages[0].lr > 1e-4
        return (0.75, 4.0 + plan.runtime.seed % 2) if high else (0.8, 30.0 + plan.runtime.seed % 3)

    found = _judged("production-rate", fast_but_worse)
    assert found.verdict is ClaimVerdict.HOLDS
    price = [one for contrast, one in zip(found.contrasts, found.comparisons, strict=True) if not contrast.expected]
    assert all(one.verdict == "worse" for one in price)


def test_a_table_claims_nothing() -> None:
    assert _judged("rate-table", _fits(1e-3)).verdict is ClaimVerdict.TABLE


def test_both_parts_are_one_family() -> None:
    claim, of = claim_named("raise-to-1e-3"), config("raise-to-1e-3")
    found = records(claim, of, _fits(3e-4))
    both = judge(claim, found, of.seed_list, parts=["head", "full"])
    alone = judge(claim, found, of.seed_list, parts=["full"])
    assert [one.part for one in both] == ["head", "full"]
    assert both[1].comparisons[0].p == alone[0].comparisons[0].p
    wide, narrow = both[1].comparisons[0].interval_corrected, alone[0].comparisons[0].interval_corrected
    assert wide is not None
    assert narrow is not None
    assert wide[1] - wide[0] >= narrow[1] - narrow[0]


def test_a_verdict_can_be_written_as_json() -> None:
    written = json.loads(json.dumps(_judged("raise-to-1e-3", _fits(5e-5)).as_dict()))
    assert written["verdict"] == "does not hold"
    assert written["comparisons"][0]["agrees"] is False
    assert len(written["arms"]) == 3


def test_a_verdict_survives_json() -> None:
    found = _judged("raise-to-1e-3", _fits(5e-5))
    assert Judged.from_dict(json.loads(json.dumps(found.as_dict()))) == found


def test_before_all_runs_are_there_arms_have_means_but_are_not_compared() -> None:
    claim, of = claim_named("raise-to-1e-3"), config("raise-to-1e-3", parts=["full"])
    found = judge(claim, records(claim, of, _fits(5e-5))[:4], of.seed_list, parts=["full"], compared=False)[0]
    assert found.verdict is ClaimVerdict.NONE
    assert found.comparisons == ()
    assert found.standings[0].mean is not None
    assert found.words == "Not all runs are there yet."


def test_records_survive_json() -> None:
    one = records(claim_named("raise-to-1e-3"), config("raise-to-1e-3", seeds=1), _fits(1e-3))[0]
    assert ArmRun.from_dict(json.loads(json.dumps(one.as_dict()))) == one
    assert ArmRun.from_dict({**one.as_dict(), "later": 1}) == replace(one)
