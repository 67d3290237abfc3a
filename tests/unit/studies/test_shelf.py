"""The shelf: every claim is complete, its arms are plans, and arms that are compared differ in what is claimed only."""

from __future__ import annotations

import pytest

from core.config import ClaimConfig
from core.errors import ConfigError
from core.studies import CLAIMS, Claim, claim_named
from core.studies.arms import plan_of, steps_of
from core.studies.run import jobs_of

_EVERY = [pytest.param(claim, part, id=f"{claim.name}-{part}") for claim in CLAIMS for part in claim.designs]


def test_the_shelf_holds_the_articles_sentences_once_each() -> None:
    names = [claim.name for claim in CLAIMS]
    assert len(set(names)) == len(names) >= 7
    assert sum(not claim.is_table for claim in CLAIMS) == 6


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_each_claim_is_tested_for_a_head_alone_and_for_full_training(claim: Claim) -> None:
    assert set(claim.designs) == {"head", "full"}
    assert claim.sentence
    assert claim.tested
    assert claim.decided


@pytest.mark.parametrize(("claim", "part"), _EVERY)
def test_comparisons_name_arms_that_exist(claim: Claim, part: str) -> None:
    design = claim.designs[part]  # type: ignore[index]
    names = [arm.name for arm in design.arms]
    assert len(set(names)) == len(names)
    for contrast in design.contrasts:
        assert contrast.arm in names
        assert contrast.reference in names
        assert contrast.arm != contrast.reference


@pytest.mark.parametrize(("claim", "part"), _EVERY)
def test_every_arm_is_a_valid_plan_of_the_planned_steps(claim: Claim, part: str) -> None:
    config = ClaimConfig(claim=claim.name)
    for arm in claim.designs[part].arms:  # type: ignore[index]
        plan = plan_of(config, part, arm, 3)  # type: ignore[arg-type]
        assert sum(stage.steps or 0 for stage in plan.stages) == steps_of(config, part, arm)  # type: ignore[arg-type]
        assert all(stage.freeze_encoder == (part == "head") for stage in plan.stages)
        assert plan.runtime.seed == 3
        assert plan.runtime.precision == "fp32"


@pytest.mark.parametrize(("claim", "part"), _EVERY)
def test_arms_that_are_compared_have_equal_steps_batches_and_data(claim: Claim, part: str) -> None:
    config = ClaimConfig(claim=claim.name)
    plans = [plan_of(config, part, arm, 0) for arm in claim.designs[part].arms]  # type: ignore[arg-type,index]
    assert len({sum(stage.steps or 0 for stage in plan.stages) for plan in plans}) == 1
    assert len({plan.data.model_dump_json() for plan in plans}) == 1
    if claim.name != "batch-memory":
        assert len({stage.batch_size for plan in plans for stage in plan.stages}) == 1


def test_arms_of_one_name_are_the_same_training_in_every_claim() -> None:
    config = ClaimConfig()
    seen: dict[tuple[str, str], str] = {}
    for claim in CLAIMS:
        for part, design in claim.designs.items():
            for arm in design.arms:
                plan = plan_of(config, part, arm, 0).model_dump_json()
                assert seen.setdefault((part, arm.name), plan) == plan


def test_a_raised_rate_is_trained_stage_by_stage_from_the_weights_before() -> None:
    claim = claim_named("small-then-raise")
    arm = next(arm for arm in claim.designs["full"].arms if len(arm.stages) == 3)
    plan = plan_of(ClaimConfig(steps=50), "full", arm, 0)
    assert [stage.lr for stage in plan.stages] == [2e-5, 6e-5, 2e-4]
    assert [stage.steps for stage in plan.stages] == [17, 16, 17]
    assert {stage.start_from for stage in plan.stages} == {"last"}


def test_runs_of_all_arms_of_a_seed_come_before_the_next_seed() -> None:
    config = ClaimConfig(claim="lower-is-faster", parts=["head"], seeds=2, first_seed=7)
    assert [job.seed for job in jobs_of(claim_named("lower-is-faster"), config)] == [7, 7, 7, 8, 8, 8]


def test_an_unknown_claim_is_refused_with_the_names_that_exist() -> None:
    with pytest.raises(ConfigError, match="lower-is-faster"):
        claim_named("magic")
