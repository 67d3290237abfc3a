"""The search form without a page: config ↔ values ↔ widgets without loss, sizes, what a measurement hands over."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config import plan_to_yaml
from core.config.statistics import StatisticsConfig
from core.config.structure import StructureConfig
from core.errors import ConfigError
from pages.ui.structure.search_values import (
    SIZES,
    config_of_yaml,
    from_statistics,
    from_widget,
    read,
    sized,
    state_of,
    to_widget,
    with_finetune,
)


@st.composite
def configs(draw: st.DrawFn) -> StructureConfig:
    random = draw(st.booleans())
    data: dict[str, Any] = {
        "name": draw(st.sampled_from(["a search", "纹 – x"])), "random": random,
        "mode": "bus", "readout": draw(st.booleans()),
        "budget": {
            "parameters": draw(st.none() | st.integers(1, 10**9)), "share": draw(st.floats(0.01, 1)),
            "latency_ms": draw(st.none() | st.floats(0.1, 1000)),
        },
        "depths": draw(st.none() | st.lists(st.integers(1, 24), min_size=1, max_size=4, unique=True)),
        "candidates": draw(st.integers(1, 500)), "deviation": draw(st.floats(0.1, 2)),
        "given": draw(st.lists(st.lists(st.integers(1, 900), min_size=1, max_size=5), max_size=3)),
        "halving": {"rungs": draw(st.lists(st.integers(1, 500), min_size=1, max_size=4))},
        "sampler": "prior" if random else draw(st.sampled_from(["prior", "tpe"])),
    }  # fmt: skip
    if draw(st.booleans()):
        data |= {"finetune": {"steps": draw(st.integers(1, 99))}, "objectives": ["parameters", "loss", "score"]}
    return StructureConfig.model_validate(data)


@settings(max_examples=30, deadline=None)
@given(configs())
def test_a_config_goes_through_form_and_widgets_without_loss(config: StructureConfig) -> None:
    state = state_of(config)
    assert read(state) == (config, {})
    shown = {path: from_widget(path, to_widget(path, value)) for path, value in state.items()}
    assert read(shown) == (config, {})


def test_the_file_is_what_the_command_line_runs() -> None:
    config = StructureConfig.quick(given=[[256, 192]], depths=[2, 3])
    assert config_of_yaml(plan_to_yaml(config), "x.yaml") == config


@pytest.mark.parametrize(
    ("text", "words"),
    [("kind: graph", "another kind: graph"), ("candidates: 0\n", r"candidates \(line 1\)"), ("x: 1", "unknown key")],
)
def test_a_file_that_is_no_search_is_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        config_of_yaml(text, "mine.yaml")


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("halving.rungs", [], "at least 1 item"), ("halving.rungs", ["x"], "valid integer"),
        ("candidates", 0, "greater than or equal to 1"), ("depths", [3, 3], "names one twice"),
        ("objectives", ["parameters", "flops"], "needs loss or score"),
    ],
)  # fmt: skip
def test_what_is_wrong_stands_beside_its_field(path: str, value: Any, words: str) -> None:
    config, found = read({**state_of(StructureConfig()), path: value})
    assert config is None
    assert list(found) == [path]
    assert words in found[path]


def test_what_concerns_several_fields_is_told_for_the_whole() -> None:
    _, found = read({**state_of(StructureConfig()), "random": True, "sampler": "tpe"})
    assert "exclude each other" in found[""]


@pytest.mark.parametrize("size", list(SIZES))
def test_a_size_changes_candidates_and_training_only(size: str) -> None:
    mine = state_of(StructureConfig(name="mine", mode="bus", budget={"share": 0.3}))
    found, wanted = sized(mine, size), state_of(SIZES[size]())
    assert found["candidates"] == wanted["candidates"]
    assert found["halving.rungs"] == wanted["halving.rungs"]
    assert (found["name"], found["budget.share"]) == ("mine", 0.3)


def test_a_measurement_hands_over_what_it_measured_with() -> None:
    measured = StatisticsConfig(
        corpus={"source": "plots", "max_sentences": 700}, words=900, draws=20, runtime={"seed": 4}
    )
    moved = {"thresholds": {"rho": 0.9, "overlap": 0.7, "share": 0.2}}
    state = from_statistics(state_of(StructureConfig()), measured.model_dump(mode="json"), moved)
    config, _ = read(state)
    assert config is not None
    asked = config.statistics_config()
    same = {"rho": 0.9, "overlap": 0.7, "share": 0.2}
    wanted = measured.model_copy(update=same)
    assert asked.relevant()["corpus"] == wanted.relevant()["corpus"]
    assert (asked.words, asked.draws, asked.rho, asked.runtime.seed) == (900, 20, 0.9, 4)


def test_fine_tuning_brings_the_score_into_the_front_and_takes_it_out() -> None:
    on = with_finetune(state_of(StructureConfig()), True)
    config, found = read(on)
    assert not found
    assert config is not None
    assert config.finetune is not None
    assert "score" in config.objectives
    off, _ = read(with_finetune(on, False))
    assert off is not None
    assert (off.finetune, off.objectives) == (None, StructureConfig().objectives)
