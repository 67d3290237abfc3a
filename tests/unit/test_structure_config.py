"""The config of a structure search: presets, what does not go together, and what the result depends on."""

from __future__ import annotations

from typing import Any

import pytest

from core.config.files import validated
from core.config.statistics import StatisticsConfig
from core.config.structure import StructureConfig
from core.errors import ConfigError


def refused(**changes: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        validated(StructureConfig, changes, where="test")
    return caught.value.message()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"budget": {"parameters": 0}}, "budget.parameters"),
        ({"budget": {"share": 0}}, "budget.share"),
        ({"budget": {"share": 1.5}}, "budget.share"),
        ({"budget": {"latency_ms": 0}}, "budget.latency_ms"),
        ({"depths": []}, "empty list"),
        ({"depths": [4, 4]}, "twice"),
        ({"depths": [0]}, "depths.0"),
        ({"objectives": ["loss"]}, "two to four"),
        ({"objectives": ["flops", "latency"]}, "needs loss or score"),
        ({"objectives": ["flops", "loss", "loss"]}, "twice"),
        ({"objectives": ["latency", "score"]}, "needs finetune"),
        ({"random": True, "sampler": "tpe"}, "exclude each other"),
        ({"given": [[]]}, "empty list of widths"),
        ({"halving": {"rungs": []}}, "halving.rungs"),
        ({"halving": {"keep": 1}}, "halving.keep"),
        ({"candidates": 0}, "candidates"),
        ({"magic": 1}, "magic"),
    ],
)
def test_what_cannot_be_is_refused_with_its_field(changes: dict[str, Any], said: str) -> None:
    assert said in refused(**changes)


def test_presets_are_valid_and_take_changes() -> None:
    quick, thorough = StructureConfig.quick(), StructureConfig.thorough(name="mine", budget={"share": 0.25})
    assert quick.candidates == 40
    assert thorough.candidates == 300
    assert (thorough.name, thorough.budget.share) == ("mine", 0.25)
    assert sum(thorough.halving.rungs) > sum(quick.halving.rungs)


def test_a_random_search_draws_everything_evenly_and_costs_the_same() -> None:
    usual, random = StructureConfig.quick(), StructureConfig.quick(random=True)
    assert usual.shares == pytest.approx((0.7, 0.3))
    assert random.shares == (0.0, 1.0)
    assert (random.candidates, random.halving) == (usual.candidates, usual.halving)


def test_statistics_are_those_of_the_same_parent_and_corpus() -> None:
    config = StructureConfig(statistics={"rho": 0.9, "words": 300}, corpus={"source": "plots"})  # type: ignore[arg-type]
    found = config.statistics_config()
    assert (found.corpus, found.model, found.rho, found.words) == (config.corpus, config.model, 0.9, 300)
    plain = StructureConfig().statistics_config().relevant()
    assert plain == StatisticsConfig().relevant()  # measured on the page, and used by a search


def test_the_result_does_not_depend_on_the_name() -> None:
    assert StructureConfig(name="a", tags=["x"]).relevant() == StructureConfig(name="b").relevant()
    assert StructureConfig(deviation=0.4).relevant() != StructureConfig().relevant()


def test_stepped_shapes_have_no_readout() -> None:
    assert StructureConfig().with_readout
    assert not StructureConfig(mode="stepped").with_readout
