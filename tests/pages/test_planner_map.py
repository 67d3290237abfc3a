"""The freeze map says what the training will do, and a click changes exactly one unit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config import Distribution, ParameterGroup, RangeTestConfig, SearchConfig, Stage
from core.errors import ConfigError
from core.training.groups import base_rates, resolve, unit_names
from pages.ui.planner_map import Parameters, cells, matched, span, toggled, trained_share, trained_words

LAYERS = 4


def parameters(layers: int = LAYERS) -> Parameters:
    """Two tensors a unit, named as in BERT."""
    found: list[tuple[str, str, int, int]] = [("bert.embeddings.word_embeddings.weight", "embeddings", 1000, 2)]
    for index in range(layers):
        found.append((f"bert.encoder.layer.{index}.attention.weight", f"layer {index}", 100, 2))
        found.append((f"bert.encoder.layer.{index}.output.bias", f"layer {index}", 10, 1))
    found.append(("classifier.weight", "head", 20, 2))
    return Parameters(*(tuple(column) for column in zip(*found, strict=True)))


def frozen(stage: Stage) -> set[str]:
    return {cell.unit for cell in cells(stage, LAYERS) if cell.state == "frozen"}


shorthands = st.sampled_from(["all", "head", "embeddings", "encoder", "layer:0", "layer:1-2", "layers:2-3", "Layer:3"])
groups = st.builds(
    ParameterGroup,
    pattern=shorthands,
    lr=st.none() | st.sampled_from([1e-3, 2e-3]),
    weight_decay=st.none() | st.just(0.1),
    frozen=st.booleans(),
)
stages = st.builds(
    Stage,
    lr=st.sampled_from([1e-4, 1e-3]),
    head_lr=st.none() | st.just(1e-2),
    layer_decay=st.sampled_from([1.0, 0.9]),
    freeze_layers=st.integers(0, LAYERS),
    freeze_encoder=st.booleans(),
    groups=st.lists(groups, max_size=4),
)
units = st.sampled_from(unit_names(LAYERS))


@given(stages)
def test_the_map_shows_the_rates_that_are_used(stage: Stage) -> None:
    shown = {cell.high for cell in cells(stage, LAYERS) if cell.state == "trained"}
    assert shown == set(base_rates(stage, LAYERS).values())


@given(stages)
def test_with_the_models_parameters_the_map_shows_the_same(stage: Stage) -> None:
    named = cells(stage, LAYERS, parameters())
    assert [(cell.unit, cell.state, cell.high) for cell in named] == [
        (cell.unit, cell.state, cell.high) for cell in cells(stage, LAYERS)
    ]


@given(stages, units)
def test_a_click_changes_this_unit_and_no_other(stage: Stage, unit: str) -> None:
    wanted = frozen(stage) ^ {unit}
    if wanted == set(unit_names(LAYERS)):
        with pytest.raises(ConfigError, match="trained"):
            toggled(stage, LAYERS, unit)
        return
    assert frozen(Stage.model_validate({**stage.model_dump(), **toggled(stage, LAYERS, unit)})) == wanted


@given(stages, units)
def test_what_a_click_wrote_is_what_the_training_freezes(stage: Stage, unit: str) -> None:
    try:
        changed = Stage.model_validate({**stage.model_dump(), **toggled(stage, LAYERS, unit)})
    except ConfigError:
        return
    known = parameters()
    owners = dict(zip(known.names, known.units, strict=True))
    _, still = resolve(zip(known.names, known.dimensions, strict=True), owners, LAYERS, changed)
    assert {owners[name] for name in still} == frozen(changed)


@given(stages, units)
def test_two_clicks_lead_back(stage: Stage, unit: str) -> None:
    try:
        once = Stage.model_validate({**stage.model_dump(), **toggled(stage, LAYERS, unit)})
    except ConfigError:
        return
    if frozen(stage) != set(unit_names(LAYERS)):
        assert frozen(Stage.model_validate({**once.model_dump(), **toggled(once, LAYERS, unit)})) == frozen(stage)


def test_freezing_upwards_is_said_by_the_number_of_layers() -> None:
    stage = Stage()
    for unit in ("embeddings", "layer 0", "layer 1"):
        stage = Stage.model_validate({**stage.model_dump(), **toggled(stage, LAYERS, unit)})
    assert (stage.freeze_layers, stage.freeze_encoder, stage.groups) == (2, False, [])


def test_freezing_the_last_layer_trains_the_head_only() -> None:
    changed = toggled(Stage(freeze_layers=3), LAYERS, "layer 3")
    assert changed == {"freeze_encoder": True, "freeze_layers": 0, "groups": []}


def test_one_layer_in_between_becomes_a_group_and_goes_again() -> None:
    changed = toggled(Stage(), LAYERS, "layer 2")
    assert [(group["pattern"], group["frozen"]) for group in changed["groups"]] == [("layer:2", True)]
    again = toggled(Stage.model_validate({**Stage().model_dump(), **changed}), LAYERS, "layer 2")
    assert again == {"freeze_encoder": False, "freeze_layers": 0, "groups": []}


def test_groups_with_rates_and_regular_expressions_stay() -> None:
    own = [ParameterGroup(pattern="head", lr=1e-2), ParameterGroup(pattern=r"bias$", weight_decay=0.0)]
    changed = toggled(Stage(groups=own), LAYERS, "layer 0")
    assert changed["groups"][1:] == [group.model_dump(mode="json") for group in own]


def test_a_regular_expression_can_freeze_part_of_a_unit() -> None:
    stage = Stage(groups=[ParameterGroup(pattern=r"attention", frozen=True)])
    row = {cell.unit: cell for cell in cells(stage, LAYERS, parameters())}
    assert (row["layer 1"].state, row["layer 1"].trained, row["layer 1"].parameters) == ("trained", 10, 110)
    assert trained_share(list(row.values())) == (1000 + 40 + 20, 1000 + 440 + 20)


def test_a_search_over_rates_leaves_the_units_open() -> None:
    space = {"freeze_layers": Distribution(low=0, high=4)}
    stage = Stage(kind="search", search=SearchConfig(space=space))
    row = cells(stage, LAYERS)
    assert [cell.state for cell in row] == ["searched"] * 5 + ["trained"]


def test_a_fixed_field_is_not_searched() -> None:
    space = {"lr": Distribution(low=1e-5, high=1e-3, fixed=1e-4), "batch_size": Distribution(choices=[16, 32])}
    stage = Stage(kind="search", search=SearchConfig(space=space))
    assert {cell.state for cell in cells(stage, LAYERS)} == {"trained"}


def test_a_range_test_shows_its_range() -> None:
    stage = Stage(kind="range_test", freeze_encoder=True, range_test=RangeTestConfig(lr_min=1e-5, lr_max=0.1))
    head = cells(stage, LAYERS)[-1]
    assert (head.low, head.high) == (1e-5, 0.1)
    assert span([cells(stage, LAYERS)]) == (1e-5, 0.1)


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        (Stage(), "everything"),
        (Stage(freeze_encoder=True), "head only"),
        (Stage(freeze_layers=2), "layers 2–3 and head"),
        (Stage(freeze_encoder=True, groups=[ParameterGroup(pattern="layer:1", lr=1e-4)]), "layer 1 and head"),
        (Stage(groups=[ParameterGroup(pattern="all", frozen=True)]), "nothing"),
        (Stage(groups=[ParameterGroup(pattern="head", frozen=True)]), "embeddings and layers 0–3"),
    ],
)
def test_what_is_trained_in_words(stage: Stage, words: str) -> None:
    assert trained_words(cells(stage, LAYERS)) == words


@pytest.mark.parametrize(
    ("pattern", "tensors", "numbers"),
    [("head", 1, 20), ("all", 10, 1460), ("layer:1-2", 4, 220), (r"bias$", 4, 40), ("nowhere", 0, 0), ("[", 0, 0)],
)
def test_patterns_say_how_much_they_match(pattern: str, tensors: int, numbers: int) -> None:
    assert matched(pattern, parameters(), LAYERS) == (tensors, numbers)


def test_more_frozen_layers_than_there_are_is_drawn_as_all() -> None:
    assert trained_words(cells(Stage(freeze_layers=9), LAYERS)) == "head only"
