"""Time and memory before the start, stage by stage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.config import Plan
from core.training import estimate
from core.training.estimate import dry_run


@pytest.fixture
def staged(make_plan: Callable[..., Plan]) -> Callable[..., Plan]:
    def build(*stages: dict[str, Any]) -> Plan:
        usual = {"epochs": 1, "lr": 1e-3, "batch_size": 16}
        named = [{"name": f"s{number}", **usual, **stage} for number, stage in enumerate(stages)]
        return Plan.model_validate({**make_plan().model_dump(), "stages": named})

    return build


Staged = Callable[..., Plan]


def test_every_stage_has_an_estimate_and_the_whole_is_their_sum(staged: Staged, shared_cache: Path) -> None:
    found = dry_run(staged({"freeze_encoder": True}, {"epochs": 2}), cache=shared_cache)
    first, second = found["stages"]
    assert [stage["name"] for stage in found["stages"]] == ["s0", "s1"]
    assert second["steps"] == 2 * first["steps"]
    assert found["steps"] == 3 * first["steps"]
    assert first["trainable_parameters"] < second["trainable_parameters"] <= found["parameters"]
    assert found["trainable_parameters"] == second["trainable_parameters"]
    assert found["memory_mb"] == max(first["memory_mb"], second["memory_mb"])
    assert first["cache_mb"] > 0
    assert second["cache_mb"] == 0
    for name in ("seconds", "seconds_low", "seconds_high"):
        assert found[name] >= sum(stage[name] for stage in found["stages"]) - 0.1
    for stage in found["stages"]:
        assert 0 < stage["seconds_low"] <= stage["seconds"] <= stage["seconds_high"] <= stage["seconds_most"] + 1e-9


def test_stages_that_do_the_same_work_are_measured_once(
    staged: Staged, shared_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []
    whole = estimate._timed_steps
    monkeypatch.setattr(estimate, "_timed_steps", lambda session: measured.append(session.stage.name) or whole(session))
    stages = [{"lr": 1e-4}, {"lr": 1e-3, "epochs": 3}, {"freeze_encoder": True}, {"enabled": False}]
    found = dry_run(staged(*stages), cache=shared_cache)
    assert measured == ["s0", "s2"]
    assert [stage["name"] for stage in found["stages"]] == ["s0", "s1", "s2"]


def test_retries_count_in_the_longest_time_only(staged: Staged, shared_cache: Path) -> None:
    found = dry_run(staged({"gate": {}, "max_retries": 3}), cache=shared_cache)
    (stage,) = found["stages"]
    assert stage["attempts"] == 4
    assert stage["seconds_most"] > 2.5 * stage["seconds_high"]


def test_a_search_is_estimated_as_all_its_trials_and_says_that_it_is_a_limit(
    staged: Staged, shared_cache: Path
) -> None:
    search = {"space": {"lr": {"low": 1e-4, "high": 1e-3}}, "trials": 4}
    test = {"steps": 20}
    found = dry_run(staged({"kind": "range_test", "range_test": test}, {"kind": "search", "search": search}),
                    cache=shared_cache)  # fmt: skip
    ranged, searched = found["stages"]
    assert ranged["steps"] == 20
    assert searched["steps"] == 4 * 6
    assert found["upper"]
    assert searched["upper"]
    assert searched["seconds"] > ranged["seconds"]


def test_nothing_of_a_dry_run_is_kept(staged: Staged, tmp_path: Path) -> None:
    dry_run(staged({"freeze_encoder": True}, {"reinit_top_n": 1}), cache=tmp_path / "cache")
    assert not (tmp_path / "cache" / "activations").exists()
