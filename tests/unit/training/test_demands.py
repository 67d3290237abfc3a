"""Plans that cannot work are refused before anything is trained, with the stage that it concerns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from core.config import Plan
from core.errors import ConfigError
from core.training import MemoryContext, train

OK: dict[str, Any] = {"name": "ok", "epochs": 1}


@pytest.mark.parametrize(
    ("stage", "match", "where"),
    [
        ({"gate": {"metric": "bleu"}}, "no metric 'bleu'", "stages.1.gate.metric"),
        ({"metric": "bleu"}, "no metric 'bleu'", "stages.1.metric"),
        ({"groups": [{"pattern": "nothing"}]}, "matches no parameter", "stages.1.groups.0.pattern"),
        ({"freeze_layers": 9}, "2 layers", "stages.1.freeze_layers"),
        ({"reinit_top_n": 9}, "2 layers", "stages.1.reinit_top_n"),
        ({"groups": [{"pattern": "all", "frozen": True}]}, "nothing is left to train", "stages.1"),
        ({"class_weights": {"good": 1.0}}, "no label", "stages.1.class_weights.good"),
        ({"schedule": {"options": {"oddity": 1}}}, "no option", "stages.1.schedule.options.oddity"),
    ],
)
def test_a_later_stage_is_checked_before_the_first_begins(
    stage: dict[str, Any], match: str, where: str, make_plan: Callable[..., Plan], context: MemoryContext
) -> None:
    with pytest.raises(ConfigError, match=match) as caught:
        train(make_plan(stages=[OK, {"name": "wrong", **stage}]), context)
    assert caught.value.where == where
    assert not context.points


@pytest.mark.parametrize(
    "stages",
    [[{**OK, "gate": {}}], [OK, {"name": "then", "start_from": "best:ok"}]],
    ids=["a gate", "a best evaluation"],
)
def test_what_needs_gate_rows_is_refused_without_them(
    stages: list[dict[str, Any]], make_plan: Callable[..., Plan], context: MemoryContext
) -> None:
    with pytest.raises(ConfigError, match="there are no gate rows"):
        train(make_plan(stages=stages, data={"gate_share": 0.0}), context)
    assert not context.points


def test_a_warm_up_that_is_longer_than_the_stage_is_refused(
    make_plan: Callable[..., Plan], context: MemoryContext
) -> None:
    with pytest.raises(ConfigError, match="warm-up of 50 steps is longer") as caught:
        train(make_plan(stages=[OK, {**OK, "name": "long", "schedule": {"warmup": 50}}]), context)
    assert caught.value.where == "stages.1.schedule.warmup"
    assert not context.points


def test_a_stage_that_is_switched_off_is_not_checked_and_counts_as_a_place(
    make_plan: Callable[..., Plan], context: MemoryContext
) -> None:
    off = {"name": "off", "enabled": False, "metric": "bleu"}
    with pytest.raises(ConfigError) as caught:
        train(make_plan(stages=[off, OK, {"name": "wrong", "metric": "bleu"}]), context)
    assert caught.value.where == "stages.2.metric"
