"""What a student is told to match, and which positions count: pure functions of tensors."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.special import rel_entr, softmax

from core.config import TaskConfig
from core.config.distillation import DistillationConfig
from core.data.tasks import task_for
from core.data.tasks.base import Task
from core.training.distil.differences import CAP, difference_weights, divergence, effective_size, quadrants
from core.training.distil.losses import attention_loss, hidden_loss, relation_loss, soft_divergence
from core.training.distil.positions import halved
from core.training.distil.weighing import position_weights


def logits(*shape: int, seed: int = 0, scale: float = 2.0) -> torch.Tensor:
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def config(**others: object) -> DistillationConfig:
    return DistillationConfig.model_validate({"teachers": [{"source": "x"}], **others})


def task(*, multi_label: bool = False) -> Task:
    return task_for(TaskConfig(multi_label=multi_label), ["a", "b"])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_soft_divergence_is_the_teachers_relative_entropy_times_the_squared_temperature(temperature: float) -> None:
    teacher, student = logits(7, 4), logits(7, 4, seed=1)
    told = softmax(teacher.double().numpy() / temperature, axis=-1)
    said = softmax(student.double().numpy() / temperature, axis=-1)
    expected = temperature**2 * rel_entr(told, said).sum(-1)
    np.testing.assert_allclose(soft_divergence(teacher, student, temperature).numpy(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("classes", [2, 9])
def test_answers_in_half_precision_keep_the_loss(classes: int) -> None:
    teacher = logits(256, classes, scale=5.0)
    student = teacher + logits(256, classes, seed=1)  # near: a small loss is the hardest to keep
    kept = torch.from_numpy(halved(task(), teacher.numpy()))
    assert kept.dtype == torch.float16
    exact, found, rounded = (
        soft_divergence(one, student, 1.0).view(-1, 32).mean(1) for one in (teacher, kept, teacher.half())
    )
    torch.testing.assert_close(found, exact, rtol=1e-4, atol=0.0)
    assert float(((rounded - exact).abs() / exact).max()) > 1e-4  # what rounding alone would do
    assert torch.equal(kept.argmax(-1), teacher.argmax(-1))


def test_questions_of_their_own_are_not_moved() -> None:
    answers = logits(8, 3).numpy()
    np.testing.assert_array_equal(halved(task(multi_label=True), answers), answers.astype(np.float16))


def test_the_direction_is_from_teacher_to_student() -> None:
    sure, unsure = torch.tensor([[8.0, 0.0]]), torch.tensor([[0.0, 0.0]])
    # KL(sure ‖ unsure) = ln 2 nearly; the other way round the student's sureness is punished far harder.
    assert soft_divergence(sure, unsure, 1.0).item() == pytest.approx(math.log(2), abs=5e-3)
    assert soft_divergence(unsure, sure, 1.0).item() > 3.0


def test_nothing_is_lost_where_student_and_teacher_are_one() -> None:
    same, mask = logits(5, 3), torch.ones(2, 6)
    states = logits(2, 6, 8)
    assert soft_divergence(same, same, 2.0).abs().max() < 1e-6
    assert divergence(same, same).abs().max() < 1e-6
    for distance in ("mse", "cosine", "normalised"):
        assert abs(hidden_loss(states, states, mask, distance).item()) < 1e-6
    assert attention_loss((states, states), (states, states), mask, (2, 2)).item() == 0.0
    assert abs(relation_loss((states,) * 3, (states,) * 3, mask, 2).item()) < 1e-6


def test_no_gradient_reaches_the_teacher() -> None:
    mask = torch.ones(2, 6)
    for loss in (
        lambda left, right: hidden_loss(left, right, mask, "mse"),
        lambda left, right: hidden_loss(left, right, mask, "cosine"),
        lambda left, right: hidden_loss(left, right, mask, "normalised", through=torch.eye(8), positions="first"),
        lambda left, right: attention_loss((left, left), (right, right), mask, (2, 2)),
        lambda left, right: relation_loss((left,) * 3, (right,) * 3, mask, 2),
        lambda left, right: soft_divergence(left.reshape(-1, 8), right.reshape(-1, 8), 2.0).mean(),
    ):
        teacher, student = logits(2, 6, 8).requires_grad_(), logits(2, 6, 8, seed=1).requires_grad_()
        loss(teacher, student).backward()
        assert teacher.grad is None
        assert student.grad is not None
        assert student.grad.abs().max() > 0


@pytest.mark.parametrize("kind", ["mse", "cosine", "normalised", "attention", "relation"])
def test_padding_never_counts_between_layers(kind: str) -> None:
    def loss(left: torch.Tensor, right: torch.Tensor, mask: torch.Tensor) -> float:
        if kind == "attention":
            return attention_loss((left, left), (right, right), mask, (2, 2)).item()
        if kind == "relation":
            return relation_loss((left, 2 * left, left), (right, right, right), mask, 2).item()
        return hidden_loss(left, right, mask, kind).item()

    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    left, right = logits(2, 5, 8), logits(2, 5, 8, seed=1)
    wide = torch.nn.functional.pad(mask, (0, 4))
    noise = [torch.cat([one, logits(2, 4, 8, seed=9, scale=50.0)], dim=1) for one in (left, right)]
    assert loss(noise[0], noise[1], wide) == pytest.approx(loss(left, right, mask), rel=1e-5)


def test_relations_of_different_widths_follow_the_paper() -> None:
    queries, other = logits(1, 4, 12), logits(1, 4, 8, seed=3)
    found = relation_loss((queries,), (other,), torch.ones(1, 4), 2).item()
    expected = []
    for head in range(2):
        left, right = queries[0, :, 6 * head : 6 * head + 6], other[0, :, 4 * head : 4 * head + 4]
        told = softmax((left @ left.T).double().numpy() / math.sqrt(6), axis=-1)
        said = softmax((right @ right.T).double().numpy() / math.sqrt(4), axis=-1)
        expected.append(rel_entr(told, said).sum(-1))
    assert found == pytest.approx(np.mean(expected), rel=1e-5)


def test_divergence_is_scipys_by_ln_2() -> None:
    teacher, student = logits(20, 5), logits(20, 5, seed=1)
    expected = [
        jensenshannon(left, right, base=2) ** 2
        for left, right in zip(softmax(teacher.double(), -1), softmax(student.double(), -1), strict=True)
    ]
    np.testing.assert_allclose(divergence(teacher, student).numpy(), expected, atol=1e-6)
    assert divergence(torch.tensor([[90.0, 0.0]]), torch.tensor([[0.0, 90.0]])).item() == pytest.approx(1.0)


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=200),
    st.floats(0, 1),
    st.floats(0.1, 8),
)
@settings(max_examples=200, deadline=None)
def test_weights_keep_their_sum_and_their_order_and_stay_below_the_cap(
    differs: list[float], amount: float, sharpness: float
) -> None:
    given_ = torch.tensor(differs, dtype=torch.float64)
    found = difference_weights(given_, amount, sharpness)
    assert found.sum().item() == pytest.approx(len(differs), rel=1e-9)
    assert found.max().item() <= CAP * (1 + 1e-9)
    assert found.min().item() >= 0
    order = torch.argsort(given_)
    assert bool((found[order].diff() >= -1e-9).all())


def test_capped_weights_are_the_fixed_point_of_cutting_and_scaling() -> None:
    differs = torch.cat([torch.full((3,), 0.9), torch.linspace(0, 0.05, 97)]).double()
    weights = (differs + 1e-3) ** 2
    expected = weights * len(weights) / weights.sum()
    for _ in range(10_000):
        expected = expected.clamp(max=CAP)
        free = expected < CAP
        expected[free] *= (len(weights) - CAP * int((~free).sum())) / expected[free].sum()
    np.testing.assert_allclose(difference_weights(differs, 1.0, 2.0).numpy(), expected.numpy(), rtol=1e-9)
    assert int((expected >= CAP - 1e-9).sum()) >= 3


def test_without_an_amount_every_position_weighs_exactly_one() -> None:
    assert torch.equal(difference_weights(torch.rand(9), 0.0), torch.ones(9))
    assert position_weights(config(), logits(6, 3), logits(6, 3, seed=1), torch.zeros(6, dtype=torch.long)) is None


def test_effective_size_of_equal_weights_is_their_number_and_of_one_is_one() -> None:
    assert effective_size(torch.full((7,), 3.0)).item() == pytest.approx(7)
    assert effective_size(torch.tensor([0.0, 0.0, 4.0])).item() == pytest.approx(1)


def test_quadrants_part_the_positions_by_who_is_right() -> None:
    right, wrong = [5.0, 0.0], [0.0, 5.0]
    teacher, student = torch.tensor([right, wrong, wrong, right]), torch.tensor([wrong, right, wrong, right])
    found = quadrants(teacher, student, torch.zeros(4, dtype=torch.long))
    assert [one.tolist().index(True) for one in found] == [0, 1, 2, 3]
    assert sum(int(one.sum()) for one in found) == 4


def test_dropping_harmful_positions_leaves_the_others_their_sum() -> None:
    teacher, student = logits(50, 3, seed=2), logits(50, 3, seed=3)
    gold = torch.randint(0, 3, (50,), generator=torch.Generator().manual_seed(4))
    harmful = quadrants(teacher, student, gold).harmful
    assert 0 < int(harmful.sum()) < 50
    plain = position_weights(config(harmful="drop"), teacher, student, gold)
    assert plain is not None
    assert torch.equal(plain == 0, harmful)
    weighted = position_weights(config(harmful="drop", differences=1.0), teacher, student, gold)
    assert weighted is not None
    assert bool((weighted[harmful] == 0).all())
    assert weighted.sum().item() == pytest.approx(int((~harmful).sum()), rel=1e-5)


def test_selection_takes_the_least_certain_or_the_worst() -> None:
    student = torch.tensor([[9.0, 0.0], [0.1, 0.0], [0.0, 6.0], [0.0, 0.2]])
    gold = torch.tensor([0, 0, 0, 1])
    teacher = torch.zeros(4, 2)
    by_entropy = position_weights(config(selection={"by": "entropy", "share": 0.5}), teacher, student, gold)
    by_loss = position_weights(config(selection={"by": "student_loss", "share": 0.25}), teacher, student, gold)
    assert by_entropy is not None
    assert by_entropy.tolist() == [0, 1, 0, 1]
    assert by_loss is not None
    assert by_loss.tolist() == [0, 0, 1, 0]
