"""Weights that change over a stage, pairs of layers, and maps between widths: pure functions."""

from __future__ import annotations

import math
from itertools import combinations, combinations_with_replacement

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BertConfig, DistilBertConfig

from core.config.distillation import DistillationConfig, StateLoss, WeightSchedule
from core.config.shape import EncoderShape
from core.models.shaped.configuration import config_of
from core.training.distil.losses import hidden_loss
from core.training.distil.maps import map_group, needed_maps, new_maps
from core.training.distil.pairs import layer_pairs, match_layers
from core.training.distil.sizes import Sizes, sizes_of
from core.training.distil.weights import state_names, weight_at, weights_at


def at(step: int, **schedule: object) -> float:
    return weight_at(2.0, WeightSchedule.model_validate({"to": 6.0, **schedule}), step, 101)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ({"name": "constant"}, [2, 2, 2, 2, 2]),
        ({"name": "linear"}, [2, 3, 4, 5, 6]),
        ({"name": "linear", "begin": 0.25, "end": 0.5}, [2, 2, 6, 6, 6]),
        ({"name": "cosine"}, [2, 4 - 2 * math.sqrt(0.5), 4, 4 + 2 * math.sqrt(0.5), 6]),
        ({"name": "step", "begin": 0.5}, [2, 2, 6, 6, 6]),
        ({"name": "step", "begin": 1.0}, [2, 2, 2, 2, 6]),
    ],
)
def test_a_weight_goes_from_itself_to_another(schedule: dict[str, object], expected: list[float]) -> None:
    assert [at(step, **schedule) for step in (1, 26, 51, 76, 101)] == pytest.approx(expected)


def test_a_stage_of_one_step_has_the_weight_that_it_begins_with() -> None:
    assert weight_at(2.0, WeightSchedule(name="linear", to=6.0), 1, 1) == 2.0


def test_all_weights_of_a_step() -> None:
    config = DistillationConfig.model_validate(
        {
            "teachers": [{"source": "x"}], "alpha": 0.2, "alpha_schedule": {"name": "linear", "to": 0.8},
            "answers": 0.0, "answers_schedule": {"name": "step", "to": 1.0, "begin": 0.5},
            "states": [{"kind": "hidden", "weight": 4.0, "schedule": {"name": "linear"}}, {"kind": "relation"}],
        }
    )  # fmt: skip
    assert weights_at(config, 1, 3) == weights_at(config, 1, 30)
    middle = weights_at(config, 2, 3)
    assert (middle.alpha, middle.answers, middle.states) == (pytest.approx(0.5), 1.0, (2.0, 1.0))


def test_losses_of_one_kind_are_numbered() -> None:
    kinds = ("hidden", "relation", "hidden")
    assert state_names([StateLoss(kind=kind) for kind in kinds]) == ["hidden_1", "relation", "hidden_3"]


@pytest.mark.parametrize(
    ("way", "student", "teacher", "expected"),
    [
        ("uniform", 3, 6, [(1, 2), (2, 4), (3, 6)]),  # TinyBERT's g(m) = m · N / M
        ("uniform", 2, 3, [(1, 2), (2, 3)]),
        ("uniform", 6, 3, [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (6, 3)]),
        ("skip", 6, 12, [(1, 2), (2, 4), (3, 6), (4, 8), (5, 10)]),  # PKD-Skip of the paper
        ("last", 2, 12, [(2, 12)]),
        ([(1, 5)], 2, 6, [(1, 5)]),
    ],
)
def test_layer_maps(way: object, student: int, teacher: int, expected: list[tuple[int, int]]) -> None:
    assert layer_pairs(way, student, teacher) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("way", "told"),
    [
        ([(2, 9)], "layer 2 of the student from layer 9 of the teacher: they have 1 and 6"),
        ("skip", "without its last layer"),
        ("odd", "no layer map"),
    ],
)
def test_a_map_that_names_no_layer_is_refused(way: object, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        layer_pairs(way, 1, 6)  # type: ignore[arg-type]


@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 10**6))
@settings(max_examples=80, deadline=None)
def test_a_match_keeps_the_order_and_no_other_is_better(student: int, teacher: int, seed: int) -> None:
    likeness = np.random.default_rng(seed).random((student, teacher))
    found = match_layers(likeness)
    assert [own for own, _ in found] == list(range(1, student + 1))
    ways = combinations if student <= teacher else combinations_with_replacement
    best = max(sum(likeness[own, other] for own, other in enumerate(way)) for way in ways(range(teacher), student))
    chosen = [other - 1 for _, other in found]
    assert tuple(chosen) in set(ways(range(teacher), student))
    assert sum(likeness[own, other] for own, other in enumerate(chosen)) == pytest.approx(best)


def test_a_layer_that_is_constant_does_not_break_a_match() -> None:
    assert match_layers(np.array([[np.nan, 0.2, 0.9], [np.nan, 0.1, 0.3]])) == [(1, 2), (2, 3)]


