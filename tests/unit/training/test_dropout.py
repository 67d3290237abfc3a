from __future__ import annotations

import math

import pytest
import torch

from core.training.dropout import Masks, dropout


@pytest.mark.parametrize("probability", [0.05, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_share_of_zeros_and_the_mean_are_those_of_dropout(probability: float, dtype: torch.dtype) -> None:
    count = 400_000
    kept, scale = Masks(1).draw((count,), probability, dtype)
    error = 5 * math.sqrt(probability * (1 - probability) / count)
    assert set(kept.float().unique().tolist()) == {0.0, 1.0}
    assert abs(float((kept == 0).float().mean()) - probability) < error
    assert abs(float(kept.float().mean()) * scale - 1) < error / (1 - probability)


def test_the_mean_is_kept_in_bf16_too() -> None:
    out = dropout(torch.ones(1_000_000, dtype=torch.bfloat16), 0.1, Masks(3))
    assert set(out.float().unique().tolist()) == {0.0, float(torch.tensor(1 / 0.9).to(torch.bfloat16))}


def test_masks_are_a_pure_function_of_the_seed_and_of_nothing_that_torch_draws() -> None:
    masks = Masks()
    masks.seed(3, 7, 0)
    first, _ = masks.draw((5, 77), 0.3, torch.float32)
    torch.rand(10)
    masks.seed(3, 7, 0)
    assert torch.equal(masks.draw((5, 77), 0.3, torch.float32)[0], first)
    masks.seed(3, 8, 0)
    assert not torch.equal(masks.draw((5, 77), 0.3, torch.float32)[0], first)


def test_neighbouring_numbers_are_independent() -> None:
    masks = Masks(5)  # four masks come from one 64-bit number
    one, _ = masks.draw((200_000,), 0.5, torch.float32)
    two, _ = masks.draw((200_000,), 0.5, torch.float32)
    assert abs(float(torch.corrcoef(torch.stack([one, two]))[0, 1])) < 0.012
    for shift in (1, 2, 3, 4, 500):
        assert abs(float(torch.corrcoef(torch.stack([one[shift:], one[:-shift]]))[0, 1])) < 0.012


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
