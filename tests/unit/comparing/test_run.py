"""The run of a comparison: every run once, resumable one by one, seeds addable, failures counted, one verdict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.errors import ConfigError, DataError
from core.runs.folder import has_checkpoint
from core.studies.comparing.records import read_children
from core.studies.comparing.run import run
from core.studies.comparing.tables import costs, scores_by_class, scores_by_length, standings
from core.studies.comparing.verdicts import results_by
from core.training.context import MemoryContext, Outcome, Request
from tests.unit.comparing.made import ROWS, Trainer, comparison, learns

KEYS = {"task", "a", "b", "difference", "interval", "p", "verdict", "margin", "seeds", "seeds_needed"}


@pytest.fixture
def context(tmp_path: Path) -> MemoryContext:
    (tmp_path / "run").mkdir()
    return MemoryContext(tmp_path / "run", tmp_path / "cache")


def _results(context: MemoryContext) -> dict[str, Any]:
    return json.loads((context.folder / "results.json").read_text())


def test_every_run_is_made_and_the_verdict_is_written(context: MemoryContext) -> None:
    trainer = Trainer(learns)
    assert run(comparison(), context, trainer=trainer) is Outcome.FINISHED
    assert len(trainer.plans) == 2 * 2 * 5
    found = _results(context)
    verdicts = found["details"]["verdicts"]
    assert [(one["task"], one["a"], one["b"]) for one in verdicts] == [
        ("reviews", "slow", "fast"), ("moods", "slow", "fast"),
    ]  # fmt: skip
    assert set(verdicts[0]) >= KEYS
    assert {one["verdict"] for one in verdicts} == {"b"}
    assert verdicts[0]["documents"] == ROWS
    assert verdicts[0]["difference"] == pytest.approx(-0.2, abs=0.05)
    low, high = verdicts[0]["interval"]
    assert low < verdicts[0]["difference"] < high < 0
    assert verdicts[0]["sentence"] == "reviews: fast is better than slow."
    assert found["metrics"]["fast/moods"] == pytest.approx(0.9, abs=0.05)
    assert context.state["step"] == context.state["total_steps"] == 20
    child = context.children["1-0-4"]
    assert (child.ended, child.name, child.tags) == ("finished", "fast · reviews · seed 4", ("fast",))
    assert child.result["test/accuracy"] > 0.8


def test_threads_of_the_first_run_are_those_of_all(context: MemoryContext) -> None:
    trainer = Trainer(learns)
    run(comparison(seeds=1), context, trainer=trainer)
    assert [plan.runtime.threads for plan in trainer.plans] == ["auto", 1, 1, 1]


def test_a_paused_comparison_goes_on_with_the_runs_that_are_missing(context: MemoryContext) -> None:
    of = comparison(seeds=2)
    assert run(of, context, trainer=Trainer(learns, stop_at=4)) is Outcome.PAUSED
    assert len(read_children(context.folder / "compared")) == 3
    assert has_checkpoint(context.folder)
    assert not (context.folder / "results.json").exists()
    again = Trainer(learns)
    assert run(of, context, trainer=again) is Outcome.FINISHED
    assert [(plan.name, plan.runtime.seed) for plan in again.plans] == [
        ("fast · moods · seed 0", 0), ("slow · reviews · seed 1", 1), ("slow · moods · seed 1", 1),
        ("fast · reviews · seed 1", 1), ("fast · moods · seed 1", 1),
    ]  # fmt: skip


def test_a_request_between_two_runs_is_heard(context: MemoryContext) -> None:
    context.at = {0: Request.CANCEL}
    trainer = Trainer(learns)
    assert run(comparison(), context, trainer=trainer) is Outcome.CANCELLED
    assert trainer.plans == []


def test_seeds_are_added_without_making_the_first_runs_again(context: MemoryContext) -> None:
    run(comparison(seeds=2), context, trainer=Trainer(learns))
    (context.folder.parent / "more").mkdir()
    more = MemoryContext(context.folder.parent / "more", context.cache)
    trainer = Trainer(learns)
    assert run(comparison(seeds=5, continues="run"), more, trainer=trainer) is Outcome.FINISHED
    assert {plan.runtime.seed for plan in trainer.plans} == {2, 3, 4}
    assert len(trainer.plans) == 3 * 4
    assert {one["verdict"] for one in _results(more)["details"]["verdicts"]} == {"b"}
    assert any("8 runs are taken over from run" in event["message"] for event in more.events)


def test_runs_whose_plan_has_changed_are_not_taken_over(context: MemoryContext) -> None:
    run(comparison(seeds=1), context, trainer=Trainer(learns))
    (context.folder.parent / "more").mkdir()
    more = MemoryContext(context.folder.parent / "more", context.cache)
    trainer = Trainer(learns)
    run(comparison(seeds=1, budget={"steps": 30}, continues="run"), more, trainer=trainer)
    assert len(trainer.plans) == 4


def test_a_run_that_diverges_is_counted_and_said(context: MemoryContext) -> None:
    def fails(plan: Any) -> float | None:
        return None if plan.runtime.seed == 3 and plan.stages[0].lr > 1e-4 else learns(plan)

    assert run(comparison(seeds=6), context, trainer=Trainer(fails)) is Outcome.FINISHED
    found = _results(context)
    verdict = found["details"]["verdicts"][0]
    assert (verdict["failed"], verdict["seeds"], verdict["verdict"]) == ({"slow": 0, "fast": 1}, 5, "b")
    assert "runs that failed: 1 of fast" in verdict["why"]
    stood = {(one["strategy"], one["task"]): one for one in found["details"]["standings"]}
    assert (stood["fast", "reviews"]["seeds"], stood["fast", "reviews"]["failed"]) == (5, 1)
    assert context.children["1-0-3"].ended == "failed"
    assert [one["failed"] for one in found["runs"] if one["key"] == "1-0-3"] == ["The loss is nan at step 3."]


def test_one_seed_gives_differences_and_no_verdict(context: MemoryContext) -> None:
    run(comparison(seeds=1), context, trainer=Trainer(learns))
    verdict = _results(context)["details"]["verdicts"][0]
    assert (verdict["verdict"], verdict["interval"], verdict["p"]) == ("no verdict", None, None)
    assert verdict["difference"] < -0.1
    assert "5 are the least for a verdict" in verdict["why"]


def test_two_copies_of_a_strategy_get_no_winner(context: MemoryContext) -> None:
    of = comparison(strategies=[{"name": "one", "stage": {"lr": 1e-3}}, {"name": "two", "stage": {"lr": 1e-3}}])
    run(of, context, trainer=Trainer(learns))
    assert {one["verdict"] for one in _results(context)["details"]["verdicts"]} == {"equivalent"}


def test_a_joint_run_counts_for_all_its_tasks_and_says_what_it_costs(context: MemoryContext) -> None:
    of = comparison(strategies=[{"name": "apart", "stage": {"lr": 1e-3}}, {"name": "together", "sharing": "joint"}])
    trainer = Trainer(learns)
    assert run(of, context, trainer=trainer) is Outcome.FINISHED
    assert len(trainer.plans) == 5 * 3
    found = _results(context)
    assert [one["verdict"] for one in found["details"]["verdicts"]] == ["a", "a"]
    assert [(one["task"], one["flag"]) for one in found["details"]["transfer"]] == [
        ("reviews", "negative"), ("moods", "negative"),
    ]  # fmt: skip
    assert all(one["difference"] < 0 and one["interval"][1] < 0 for one in found["details"]["transfer"])
    cost = {one["strategy"]: one for one in found["details"]["costs"]}["together"]
    assert (cost["runs"], cost["parameters"], cost["shared_parameters"]) == (5, 1020, 1000)
    assert cost["examples"] == {"reviews": 77, "moods": 77}
    assert (cost["steps"], cost["steps_by_task"]) == (48, {"reviews": 24, "moods": 24})
    stood = next(one for one in found["details"]["standings"] if one["strategy"] == "together")
    assert (stood["task"], stood["seeds"], stood["gate"]) == ("reviews", 5, 0.6)


def test_data_that_cannot_be_read_ends_the_comparison(context: MemoryContext) -> None:
    def broken(plan: Any, context: object, *, resume: bool = True) -> Outcome:
        raise DataError("There is no such file.")

    with pytest.raises(DataError):
        run(comparison(), context, trainer=broken)
    assert next(iter(context.children.values())).ended == "failed"


def test_a_score_that_the_task_does_not_have_is_named_with_those_that_it_has(context: MemoryContext) -> None:
    of = comparison(tasks=[{"name": "reviews", "metric": "bleu"}])
    with pytest.raises(ConfigError, match=r"no score 'bleu'.*") as told:
        run(of, context, trainer=Trainer(learns))
    assert told.value.expected == "accuracy"


def test_a_record_that_was_cut_short_is_made_again(context: MemoryContext) -> None:
    of = comparison(seeds=1)
    run(of, context, trainer=Trainer(learns))
    (context.folder / "results.json").unlink()
    torn = context.folder / "compared" / "1-1-0.json"
    torn.write_text(torn.read_text()[:60])
    again = Trainer(learns)
    run(of, context, trainer=again)
    assert [plan.name for plan in again.plans] == ["fast · moods · seed 0"]


def test_tables_hold_means_over_seeds(context: MemoryContext) -> None:
    of = comparison(seeds=3)
    run(of, context, trainer=Trainer(learns))
    children = read_children(context.folder / "compared")
    one = standings(of, children)[0]
    values = list(one["values"].values())
    assert one["mean"] == pytest.approx(sum(values) / 3)
    assert one["interval"][0] < one["mean"] < one["interval"][1]
    assert standings(of, children, intervals=False)[0]["interval"] is None
    cost = costs(of, children)[0]
    assert (cost["strategy"], cost["steps"], cost["runs"], cost["failed"]) == ("slow", 48, 6, 0)
    assert cost["examples"] == {"reviews": 24 // 4 * 100, "moods": 600}  # 100 examples a pass of 4 steps
    classes = scores_by_class(of, children)
    assert [(row["value"], row["scores"]["fast"]) for row in classes[:2]] == [("pos", 0.9), ("neg", 0.9)]
    sizes = [1 + at % 40 for at in range(ROWS)]
    groups = scores_by_length(of, children, {"reviews": sizes, "moods": sizes})
    ours = [row for row in groups if row["task"] == "reviews"]
    assert sum(row["support"] for row in ours) == ROWS
    whole = sum(row["support"] * row["scores"]["slow"] for row in ours) / ROWS
    found = results_by(of, children)["slow", "reviews"]
    assert whole == pytest.approx(sum(one.score or 0 for one in found.values() if one) / 3)
