"""Verdicts: what may be said after five seeds and some hundred documents."""

from __future__ import annotations

import numpy as np
import pytest

from core.runs.compare import Documents, Pair, Verdict, compare

_SEEDS = range(5)


def _documents(gain: float, seed: int = 0, count: int = 600) -> Documents:
    generator = np.random.default_rng(seed)
    base = generator.random((5, count, 1))
    return Documents((base < 0.70 + gain).astype(float), (base < 0.70).astype(float))


def _pair(gain: float, noise: float = 0.004, **changes: object) -> Pair:
    generator = np.random.default_rng(1)
    reference = {seed: 0.70 + generator.normal(0, 0.01) for seed in _SEEDS}
    arm = {seed: value + gain + generator.normal(0, noise) for seed, value in reference.items()}
    values = {"name": "a against b", "arm": arm, "reference": reference, "documents": _documents(gain), **changes}
    return Pair(**values)  # type: ignore[arg-type]


def test_a_clear_gain_over_seeds_and_documents_is_better() -> None:
    found = compare([_pair(0.10)])[0]
    assert found.verdict is Verdict.BETTER
    assert found.interval_corrected is not None
    assert found.interval_corrected[0] > 0
    assert found.seeds == 5
    assert found.difference == pytest.approx(found.arm_mean - found.reference_mean)  # type: ignore[operator]


def test_a_clear_loss_is_worse_and_for_losses_it_is_the_other_way_round() -> None:
    assert compare([_pair(-0.10)])[0].verdict is Verdict.WORSE
    assert compare([_pair(-0.10, larger_is_better=False, documents=None)])[0].verdict is Verdict.BETTER


def test_seeds_alone_do_not_make_a_winner_where_documents_disagree() -> None:
    found = compare([_pair(0.10, documents=_documents(0.01, count=40))])[0]
    assert found.verdict is Verdict.UNDECIDED
    assert found.p is not None
    assert found.p < 0.05


def test_documents_alone_do_not_make_a_winner_where_seeds_disagree() -> None:
    found = compare([_pair(0.05, noise=0.2)])[0]
    assert found.verdict is Verdict.UNDECIDED
    assert found.documents_p is not None
    assert found.documents_p < 0.05


def test_a_difference_below_the_margin_is_no_win() -> None:
    found = compare([_pair(0.02, noise=0.001, delta=0.05, documents=None)])[0]
    assert found.verdict is Verdict.EQUIVALENT
    found = compare([_pair(0.045, noise=0.008, delta=0.05, documents=None)])[0]
    assert found.verdict is Verdict.UNDECIDED
    assert "margin" in found.why


def test_arms_that_agree_within_the_margin_are_equivalent() -> None:
    found = compare([_pair(0.0, noise=0.001, delta=0.05)])[0]
    assert found.verdict is Verdict.EQUIVALENT


def test_four_seeds_give_intervals_but_no_verdict() -> None:
    values = dict.fromkeys(range(4), 0.9)
    found = compare([Pair("a", values, {seed: 0.1 + seed / 100 for seed in range(4)})])[0]
    assert found.verdict is Verdict.NONE
    assert found.why == "fewer than 5 seeds: no verdict"
    assert found.interval is not None


def test_one_seed_gives_a_difference_without_an_interval() -> None:
    found = compare([Pair("a", {0: 0.9}, {0: 0.7})])[0]
    assert (found.verdict, found.interval) == (Verdict.NONE, None)
    assert found.difference == pytest.approx(0.2)


def test_failed_runs_are_counted_and_take_their_pair_with_them() -> None:
    pair = _pair(0.10)
    arm = {**pair.arm, 0: None}
    found = compare([Pair("a", arm, pair.reference)])[0]
    assert (found.failed_arm, found.failed_reference, found.seeds) == (1, 0, 4)
    assert found.verdict is Verdict.NONE


def test_an_arm_that_always_failed_has_no_numbers() -> None:
    found = compare([Pair("a", dict.fromkeys(_SEEDS), dict.fromkeys(_SEEDS, 0.5))])[0]
    assert (found.verdict, found.failed_arm, found.difference) == (Verdict.NONE, 5, None)


def test_many_comparisons_need_more_evidence_than_one() -> None:
    gains = [0.01, 0.02, 0.005, 0.03, 0.015]  # p = 0.02
    one = Pair("one", {seed: 0.7 + gain for seed, gain in enumerate(gains)}, dict.fromkeys(_SEEDS, 0.7))
    alone = compare([one])[0]
    assert alone.verdict is Verdict.BETTER
    noise = [_pair(0.0, noise=0.05, documents=None) for _ in range(9)]
    together = compare([one, *noise])[0]
    assert together.verdict is Verdict.UNDECIDED
    assert together.interval == alone.interval
    assert together.p_corrected is not None
    assert alone.p is not None
    assert together.p_corrected == pytest.approx(10 * alone.p)


def test_an_undecided_comparison_says_how_many_seeds_would_be_enough() -> None:
    noise = [0.03, -0.03, 0.02, -0.02, 0.01]
    arm = {seed: 0.7 + value for seed, value in enumerate(noise)}
    found = compare([Pair("a", arm, dict.fromkeys(_SEEDS, 0.7))])[0]
    assert found.verdict is Verdict.UNDECIDED
    # (1.99 + 0.85)² · 0.0259² / 0.01² = 54 with t of many degrees of freedom
    assert found.seeds_needed == pytest.approx(54, abs=3)


def test_no_verdict_is_given_in_vain_when_nothing_differs() -> None:
    """Of 200 families of three comparisons without any difference, about one in twenty may name a winner."""
    generator = np.random.default_rng(5)
    wrong = 0
    for _ in range(200):
        pairs = []
        for _ in range(3):
            reference = dict(enumerate(generator.normal(0.7, 0.02, 5)))
            arm = {seed: value + generator.normal(0, 0.02) for seed, value in reference.items()}
            pairs.append(Pair("null", arm, reference))
        wrong += any(one.verdict in (Verdict.BETTER, Verdict.WORSE) for one in compare(pairs))
    assert wrong <= 20  # P(more than 20 of 200 | 0.05) < 0.001


def test_everything_can_be_written_as_json() -> None:
    import json

    written = json.loads(json.dumps(compare([_pair(0.1)])[0].as_dict()))
    assert written["verdict"] == "better"
    assert len(written["interval"]) == 2
