"""Runs of one plan with several seeds are one strategy, and strategies are compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from core.config import Plan
from core.runs.alike import judge_runs, strategies_of
from core.runs.compare import Documents, Pair, compare
from core.runs.records import RunRecord, Status

_ROWS = 150


class Home:
    """Runs and their results, in memory."""

    def __init__(self) -> None:
        self.runs: list[RunRecord] = []
        self.left: dict[str, dict[str, Any]] = {}

    def add(
        self, name: str, seed: int, right: float, *, status: Status = Status.FINISHED, kind: str = "train",
        known: bool = True, **plan: Any,
    ) -> RunRecord:  # fmt: skip
        config = {"name": name, "tags": [name], "runtime": {"seed": seed}, **plan}
        number = len(self.runs)
        luck = np.random.default_rng([seed, int(1000 * right)]).normal(0, 0.05, _ROWS)
        answers = np.linspace(0, 1, _ROWS) + luck < right
        metrics = {"test/accuracy": float(answers.mean()), "test/macro_f1": right, "test/loss": 0.1}
        record = RunRecord(
            f"run-{number:03d}", kind, name, status, Plan.model_validate(config).model_dump(mode="json"), (), number,
            None, None, 40.0, None, "process", None, None, metrics=metrics if status is Status.FINISHED else {},
        )  # fmt: skip
        self.runs.append(record)
        documents = {"score": "mean", "bits": np.packbits(answers).tobytes().hex()} if known else {}
        self.left[record.id] = {"details": {"test": {"n": _ROWS, "documents": documents}}}
        return record

    def arm(self, name: str, right: float, seeds: Sequence[int] = range(5), **values: Any) -> None:
        for seed in seeds:
            self.add(f"{name} seed {seed}", seed, right, **values)

    def judged(self, **wanted: Any) -> Any:
        return judge_runs(self.runs, self.left.get, **wanted)


def _lr(rate: float) -> dict[str, Any]:
    return {"stages": [{"lr": rate}]}


@pytest.fixture
def home() -> Home:
    found = Home()
    found.arm("high", 0.9, **_lr(1e-4))
    found.arm("low", 0.6, **_lr(1e-5))
    return found


def test_plans_that_differ_in_name_tags_and_seed_only_are_one_strategy(home: Home) -> None:
    found = strategies_of(home.runs)
    assert [(one.name, sorted(one.runs)) for one in found] == [("high", [0, 1, 2, 3, 4]), ("low", [0, 1, 2, 3, 4])]


def test_the_verdict_is_that_of_the_statistics_on_the_same_answers(home: Home) -> None:
    found = home.judged()
    assert (found.metric, found.metrics) == ("test/accuracy", ("test/accuracy", "test/macro_f1"))
    (one,) = found.verdicts
    assert (one.a, one.b, one.winner) == ("high", "low", "a")
    bits = [
        np.unpackbits(np.frombuffer(bytes.fromhex(left["details"]["test"]["documents"]["bits"]), np.uint8))[:_ROWS]
        for left in home.left.values()
    ]
    sides = [np.stack(bits[at : at + 5])[..., None].astype(float) for at in (0, 5)]
    scores = [dict(enumerate(side.mean(axis=(1, 2)))) for side in sides]
    wanted = compare([Pair("x", *scores, documents=Documents(*sides), resolution=1 / _ROWS)])[0]
    assert one.interval == pytest.approx(wanted.both_interval)
    assert one.comparison.documents == _ROWS


def test_other_scores_are_compared_over_seeds_only_and_that_is_said(home: Home) -> None:
    found = home.judged(metric="test/macro_f1")
    assert found.metric == "test/macro_f1"
    assert found.verdicts[0].comparison.documents == 0
    assert any("over seeds only" in words for words in found.notices)


def test_runs_without_known_answers_are_compared_over_seeds(home: Home) -> None:
    home.arm("old", 0.9, known=False, **_lr(1e-3))
    documents = {(one.a, one.b): one.comparison.documents for one in home.judged().verdicts}
    assert documents == {("high", "low"): _ROWS, ("high", "old"): 0, ("low", "old"): 0}


def test_rows_that_changed_under_their_name_are_not_compared_row_by_row(home: Home) -> None:
    for at, run in enumerate(home.runs):
        support = 70 if at < 5 else 80
        home.left[run.id]["details"]["test"]["per_label"] = [{"label": "fresh", "support": support}]
    found = home.judged()
    assert found.verdicts[0].comparison.documents == 0


def test_answers_that_do_not_make_the_score_are_not_its_rows(home: Home) -> None:
    home.runs[0].metrics["test/accuracy"] -= 0.2
    assert home.judged().verdicts[0].comparison.documents == 0


def test_answers_to_questions_are_compared_by_f1_and_by_exact_match() -> None:
    home = Home()
    home.arm("high", 0.9, **_lr(1e-4))
    home.arm("low", 0.6, **_lr(1e-5))
    for run in home.runs:
        told = home.left[run.id]["details"]["test"]["documents"]
        right = np.unpackbits(np.frombuffer(bytes.fromhex(told["bits"]), np.uint8))[:_ROWS]
        told["f1"] = [max(0.25, float(one)) for one in right]
        run.metrics.pop("test/accuracy")
        run.metrics.update({"test/em": float(right.mean()), "test/f1": float(np.mean(told["f1"]))})
    found = home.judged()
    assert found.metric == "test/f1"
    assert found.verdicts[0].comparison.documents == home.judged(metric="test/em").verdicts[0].comparison.documents
    assert found.verdicts[0].comparison.difference == pytest.approx(
        0.75 * (home.judged(metric="test/em").verdicts[0].comparison.difference or 0)
    )


def test_entities_are_compared_by_their_counts() -> None:
    home = Home()
    home.arm("high", 0.9, **_lr(1e-4))
    home.arm("low", 0.6, **_lr(1e-5))
    for run in home.runs:
        generator = np.random.default_rng(int(run.id[-3:]))
        gold = np.random.default_rng(1).integers(1, 4, _ROWS)
        hits = generator.binomial(gold, run.metrics["test/macro_f1"])
        home.left[run.id]["details"]["test"]["documents"] = {
            "score": "f1", "counts": np.column_stack([hits, gold, gold]).tolist(),
        }  # fmt: skip
        run.metrics["test/strict_f1"] = float(hits.sum() / gold.sum())
    found = home.judged()
    assert found.metric == "test/strict_f1"
    assert (found.verdicts[0].winner, found.verdicts[0].comparison.documents) == ("a", _ROWS)


def test_a_failed_run_is_counted_and_takes_its_pair_with_it(home: Home) -> None:
    home.add("low seed 5", 5, 0.6, status=Status.FAILED, **_lr(1e-5))
    home.add("high seed 5", 5, 0.9, **_lr(1e-4))
    (one,) = home.judged().verdicts
    assert (one.comparison.seeds, one.comparison.failed_reference, one.winner) == (5, 1, "a")


def test_repeats_and_unfinished_runs_are_told(home: Home) -> None:
    home.add("high again", 0, 0.1, **_lr(1e-4))
    home.add("low seed 9", 9, 0.6, status=Status.RUNNING, **_lr(1e-5))
    found = home.judged()
    assert found.strategies[0].runs[0].name == "high again"
    assert "1 run of a seed that was there already" in found.notices[0]
    assert "1 run has not ended" in found.notices[1]


def test_plans_that_were_judged_on_other_rows_are_not_compared(home: Home) -> None:
    home.arm("other", 0.7, data={"source": "reviews", "split_seed": 1}, **_lr(1e-4))
    found = home.judged()
    assert [(one.a, one.b) for one in found.verdicts] == [("high", "low")]
    assert any("other rows" in words for words in found.notices)


def test_fewer_training_rows_are_judged_on_the_same_test_rows() -> None:
    home = Home()
    home.arm("all", 0.9, data={"source": "reviews"})
    home.arm("some", 0.6, data={"source": "reviews", "train_rows": 100})
    assert home.judged().verdicts[0].comparison.documents == _ROWS


def test_seeds_of_their_own_are_compared_unpaired() -> None:
    home = Home()
    home.arm("high", 0.9, **_lr(1e-4))
    home.arm("low", 0.6, range(10, 16), **_lr(1e-5))
    found = home.judged()
    assert (found.verdicts[0].winner, found.verdicts[0].comparison.seeds) == ("a", 5)
    assert any("Welch" in words for words in found.notices)


@pytest.mark.parametrize(("seeds", "why"), [(1, "one seed says nothing"), (4, "4 seeds in common; 5 are the least")])
def test_with_few_seeds_there_is_no_verdict(seeds: int, why: str) -> None:
    home = Home()
    home.arm("high", 0.9, range(seeds), **_lr(1e-4))
    home.arm("low", 0.6, range(seeds), **_lr(1e-5))
    (one,) = home.judged().verdicts
    assert one.winner == "no verdict"
    assert one.comparison.why.startswith(why)


def test_one_plan_or_other_kinds_of_runs_have_nothing_to_compare() -> None:
    home = Home()
    home.arm("high", 0.9, **_lr(1e-4))
    home.add("graph", 0, 0.5, kind="graph", **_lr(1e-5))
    assert home.judged().verdicts == ()
    assert judge_runs([], home.left.get).strategies == ()


def test_plans_without_a_score_in_common_say_so(home: Home) -> None:
    for run in home.runs[5:]:
        run.metrics.clear()
    found = home.judged()
    assert (found.verdicts, found.metric) == ((), None)
    assert "No score is known" in found.notices[-1]


def test_equal_names_are_told_apart() -> None:
    home = Home()
    for rate in (1e-4, 1e-5):
        for seed in range(5):
            home.add("same", seed, 0.7 + 100 * rate, **_lr(rate))
    names = {one.name for one in strategies_of(home.runs)}
    assert len(names) == 2
    assert all(name.startswith("same · ") for name in names)
