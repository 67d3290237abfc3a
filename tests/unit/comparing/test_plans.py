"""From a comparison to its runs: which there are, with which budget, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.config import Plan, load_config, plan_to_yaml
from core.config.claims import ClaimConfig
from core.config.compared import spent, stage_of, steps_of
from core.config.comparison import Comparison
from core.config.comparison_file import comparison_yaml, preset, presets
from core.config.files import validated
from core.config.joint import JointPlan
from core.errors import ConfigError
from core.runs.sources import absolute_sources, names_hub
from core.studies.comparing.plans import digest_of, examples_seen, jobs_of, plan_of
from tests.unit.comparing.made import comparison


def test_every_strategy_learns_every_task_with_every_seed_seed_after_seed() -> None:
    jobs = jobs_of(comparison(seeds=3, first_seed=7))
    assert len(jobs) == 2 * 2 * 3
    assert [job.seed for job in jobs] == [7] * 4 + [8] * 4 + [9] * 4
    assert [job.title for job in jobs[:4]] == [
        "slow · reviews · seed 7", "slow · moods · seed 7", "fast · reviews · seed 7", "fast · moods · seed 7",
    ]  # fmt: skip
    assert len({job.key for job in jobs}) == len(jobs)


def test_equal_steps_are_equal_whatever_a_step_holds() -> None:
    config = comparison(
        strategies=[{"name": "small", "stage": {"batch_size": 8}}, {"name": "large", "stage": {"batch_size": 64}}],
        budget={"rule": "steps", "steps": 40},
    )
    assert [spent(config, one) for one in config.strategies] == [80, 80]
    tasks = [{**config.tasks[0].model_dump(), "steps": 25}, config.tasks[1].model_dump()]
    uneven = Comparison.model_validate(config.model_dump() | {"tasks": tasks})
    assert [spent(uneven, one) for one in uneven.strategies] == [65, 65]


def test_equal_examples_need_more_steps_of_smaller_batches() -> None:
    config = comparison(
        strategies=[{"name": "small", "stage": {"batch_size": 8}}, {"name": "large", "stage": {"batch_size": 64}}],
        budget={"rule": "examples", "examples": 320},
    )
    small, large = config.strategies
    # 320 / 8 = 40 and 320 / 64 = 5, for each of two tasks
    assert [steps_of(config, small, config.tasks[0]), steps_of(config, large, config.tasks[0])] == [40, 5]
    assert [spent(config, small), spent(config, large)] == [80, 10]


def test_what_is_said_of_a_stage_or_runtime_leaves_the_rest_as_comparisons_have_it() -> None:
    given = comparison().model_dump(exclude={"stage", "runtime"})
    usual = Comparison.model_validate(given)
    assert (usual.runtime.precision, usual.stage.guards.explode_factor) == ("fp32", None)
    partly = Comparison.model_validate(
        given | {"runtime": {"threads": 1}, "stage": {"lr": 1e-4, "schedule": {"warmup": 0}}}
    )
    assert partly.runtime == usual.runtime.model_copy(update={"threads": 1})
    schedule = usual.stage.schedule.model_copy(update={"warmup": 0})
    assert partly.stage == usual.stage.model_copy(update={"lr": 1e-4, "schedule": schedule})
    claim = ClaimConfig.model_validate({"runtime": {"threads": 1}})
    assert (claim.runtime.precision, claim.runtime.keep, claim.runtime.threads) == ("fp32", "metrics", 1)


@pytest.mark.parametrize(
    "changed",
    [
        {}, {"runtime": {"precision": "auto"}}, {"stage": {"guards": {"explode_factor": 10.0}, "head_lr": None}},
        {"stage": {"batch_size": 8, "schedule": {"name": "constant"}}, "runtime": {"threads": 2, "keep": "metrics"}},
    ],
)  # fmt: skip
def test_a_file_of_a_comparison_says_what_differs_from_comparisons_not_from_plans(
    changed: dict[str, Any], tmp_path: Path
) -> None:
    given = comparison().model_dump(exclude={"stage", "runtime"})
    config = Comparison.model_validate(given | changed)
    file = tmp_path / "compare.yaml"
    file.write_text(comparison_yaml(config), encoding="utf-8")
    assert load_config(file) == config


@pytest.mark.parametrize(
    ("examples", "batch", "steps", "seen"),
    [(100, 32, 4, 100), (100, 32, 3, 96), (100, 32, 5, 132), (96, 32, 3, 96), (5, 32, 2, 10)],
)
def test_the_last_step_of_a_pass_holds_what_is_left_of_it(examples: int, batch: int, steps: int, seen: int) -> None:
    assert examples_seen(examples, batch, steps) == seen


def test_plans_of_one_seed_differ_in_what_the_strategy_says_only() -> None:
    config = comparison(runtime={"precision": "fp32", "threads": "auto"})
    slow, fast = (plan_of(config, job, threads=3) for job in jobs_of(config) if job.key in ("0-0-0", "1-0-0"))
    assert isinstance(slow, Plan)
    assert isinstance(fast, Plan)
    apart = {
        key for key, value in slow.stages[0].model_dump().items() if value != fast.stages[0].model_dump()[key]
    }  # fmt: skip
    assert apart == {"lr"}
    assert (slow.stages[0].steps, slow.stages[0].eval_every, slow.runtime.seed) == (24, 2, 0)
    assert slow.runtime.threads == fast.runtime.threads == 3
    assert (slow.data, slow.model, slow.task) == (fast.data, fast.model, fast.task)


def test_a_frozen_encoder_is_trained_by_its_head_alone_at_its_own_rate() -> None:
    config = comparison(
        strategies=[
            {"name": "all"}, {"name": "head", "encoder": "frozen"},
            {"name": "quick head", "encoder": "frozen", "stage": {"lr": 0.02}},
        ],
        stage={"lr": 1e-4, "head_lr": 2e-3},
    )  # fmt: skip
    every, head, quick = (stage_of(config, one, config.tasks[0]) for one in config.strategies)
    assert (every.freeze_encoder, every.lr, every.head_lr) == (False, 1e-4, 2e-3)
    assert (head.freeze_encoder, head.lr, head.head_lr) == (True, 2e-3, None)
    assert quick.lr == 0.02


def _sharing(rule: str) -> Comparison:
    return comparison(
        strategies=[{"name": "apart"}, {"name": "together", "sharing": "joint", "mixing": {"alpha": 1}}],
        budget={"rule": rule, "steps": 40, "examples": 320},
        seeds=2,
    )


def test_a_joint_run_makes_the_steps_of_its_single_runs_together() -> None:
    config = _sharing("steps")
    jobs = jobs_of(config)
    assert [job.title for job in jobs[:3]] == [
        "apart · reviews · seed 0", "apart · moods · seed 0", "together · reviews + moods · seed 0",
    ]  # fmt: skip
    assert len(jobs) == 2 * 3
    singles, joint = [plan_of(config, job) for job in jobs[:2]], plan_of(config, jobs[2])
    assert isinstance(joint, JointPlan)
    assert sum(one.training.steps for one in singles) == joint.training.steps == 80
    assert joint.mixing.alpha == 1
    assert [one.name for one in joint.tasks] == ["reviews", "moods"]
    assert [[one.name for one in single.beside] for single in singles] == [["moods"], ["reviews"]]
    assert not joint.beside
    for at, single in enumerate(singles):
        assert single.tasks == [joint.tasks[at]]
        assert single.plan_for(single.beside[0]).data == joint.plan_of(1 - at).data
        assert single.model == joint.model
        assert (single.training.lr, single.training.schedule) == (joint.training.lr, joint.training.schedule)


def test_tasks_beside_have_names_and_absolute_files_like_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rows.csv").write_text("text,label\na,b\n")
    monkeypatch.chdir(tmp_path)
    config = _sharing("steps")
    values = plan_of(config, jobs_of(config)[0]).model_dump(mode="json")
    values["beside"][0]["data"]["source"] = "rows.csv"
    plan = absolute_sources(JointPlan.model_validate(values))
    assert plan.beside[0].data.source == str(tmp_path / "rows.csv")
    values["beside"][0]["name"] = values["tasks"][0]["name"]
    with pytest.raises(ValueError, match="'reviews' is named twice"):
        JointPlan.model_validate(values)


def test_equal_examples_are_quotas_for_all_strategies() -> None:
    config = _sharing("examples")
    plans = [plan_of(config, job) for job in jobs_of(config)[:3]]
    assert [[one.quota for one in plan.tasks] for plan in plans] == [[320], [320], [320, 320]]
    assert all(plan.training.steps is None for plan in plans)


def test_a_field_that_means_nothing_for_several_tasks_is_named() -> None:
    with pytest.raises(ConfigError, match=r"together.*reinit_top_n means nothing where tasks are learnt together"):
        validated(Comparison, _sharing("steps").model_dump(mode="json") | {
            "strategies": [{"name": "a"}, {"name": "together", "sharing": "joint", "stage": {"reinit_top_n": 1}}],
        }, where="x")  # fmt: skip


def test_a_hash_tells_runs_apart_by_what_decides_their_result() -> None:
    config = comparison()
    job = jobs_of(config)[0]
    same = plan_of(comparison(name="another", tags=["x"], seeds=9), job, threads=2)
    assert digest_of(plan_of(config, job)) == digest_of(same)
    assert digest_of(plan_of(config, job)) != digest_of(plan_of(comparison(budget={"steps": 25}), job))


def test_ready_strategies_are_valid_and_distinct() -> None:
    found = [preset(name) for name in presets()]
    assert [one.name for one in found] == list(presets())
    assert len({one.model_dump_json(exclude={"name"}) for one in found}) == len(found)


def test_a_comparison_survives_its_file(tmp_path) -> None:
    config = comparison()
    (tmp_path / "compare.yaml").write_text(plan_to_yaml(config), encoding="utf-8")
    assert load_config(tmp_path / "compare.yaml") == config


def test_files_of_tasks_are_made_absolute_and_hub_data_is_noticed(tmp_path, monkeypatch) -> None:
    (tmp_path / "rows.csv").write_text("text,label\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    config = comparison(tasks=[{"name": "a", "data": {"source": "rows.csv"}}])
    assert absolute_sources(config).tasks[0].data.source == str(tmp_path / "rows.csv")
    assert not names_hub(config.model_dump())
    assert names_hub(comparison(tasks=[{"name": "a", "data": {"source": "hub:x/y"}}]).model_dump())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"strategies": [{"name": "a", "sharing": "magic"}, {"name": "b"}]}, r"strategies\.0\.sharing.*magic"),
        ({"strategies": [{"name": "a"}, {"name": "a"}]}, "'a' is named twice"),
        ({"strategies": [{"name": "a"}]}, "strategies.*at least 2"),
        ({"tasks": [{"name": "t"}, {"name": "t"}]}, "'t' is named twice"),
        ({"tasks": []}, "tasks.*at least 1"),
        ({"tasks": [{"name": "t", "data": {"test_share": 0}}]}, "no test rows.*compared on test"),
        ({"tasks": [{"name": "t", "data": {"gate_share": 0}}]}, "no gate rows.*chosen on gate"),
        ({"tasks": [{"name": "a/b"}]}, "no slash"),
        ({"stage": {"early_stopping": {"patience": 2}}}, r"stage\.early_stopping.*unequal budgets"),
        ({"stage": {"max_retries": 2}}, r"stage\.max_retries.*unequal budgets"),
        ({"stage": {"schedule": {"warmup": 100}}}, "share of the steps"),
        ({"strategies": [{"name": "a", "stage": {"budget_s": 9}}, {"name": "b"}]}, r"strategies\.0\.stage\.budget_s"),
        ({"strategies": [{"name": "a", "stage": {"steps": 9}}, {"name": "b"}]}, "said by the comparison itself"),
        ({"strategies": [{"name": "a", "stage": {"warp": 9}}, {"name": "b"}]}, "no field 'warp'"),
        ({"strategies": [{"name": "a", "head": "pointer"}, {"name": "b"}]}, "none of the tasks can point"),
        ({"strategies": [{"name": "a", "mixing": {"alpha": 1}}, {"name": "b"}]}, "mixing belongs to joint"),
        ({"strategies": [{"name": "a", "task": {"head": "pointer"}}, {"name": "b"}]}, r"task\.head is said elsewhere"),
        ({"strategies": [{"name": "a", "task": {"warp": 1}}, {"name": "b"}]}, "a task has no field 'warp'"),
        ({"budget": {"rule": "examples"}, "stage": {"batch_tokens": 512}}, "batch_tokens does not say"),
        ({"seeds": 100, "strategies": [{"name": str(n)} for n in range(12)]}, "2,400 runs"),
        ({"margin": 0}, "margin.*greater than 0"),
    ],
)
def test_what_cannot_be_compared_fairly_is_refused(changes, said: str) -> None:
    values = comparison().model_dump(mode="json") | changes
    with pytest.raises(ConfigError, match=said):
        validated(Comparison, values, where="compare.yaml")
