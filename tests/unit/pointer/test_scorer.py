"""Pointer scores and memory against plain loops."""

import math

import pytest
import torch
from torch.nn import functional

from core.models.pointer.scorer import NULL, PointerMemory, PointerScorer, pointer_shares


def _filled(module: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Give every parameter values that cannot be told from a trained one's."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return module


def _sentences(seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    states = torch.randn(3, 6, 5, generator=torch.Generator().manual_seed(seed))
    return states, torch.arange(6) < torch.tensor([[6], [4], [1]])


@pytest.mark.parametrize("reach", [None, 2, 9])
def test_scores_equal_the_formula(reach: int | None) -> None:
    scorer = _filled(PointerScorer(5, 3, reach=reach))
    states, valid = _sentences()
    scores = scorer(states, valid)
    assert scores.shape == (3, 6, 7)
    for row in range(3):
        for word in range(6):
            query = scorer.query.weight @ states[row, word]
            assert torch.isclose(scores[row, word, NULL], query @ scorer.null / math.sqrt(3), atol=1e-5)
            for other in range(6):
                if not valid[row, other]:
                    assert scores[row, word, 1 + other] == torch.finfo(torch.float32).min
                    continue
                wanted = query @ (scorer.key.weight @ states[row, other]) / math.sqrt(3)
                wanted = wanted + scorer.bias.weight[0] @ states[row, other] + scorer.bias.bias[0]
                if reach is not None:
                    wanted = wanted + scorer.distance[max(-reach, min(reach, other - word)) + reach]
                assert torch.isclose(scores[row, word, 1 + other], wanted, atol=1e-5)


def test_padding_has_no_share_and_the_empty_slot_always_has_one() -> None:
    scorer = _filled(PointerScorer(5, 3, reach=2))
    states, valid = _sentences()
    shares = pointer_shares(scorer(states, valid))
    for row in range(3):
        assert (shares[row, :, 1:][:, ~valid[row]] == 0).all()
    assert (shares[..., NULL] > 0).all()
    assert torch.isfinite(shares).all()
    assert torch.allclose(shares.sum(-1), torch.ones(3, 6))
    nobody = pointer_shares(scorer(states, torch.zeros_like(valid)))
    assert (nobody[..., NULL] == 1).all()


def test_padding_changes_nothing_and_gets_no_gradient() -> None:
    scorer, memory = _filled(PointerScorer(5, 3, reach=2)), _filled(PointerMemory(5, 4))
    states, valid = _sentences()
    other = torch.where(valid[..., None], states, 1e4 * torch.ones(()))

    def read(given: torch.Tensor) -> torch.Tensor:
        return memory(pointer_shares(scorer(given, valid)), given)[valid]

    assert torch.equal(read(states), read(other))
    states.requires_grad_()
    read(states).square().sum().backward()
    assert states.grad is not None
    assert (states.grad[~valid] == 0).all()
    assert (states.grad[valid] != 0).all()


def test_memory_equals_the_sum_of_shares_and_values() -> None:
    memory = _filled(PointerMemory(5, 4))
    states, valid = _sentences()
    shares = pointer_shares(_filled(PointerScorer(5, 3, reach=1), 7)(states, valid))
    found = memory(shares, states)
    for row in range(3):
        for word in range(6):
            wanted = shares[row, word, NULL] * memory.null
            for other in range(6):
                wanted = wanted + shares[row, word, 1 + other] * (memory.value.weight @ states[row, other])
            assert torch.allclose(found[row, word], wanted, atol=1e-5)


def test_scores_of_distances_know_nothing_of_places() -> None:
    """Moved to the right by words that are not there, a sentence has the scores that it had."""
    scorer = _filled(PointerScorer(5, 3, reach=2))
    states, _ = _sentences()
    plain = scorer(states[:1, :4], torch.ones(1, 4, dtype=torch.bool))
    moved = scorer(functional.pad(states[:1, :4], (0, 0, 2, 0)), torch.tensor([[False, False, True, True, True, True]]))
    assert torch.allclose(moved[:, 2:, [0, 3, 4, 5, 6]], plain, atol=1e-6)
    # And without distances the order of the words has no part in it.
    bare = _filled(PointerScorer(5, 3))
    order = torch.tensor([2, 0, 3, 1])
    mixed = bare(states[:1, order], torch.ones(1, 4, dtype=torch.bool))
    straight = bare(states[:1, :4], torch.ones(1, 4, dtype=torch.bool))
    assert torch.allclose(mixed[..., 1:], straight[:, order][..., 1 + order], atol=1e-6)


def test_every_parameter_gets_a_gradient_and_ablations_have_fewer() -> None:
    scorer, memory = _filled(PointerScorer(5, 3, reach=2)), _filled(PointerMemory(5, 4))
    states, valid = _sentences()
    memory(pointer_shares(scorer(states, valid)), states)[valid].square().sum().backward()
    for parameter in (*scorer.parameters(), *memory.parameters()):
        assert parameter.grad is not None
        assert parameter.grad.abs().sum() > 0
    assert {name for name, _ in PointerScorer(5, 3, reach=2).named_parameters()} - {
        name for name, _ in PointerScorer(5, 3).named_parameters()
    } == {"distance"}


def test_low_precision_keeps_scores_in_float32() -> None:
    scorer = PointerScorer(5, 3, reach=2)
    states, valid = _sentences()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = scorer(states, valid)
        read = PointerMemory(5, 4)(pointer_shares(scores), states)
    assert scores.dtype == torch.float32
    assert read.dtype == torch.bfloat16
    assert torch.allclose(scores[valid], scorer(states, valid)[valid], atol=0.05)