def test_sizes_are_each_layers_own() -> None:
    plain = sizes_of(BertConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=4))
    assert plain == Sizes((32, 32, 32), (32, 32), (4, 4))
    assert sizes_of(DistilBertConfig(dim=24, n_layers=1, n_heads=3)) == Sizes((24, 24), (24,), (3,))
    layers = [{"width": 24, "heads": 3}, {"width": 16, "heads": 2, "head_size": 4}]
    for mode, hidden in (("bus", (32, 32, 32)), ("stepped", (32, 24, 16))):
        shape = EncoderShape.model_validate({"mode": mode, "layers": layers, "embedding": 32})
        assert sizes_of(config_of(shape)) == Sizes(hidden, (24, 8), (3, 2))


def losses(*given_: dict[str, object]) -> list[StateLoss]:
    return [StateLoss.model_validate(one) for one in given_]


def test_one_map_serves_all_pairs_of_equal_widths_and_only_where_it_is_needed() -> None:
    teacher, narrow = Sizes((32,) * 5, (32,) * 4, (4,) * 4), Sizes((16, 16, 16), (16, 16), (2, 2))
    steps = Sizes((24, 24, 16), (24, 16), (3, 2))
    several = losses({"kind": "embedding"}, {"kind": "hidden"}, {"kind": "relation"}, {"kind": "hidden", "map": "none"})
    assert needed_maps(several, narrow, teacher) == {
        "distil.map.0.16x32": (16, 32), "distil.map.1.16x32": (16, 32),
    }  # fmt: skip
    assert needed_maps(several[1:2], steps, teacher) == {
        "distil.map.0.24x32": (24, 32), "distil.map.0.16x32": (16, 32),
    }  # fmt: skip
    assert needed_maps(several, teacher, teacher) == {}
    assert needed_maps(losses({"kind": "hidden", "map": "linear"}), teacher, teacher) == {
        "distil.map.0.32x32": (32, 32)
    }
    assert needed_maps(losses({"kind": "hidden", "layers": "last"}), steps, teacher) == {"distil.map.0.16x32": (16, 32)}
    assert set(needed_maps(losses({"kind": "hidden", "layers": "cka"}), steps, teacher).values()) == {
        (24, 32), (16, 32),
    }  # fmt: skip


def test_maps_follow_from_the_seed_and_begin_without_loss_where_nothing_differs() -> None:
    needed = {"a": (16, 32), "b": (32, 32)}
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    one, two = (new_maps(needed, seed, torch.device("cpu")) for seed in (1, 1))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(one[name], two[name]) for name in needed)
    assert not torch.equal(one["a"], new_maps(needed, 2, torch.device("cpu"))["a"])
    assert torch.equal(one["b"], torch.eye(32))
    vectors = torch.randn(5, 16)
    assert torch.allclose((vectors @ one["a"].T).norm(dim=-1), vectors.norm(dim=-1), rtol=1e-5)


def test_a_map_is_trained_through_the_student_only() -> None:
    states, mask = torch.randn(2, 4, 8, requires_grad=True), torch.ones(2, 4)
    teacher = torch.randn(2, 4, 12, requires_grad=True)
    through = torch.nn.Parameter(torch.randn(12, 8))
    loss = hidden_loss(teacher, states, mask, "mse", through=through)
    expected = ((states @ through.T - teacher) ** 2).mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    loss.backward()
    assert teacher.grad is None
    assert through.grad is not None
    assert states.grad is not None


def test_the_normalised_distance_of_first_positions_is_that_of_the_paper() -> None:
    teacher, student = torch.randn(3, 5, 8), torch.randn(3, 5, 8)
    found = hidden_loss(teacher, student, torch.ones(3, 5), "normalised", positions="first").item()
    rows = [
        np.linalg.norm(left / np.linalg.norm(left) - right / np.linalg.norm(right)) ** 2
        for left, right in zip(teacher[:, 0].double().numpy(), student[:, 0].double().numpy(), strict=True)
    ]
    assert found == pytest.approx(np.mean(rows), rel=1e-5)


def test_the_group_of_maps_has_the_heads_rate_and_no_decay() -> None:
    from core.config import Stage

    maps = new_maps({"a": (4, 4)}, 0, torch.device("cpu"))
    distil = {"teachers": [{"source": "x"}]}

    def group(**fields: object) -> tuple[float, float]:
        stage = Stage.model_validate({"kind": "distil", "lr": 1e-4, "distil": distil, **fields})
        (found,) = map_group(stage, maps)
        return found.lr, found.weight_decay

    assert group() == (1e-4, 0.0)
    assert group(head_lr=1e-3) == (1e-3, 0.0)
    assert group(head_lr=1e-3, distil={**distil, "maps_lr": 0.01}) == (0.01, 0.0)
    assert map_group(Stage(), maps) == map_group(Stage(), {}) == []
