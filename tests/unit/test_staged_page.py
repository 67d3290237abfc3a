"""The staged experiment: its arms take equal steps, and ``docs/staged.md`` says what the measured files say."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config import Plan
from core.config.templates import template, templates
from core.runs.compare import Verdict
from core.studies.records import ArmRun
from tests.benchmarks.report_staged import ARMS, compared, page, pool, winners
from tests.benchmarks.staged import PAGE, PLANS, RACE, SEEDS, missing, plan_jobs, race_jobs
from tests.benchmarks.staged_arms import (
    LONG,
    PLAIN,
    READY,
    SEARCH,
    SHORT,
    TRIALS,
    arm_name,
    attempts,
    plain_plan,
    planned_steps,
    ready_plan,
    search_plan,
)
from tests.benchmarks.staged_records import Result, chosen, read_results, write_result

ROWS = 400
LENGTHS = np.random.default_rng(0).integers(5, 40, size=1000)


# -- arms ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", READY)
@pytest.mark.parametrize("steps", [SHORT, LONG])
def test_a_staged_plan_takes_its_steps_and_no_more_all_retries_and_tests_included(name: str, steps: int) -> None:
    assert planned_steps(ready_plan(name, steps, 0), LENGTHS) == steps


@given(name=st.sampled_from(READY), steps=st.integers(24, 3000))
def test_steps_are_divided_without_a_rest_whatever_their_number(name: str, steps: int) -> None:
    assert planned_steps(ready_plan(name, steps, 0), [20] * 1000) == steps


def test_the_search_takes_the_steps_of_its_trials_and_the_single_stage_those_of_one() -> None:
    assert planned_steps(search_plan(0), LENGTHS) == TRIALS * SHORT
    assert planned_steps(plain_plan(0), LENGTHS) == SHORT


def test_the_longer_comparison_takes_as_many_steps_in_all_as_the_search() -> None:
    plans = [ready_plan(*name.rsplit("-", 1)[:1], int(name.rsplit("-", 1)[1]), 0) for name in pool("whole")]
    assert sum(planned_steps(plan, LENGTHS) for plan in plans) == planned_steps(search_plan(0), LENGTHS)


def test_all_arms_of_a_seed_share_task_rows_model_seed_and_batches() -> None:
    plans = [job.plan() for job in race_jobs() if job.seed == 3]
    first = plans[0]
    for plan in plans:
        assert (plan.task, plan.data, plan.model, plan.runtime) == (first.task, first.data, first.model, first.runtime)
        assert {(stage.batch_size, stage.batch_tokens, stage.accumulation) for stage in plan.stages} == {(32, None, 1)}
    assert first.runtime.seed == 3


@pytest.mark.parametrize("name", READY)
def test_a_staged_plan_keeps_order_rates_and_gates_of_the_ready_plan(name: str) -> None:
    def kept(plan: Plan) -> list[tuple[object, ...]]:
        return [
            (one.name, one.kind, one.lr, one.head_lr, one.lr_from, one.start_from, one.layer_decay, one.freeze_layers,
             one.freeze_encoder, one.gate, one.on_pass, one.on_fail, one.lr_factor, one.lr_cap, attempts(one))
            for one in plan.stages
        ]  # fmt: skip

    assert kept(ready_plan(name, SHORT, 0)) == kept(template(name).plan())


def test_a_guard_has_no_retries_that_would_be_steps_beyond_the_plan() -> None:
    for name in READY:
        for stage in ready_plan(name, SHORT, 0).stages:
            assert stage.max_retries == attempts(stage) - 1


def test_the_ready_plans_are_measured_as_they_stand_on_both_samples() -> None:
    jobs = plan_jobs()
    assert len(jobs) == 2 * len(templates())
    plans = {job.name: job.plan() for job in jobs}
    for one in templates():
        assert plans[f"reviews-{one.name}"].stages == one.plan().stages
        assert plans[f"tweets-{one.name}"].stages == one.plan("tweets", "tagging").stages


# -- results ---------------------------------------------------------------------------------------------------------
def made(name: str, seed: int, test: float, gate: float = 0.8, *, planned: int = SHORT, failed: str = "") -> Result:
    """A result that answers so many of its test rows rightly; the same rows are hard for every arm."""
    hard = np.random.default_rng(99).permutation(ROWS)
    luck = np.random.default_rng([seed, len(name)]).normal(0, 3, ROWS)
    right = hard + luck < test * ROWS
    documents = {"score": "mean", "bits": np.packbits(right).tobytes().hex(), "n": ROWS}
    run = ArmRun(
        "full", name, seed, "accuracy", score=None if failed else float(right.mean()),
        gate_score=None if failed else gate, majority=0.578, failed=failed, seconds=12.0,
        documents={} if failed else documents, rows={"gate": 300, "test": ROWS},
    )  # fmt: skip
    return Result(name, seed, run, planned, planned)


def race(staged: float, searched: float, *, seeds: int = SEEDS, long: float | None = None) -> list[Result]:
    """All results of the experiment, where every short staged run scores alike, and every long one."""
    found = []
    for seed in range(seeds):
        found.append(made(PLAIN, seed, 0.6))
        found += [made(arm_name(name, SHORT), seed, staged) for name in READY]
        found += [made(arm_name(name, LONG), seed, long or staged, 0.9, planned=LONG) for name in READY]
        found.append(made(SEARCH, seed, searched, planned=TRIALS * SHORT))
    return found


def test_what_scores_best_on_gate_is_chosen_whatever_it_scores_on_test() -> None:
    results = [made("a", 0, 0.9, gate=0.7), made("b", 0, 0.6, gate=0.8), made("c", 0, 0.99, failed="The loss is nan.")]
    best = chosen(results)
    assert best is not None
    assert best.name == "b"


def test_of_equal_scores_on_gate_the_shorter_run_is_chosen_then_the_first() -> None:
    results = [made("long", 0, 0.9, planned=200), made("short", 0, 0.7), made("other", 0, 0.7)]
    best = chosen(results)
    assert best is not None
    assert best.name == "short"


def test_nothing_is_chosen_where_every_run_failed() -> None:
    assert chosen([made("a", 0, 0.5, failed="The loss is nan.")]) is None


def test_a_seed_whose_runs_are_not_all_there_takes_no_part() -> None:
    results = race(0.8, 0.8)
    results = [one for one in results if one.key != f"{arm_name(READY[0], LONG)}_2"]
    assert set(winners(results, "short")) == {0, 1, 2, 3, 4}
    assert set(winners(results, "whole")) == {0, 1, 3, 4}


@pytest.mark.parametrize(
    ("staged", "searched", "verdict", "words"),
    [
        (0.9, 0.7, Verdict.BETTER, "yes: it beats the search"),
        (0.7, 0.9, Verdict.WORSE, "no: the search scores higher"),
    ],
)
def test_a_clear_difference_is_a_verdict_that_the_page_says(
    staged: float, searched: float, verdict: Verdict, words: str
) -> None:
    results = race(staged, searched)
    assert [one.verdict for one in compared(results)] == [verdict] * 2
    assert page(results, []).count(f"**{words}**") == 2


def test_the_two_comparisons_may_end_differently() -> None:
    results = race(0.7, 0.8, long=0.9)
    assert [one.verdict for one in compared(results)] == [Verdict.WORSE, Verdict.BETTER]


def test_equal_arms_are_never_told_apart() -> None:
    verdicts = {one.verdict for one in compared(race(0.8, 0.8))}
    assert verdicts <= {Verdict.EQUIVALENT, Verdict.UNDECIDED}


def test_with_fewer_than_five_seeds_there_is_no_verdict_and_the_page_names_what_is_missing() -> None:
    results = race(0.9, 0.7, seeds=4)
    assert {one.verdict for one in compared(results)} == {Verdict.NONE}
    text = page(results, [])
    assert text.count("**no verdict**") == len(ARMS)
    arms = 2 * len(READY) + 2
    assert f"{arms} of {SEEDS * arms} runs are missing" in text
    assert f"{SEARCH} (1)" in text


def test_a_page_without_any_run_says_so() -> None:
    text = page([], [])
    assert "*Not finished*" in text
    assert text.count("*Not measured yet*") == 2


def test_the_table_of_ready_plans_shows_scores_and_intervals_of_accuracy_and_f1() -> None:
    counts = np.random.default_rng(1).integers(0, 3, size=(230, 1)) + np.zeros((1, 3), dtype=int)
    tagged = ArmRun(
        "full", "tweets-head-only", 0, "strict_f1", score=1.0, gate_score=0.9, majority=0.25,
        documents={"score": "f1", "counts": counts.tolist(), "n": 230}, rows={"gate": 230, "test": 230},
    )  # fmt: skip
    stages = [{"name": "head", "outcome": "promoted", "attempts": 2}]
    read = made("reviews-head-only", 0, 0.7)
    text = page([], [read, Result("tweets-head-only", 0, tagged, 60, 58, stages)])
    assert f"| [`head-only`](plans/head-only.yaml) | {read.score:.3f} | 0." in text
    assert "| 1.000 | 1.000 – 1.000 | 0.900 | 58 | 0 | head promoted after 2 attempts |" in text


def test_a_result_is_read_as_it_was_written(tmp_path) -> None:
    result = Result("a", 1, made("a", 1, 0.8).run, 40, 38, [{"name": "all", "outcome": "finished"}], [{"number": 0}])
    write_result(tmp_path, result)
    assert read_results(tmp_path) == [result]


# -- what was measured -----------------------------------------------------------------------------------------------
def test_the_page_is_that_of_the_measured_files() -> None:
    assert page(read_results(RACE), read_results(PLANS)) == PAGE.read_text(encoding="utf-8"), (
        "run python -m tests.benchmarks.staged --render"
    )


def test_every_measured_file_belongs_to_a_planned_run() -> None:
    for folder, jobs in ((RACE, race_jobs()), (PLANS, plan_jobs())):
        assert {path.stem for path in folder.glob("*.json")} <= {job.key for job in jobs}
        assert len(missing(jobs)) == len(jobs) - len(list(folder.glob("*.json")))


def test_no_measured_run_took_more_steps_than_its_arm_has() -> None:
    lengths = [20] * 1000
    budgets = {job.key: planned_steps(job.plan(), lengths) for job in race_jobs()}
    for path in RACE.glob("*.json"):
        found = json.loads(path.read_text(encoding="utf-8"))
        assert found["planned"] == budgets[path.stem]
        assert 0 < found["spent"] <= found["planned"]


def test_the_scores_in_the_table_of_ready_plans_are_those_of_the_files() -> None:
    rows = re.findall(r"^\| \[`([a-z-]+)`\]\(plans/[a-z-]+\.yaml\) \| ([0-9.]+) \|", PAGE.read_text(), re.MULTILINE)
    scores = sorted(
        (path.stem.split("-", 1)[1].rsplit("_", 1)[0], f"{json.loads(path.read_text())['run']['score']:.3f}")
        for path in PLANS.glob("*.json")
        if not json.loads(path.read_text())["run"]["failed"]
    )
    assert sorted(rows) == scores
