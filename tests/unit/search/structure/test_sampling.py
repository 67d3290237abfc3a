"""What is tried: budgets are met, references are there, and an impossible budget is refused with a possible one."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from core.config.plan import ModelConfig
from core.config.shape import EncoderShape
from core.config.structure import TOLERANCE, StructureConfig
from core.errors import ConfigError, ModelError
from core.models.shaped import count
from core.search.structure.budget import SearchParent, budget_of, check, parent_of, space_of
from core.search.structure.sampling import even_shapes, hand_made, permuted, sample, widths_of
from core.search.structure.tpe import STARTUP, Proposer
from core.search.widths import Space

NEEDED = [320, 256, 192, 256, 256, 320]


def parent_with(layers: int = 6, heads: int = 12, head_size: int = 32) -> SearchParent:
    width = heads * head_size
    return SearchParent("test", EncoderShape.of_widths([width] * layers, head_size=head_size, vocabulary=1000))


PARENT = parent_with()


def segments_with(depths: list[int]) -> dict[int, list[dict[str, Any]]]:
    return {depth: [{"first": 1, "last": 1, "representative": 1, "least": NEEDED[at]} for at in range(depth)]
            for depth in depths}  # fmt: skip


def config_with(**changes: Any) -> StructureConfig:
    return StructureConfig.model_validate(
        {"candidates": 30, "objectives": ["flops", "loss"], "budget": {"share": 0.5}, **changes}
    )


@settings(max_examples=15, deadline=None)
@given(
    st.integers(3, 6), st.sampled_from([8, 12, 16]), st.sampled_from([16, 32]), st.floats(0.3, 0.9), st.booleans(),
    st.sampled_from(["bus", "stepped"]), st.integers(0, 10**6),
)  # fmt: skip
def test_whatever_is_drawn_meets_the_budget_within_three_percent(
    layers: int, heads: int, head_size: int, share: float, readout: bool, mode: str, seed: int
) -> None:
    parent = parent_with(layers, heads, head_size)
    config = config_with(
        budget={"share": share}, mode=mode, readout=readout and mode == "bus", runtime={"seed": seed}, candidates=8,
        hand_made=True,
    )  # fmt: skip
    try:
        depths = check(config, parent)["depths"]
    except ConfigError:  # a small parent has few shapes
        assume(False)
    found = sample(config, parent, segments_with(depths[-2:]))
    budget = budget_of(config, parent)
    for one in found.proposals:
        assert abs(count(one.shape).body - budget) <= TOLERANCE * budget
        assert all(layer.width % head_size == 0 and layer.size_of_head == head_size for layer in one.shape.layers)
        assert one.shape.readout or one.shape.layers[-1].width == parent.width
        assert one.shape.mode == mode


def test_depths_share_the_candidates_and_each_has_its_even_shapes_first() -> None:
    found = sample(config_with(), PARENT, segments_with([4, 5, 6]))
    assert len(found.proposals) == 30
    assert Counter(one.depth for one in found.proposals) == {4: 10, 5: 10, 6: 10}
    assert [one.source for one in found.proposals[:3]] == ["uniform"] * 3
    assert [one.depth for one in found.proposals[:3]] == [4, 5, 6]
    even = [one for one in found.proposals if one.source == "uniform"]
    for one in even:
        assert len(set(widths_of(one.shape))) == 1


def test_even_shapes_are_of_the_usual_ratio_the_widest_and_one_between() -> None:
    found = even_shapes(space_of(config_with(), PARENT, 6))
    usual, widest, between = (one.layers[0] for one in found)
    assert abs(usual.intermediate / usual.width - 4) == min(abs(one.layers[0].intermediate / one.layers[0].width - 4)
                                                             for one in found)  # fmt: skip
    assert usual.width < between.width < widest.width == 384


def test_seven_in_ten_of_what_is_drawn_come_from_the_prior_and_none_in_a_random_search() -> None:
    segments = segments_with([6])
    usual = Counter(one.source for one in sample(config_with(candidates=31), PARENT, segments).proposals)
    random = Counter(one.source for one in sample(config_with(candidates=31, random=True), PARENT, segments).proposals)
    assert usual == {"uniform": 3, "prior": 20, "random": 8}
    assert random == {"uniform": 3, "random": 28}


def test_no_shape_is_tried_twice_and_one_seed_gives_one_sample() -> None:
    segments = segments_with([5, 6])
    first, again = (sample(config_with(hand_made=True), PARENT, segments).proposals for _ in range(2))
    assert first == again
    assert len({widths_of(one.shape) for one in first}) == len(first)
    other = sample(config_with(runtime={"seed": 1}), PARENT, segments).proposals
    assert [widths_of(one.shape) for one in other] != [widths_of(one.shape) for one in first]


def test_shapes_by_hand_fall_rise_and_bulge() -> None:
    found = hand_made(space_of(config_with(), PARENT, 6))
    taper, rise, bulge = (widths_of(found[name]) for name in ("taper", "reverse taper", "bulge"))
    assert list(taper) == sorted(taper, reverse=True)
    assert list(rise) == sorted(rise)
    assert max(bulge) == max(bulge[2:4]) > bulge[0]
    assert bulge == bulge[::-1]


def test_given_widths_take_part_with_ffn_units_that_meet_the_budget() -> None:
    config = config_with(given=[[384, 320, 256, 256, 256, 320]])
    found = sample(config, PARENT, segments_with([6])).proposals
    given_one = next(one for one in found if one.source == "given")
    assert widths_of(given_one.shape) == (384, 320, 256, 256, 256, 320)
    assert count(given_one.shape).body == pytest.approx(budget_of(config, PARENT), rel=TOLERANCE)


def test_what_is_too_slow_is_left_out_and_made_up_for() -> None:
    slow = lambda shape: shape.layers[0].width <= 256  # noqa: E731
    found = sample(config_with(candidates=10), PARENT, segments_with([6]), admit=slow)
    assert len(found.proposals) == 10
    assert all(one.shape.layers[0].width <= 256 for one in found.proposals)
    with pytest.raises(ConfigError, match="No shape meets the budget"):
        sample(config_with(candidates=10), PARENT, segments_with([6]), admit=lambda shape: False)


def test_permuting_keeps_the_values() -> None:
    orders = {tuple(permuted(NEEDED, seed)) for seed in range(20)}
    assert all(sorted(one) == sorted(NEEDED) for one in orders)
    assert len(orders) > 5


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"depths": [7]}, r"7 layers was asked for, the parent has only 6"),
        ({"budget": {"parameters": 1}}, r"No shape of 1 to 6 layers has 1 parameters.*nearest budget that can be met"),
        ({"budget": {"parameters": 10**10}}, r"nearest budget that can be met is [\d,]+, with 6 layers"),
        ({"depths": [2], "budget": {"share": 0.9}}, r"No shape of 2 layers.*nearest budget"),
        ({"given": [[100, 384]]}, r"width 100 is not divisible by the parent's head size 32.*96 or 128"),
        ({"given": [[416, 384]]}, r"width 416 is above the parent's 384"),
        ({"given": [[32] * 7]}, r"7 widths are given, the parent has only 6 layers"),
        ({"given": [[384, 64]], "readout": False}, r"last layer is 64 wide and there is no readout"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_read(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check(config_with(**changes), PARENT)


def test_the_nearest_budget_that_is_named_can_be_met() -> None:
    for wanted in (1, 10**10):
        with pytest.raises(ConfigError) as caught:
            check(config_with(budget={"parameters": wanted}), PARENT)
        advice = caught.value.advice or ""
        nearest = int(advice.split("met is ")[1].split(", with")[0].replace(",", ""))
        assert check(config_with(budget={"parameters": nearest}), PARENT)["depths"]


def test_parents_of_other_families_are_refused_with_what_is_supported(tmp_path: Any) -> None:
    from tests.tiny import tiny_encoder

    other = tiny_encoder(tmp_path / "roberta", "roberta")
    with pytest.raises(ModelError, match=r"'roberta' cannot be the parent.*plain BERT.*search stats"):
        parent_of(ModelConfig(source=str(other)))
    plain = tiny_encoder(tmp_path / "bert", hidden=32, layers=3, heads=4)
    found = parent_of(ModelConfig(source=str(plain)))
    assert (found.layers, found.width, found.head_size, found.ratio) == (3, 32, 8, 2.0)


def test_tpe_proposes_what_did_well_and_the_same_again_after_a_stop() -> None:
    space = Space(layers=4, stream=384, head_size=32, budget=4_000_000)

    def loss(widths: tuple[int, ...]) -> float:
        return abs(widths[0] - 384) / 384 + abs(widths[3] - 192) / 384

    def go(proposer: Proposer, times: int, known: set[tuple[int, ...]]) -> list[tuple[int, ...]]:
        found = []
        for _ in range(times):
            shape = proposer.ask(known)
            assert shape is not None
            assert abs(count(shape).body - space.budget) <= TOLERANCE * space.budget
            known.add(widths_of(shape))
            found.append(widths_of(shape))
            proposer.tell(shape, loss(widths_of(shape)))
        return found

    whole = go(Proposer(space, 0), 30, set())
    early, late = whole[:STARTUP], whole[-8:]
    assert sum(map(loss, late)) / 8 < sum(map(loss, early)) / STARTUP
    assert len(set(whole)) == 30
    again, known = Proposer(space, 0), set[tuple[int, ...]]()
    assert go(again, 12, known) == whole[:12]
    resumed = Proposer(space, 0)
    resumed._told = list(again._told)
    assert go(resumed, 3, set(known)) == whole[12:15]
