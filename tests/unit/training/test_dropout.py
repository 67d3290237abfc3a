from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from core.training.allocator import keep_freed_memory
from core.training.dropout import Masks, dropout, fast_dropout


@pytest.mark.parametrize("probability", [0.05, 0.1, 0.5, 0.9])
def test_the_share_of_zeros_and_the_mean_are_those_of_dropout(probability: float) -> None:
    count = 400_000
    mask = Masks(1).draw((count,), probability, torch.float32)
    error = 5 * math.sqrt(probability * (1 - probability) / count)
    assert abs(float((mask == 0).float().mean()) - probability) < error
    assert abs(float(mask.mean()) - 1) < error / (1 - probability)
    assert len(mask.unique()) == 2


def test_masks_are_a_pure_function_of_the_seed_and_of_nothing_that_torch_draws() -> None:
    masks = Masks()
    masks.seed(3, 7, 0)
    first = masks.draw((5, 77), 0.3, torch.float32)
    torch.rand(10)
    masks.seed(3, 7, 0)
    assert torch.equal(masks.draw((5, 77), 0.3, torch.float32), first)
    masks.seed(3, 8, 0)
    assert not torch.equal(masks.draw((5, 77), 0.3, torch.float32), first)


def test_neighbouring_masks_are_independent() -> None:
    masks = Masks(5)
    one, two = masks.draw((200_000,), 0.5, torch.float32), masks.draw((200_000,), 0.5, torch.float32)
    correlation = torch.corrcoef(torch.stack([one, two]))[0, 1]
    shifted = torch.corrcoef(torch.stack([one[1:], one[:-1]]))[0, 1]
    assert abs(float(correlation)) < 0.012
    assert abs(float(shifted)) < 0.012


def test_the_gradient_passes_through_the_same_mask() -> None:
    values = torch.randn(4, 9, dtype=torch.float64, requires_grad=True)
    out = dropout(values, 0.4, Masks(2))
    out.sum().backward()
    assert values.grad is not None
    assert torch.equal((out == 0), (values.grad == 0))
    assert torch.allclose(out, values * values.grad)


def test_no_probability_is_no_operation() -> None:
    values = torch.randn(3)
    assert dropout(values, 0.0, Masks()) is values


@pytest.mark.parametrize("probability", [-0.1, 1.0])
def test_a_probability_out_of_range_is_refused(probability: float) -> None:
    with pytest.raises(ValueError, match=r"\[0, 1\)"):
        Masks().draw((2,), probability, torch.float32)


def test_modules_are_replaced_for_as_long_as_the_block_lasts() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.Sequential(nn.Dropout(0.1)))
    before, names = list(model.modules()), list(model.state_dict())
    with fast_dropout(model, Masks()) as count:
        assert count == 2
        assert list(model.state_dict()) == names
        model.eval()
        values = torch.randn(8, 4)
        assert torch.equal(model(values), model[0](values))
        model.train()
        assert (model(values) == 0).any()
    assert list(model.modules()) == before
    assert before[2].training, "a switch inside the block must reach the original"


def test_the_allocator_answers_without_raising() -> None:
    assert keep_freed_memory() in (True, False)
