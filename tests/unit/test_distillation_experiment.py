"""The distillation experiment: arms that differ in nothing else, and a page that says what the files say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.runs.compare import compare
from core.studies.records import ArmRun
from tests.benchmarks.distillation import PAGE, RESULTS, SPEED, Taught, read_results, write_result
from tests.benchmarks.distillation_arms import ARMS, LAYERS, SEEDS, TASKS, Job, jobs, student_plan, teacher_plan
from tests.benchmarks.report_distillation import page, pairs


def test_arms_of_a_seed_differ_in_what_the_teacher_adds_and_in_nothing_else() -> None:
    for task in TASKS:
        for layers in LAYERS:
            plans = {arm: student_plan(Job(task, 3, layers, arm), "teacher").model_dump(mode="json") for arm in ARMS}
            told = [plan["stages"][0].pop("distil") for plan in plans.values()]
            kinds = [plan["stages"][0].pop("kind") for plan in plans.values()]
            assert all(plan == plans["plain"] for plan in plans.values())
            assert kinds == ["train", "distil", "distil", "distil"]
            assert told[0] is None
            changed = [{key for key in one if one[key] != told[1][key]} for one in told[1:]]
            assert changed == [set(), {"differences"}, {"harmful"}]


def test_every_student_has_a_teacher_of_its_seed_that_is_trained_before_it() -> None:
    found = jobs()
    assert len({job.key for job in found}) == len(found) == SEEDS * len(TASKS) * (1 + len(LAYERS) * len(ARMS))
    for at, job in enumerate(found):
        assert job.layers == 0 or Job(job.task, job.seed) in found[:at]
    assert teacher_plan("reviews", 2).runtime.seed == 2


def made(arm: str, seed: int, score: float, layers: int = 3, bits: str = "f0") -> Taught:
    run = ArmRun(
        "full", arm, seed, "accuracy", score=score, gate_score=score, majority=0.5,
        documents={"score": "mean", "bits": bits, "n": 8},
    )  # fmt: skip
    return Taught("reviews", seed, layers, arm, 1_000_000 * (layers or 6), run)


def test_the_page_says_what_is_there_and_no_more(tmp_path: Path) -> None:
    results = [made("teacher", seed, 0.8 + seed / 100, layers=0) for seed in range(2)]
    results += [made(arm, seed, 0.7 + seed / 100) for arm in ARMS for seed in range(2)]
    for one in results:
        write_result(one, tmp_path)
    assert read_results(tmp_path) == sorted(results, key=lambda one: f"{one.key}.json")
    text = page(results, {})
    assert "| 3 layers, without a teacher | 70.5 ± 0.7 % | 2 | 87.6 % ± 0.1 |" in text
    assert "no verdict" in text
    assert "*Not finished*" in text
    assert "Not measured yet" in text  # the tweets


def test_a_verdict_needs_five_seeds_and_both_sources_of_error() -> None:
    results = [made("alone", seed, 0.60 + seed / 1000, bits="c0") for seed in range(5)]
    results += [made("plain", seed, 0.70 + seed / 900, bits="ff") for seed in range(5)]
    one = compare(pairs(results, "reviews", 3))[0]
    assert one.seeds == 5
    assert one.documents == 8
    assert one.difference == pytest.approx(0.1, abs=2e-3)


def test_the_stored_page_is_rendered_from_the_stored_files() -> None:

    speed = json.loads((RESULTS / SPEED).read_text()) if (RESULTS / SPEED).exists() else {}
    assert PAGE.read_text(encoding="utf-8") == page(read_results(), speed)
