"""Products of gradients, PCGrad and conflicts against numpy, uncertainty against its formula."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch

from core.config.joint import JointPlan
from core.training.joint.conflicts import Conflicts
from core.training.joint.gradients import combine, pcgrad_weights, products, take_gradients
from core.training.joint.weighting import LossWeights

UNITS = {"e.weight": "embeddings", "a.weight": "layer 0", "a.bias": "layer 0", "b.weight": "layer 1"}
SHAPES = {"e.weight": (3, 4), "a.weight": (4, 2), "a.bias": (4,), "b.weight": (5,)}


def random_gradients(tasks: int, seed: int = 0) -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    return [{name: torch.randn(shape, generator=generator) for name, shape in SHAPES.items()} for _ in range(tasks)]


def flat(gradient: dict[str, torch.Tensor], unit: str | None = None) -> np.ndarray:
    return np.concatenate(
        [gradient[name].double().numpy().ravel() for name in SHAPES if unit is None or UNITS[name] == unit]
    )


def papers_way(gradients: list[np.ndarray], orders: Any) -> np.ndarray:
    """Algorithm 1 of Yu et al. (2020) as it stands there."""
    projected = []
    for own, order in enumerate(orders):
        g = gradients[own].copy()
        for other in order:
            if g @ gradients[other] < 0:
                g -= (g @ gradients[other]) / (gradients[other] @ gradients[other]) * gradients[other]
        projected.append(g)
    return np.sum(projected, axis=0)


def test_pcgrad_by_hand() -> None:
    one, other = np.array([1.0, 0.0]), np.array([-1.0, 1.0])
    gram = np.array([[one @ one, one @ other], [other @ one, other @ other]])
    weights = pcgrad_weights(gram, [[1], [0]])
    # (1, 0) + ½ (−1, 1) = (½, ½); (−1, 1) + 1 (1, 0) = (0, 1); together (½, 3/2).
    assert weights == pytest.approx([2.0, 1.5])
    assert weights[0] * one + weights[1] * other == pytest.approx([0.5, 1.5])


def test_gradients_that_do_not_conflict_are_left_alone() -> None:
    gradients = [np.array([1.0, 0.2, 0.0]), np.array([0.3, 1.0, 0.0]), np.array([0.0, 0.0, 2.0])]
    gram = np.array([[a @ b for b in gradients] for a in gradients])
    for order in permutations(range(3)):
        orders = [[other for other in order if other != own] for own in range(3)]
        assert pcgrad_weights(gram, orders).tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("seed", range(5))
def test_pcgrad_is_the_papers_algorithm(seed: int) -> None:
    gradients = random_gradients(4, seed)
    rng = np.random.default_rng(seed)
    orders = [rng.permutation([other for other in range(4) if other != own]).tolist() for own in range(4)]
    gram = sum(products(gradients, UNITS).values()).numpy()  # type: ignore[union-attr]
    expected = papers_way([flat(one) for one in gradients], orders)
    weights = pcgrad_weights(gram, orders)
    assert weights.max() > 1.0  # of random gradients some conflict
    assert flat(combine(gradients, weights.tolist())) == pytest.approx(expected, abs=1e-4)


def test_products_are_those_of_each_unit_and_missing_gradients_count_as_zero() -> None:
    gradients = random_gradients(3)
    del gradients[1]["b.weight"]
    found = products(gradients, UNITS)
    assert list(found) == ["embeddings", "layer 0", "layer 1"]
    gradients[1]["b.weight"] = torch.zeros(5)
    for unit, gram in found.items():
        expected = [[flat(a, unit) @ flat(b, unit) for b in gradients] for a in gradients]
        assert gram.numpy() == pytest.approx(np.array(expected), abs=1e-5)


def test_gradients_are_taken_off_and_divided() -> None:
    parameter = torch.nn.Parameter(torch.ones(2))
    (parameter * torch.tensor([2.0, 6.0])).sum().backward()
    found = take_gradients({"p": parameter}, torch.tensor(2.0))
    assert parameter.grad is None
    assert found["p"].tolist() == [1.0, 3.0]


def test_conflicts_are_numpys_cosines_rates_and_ratios() -> None:
    conflicts = Conflicts(["ner", "qa", "mood"], 10)
    seen: dict[str, list[np.ndarray]] = {}
    for seed in range(4):
        gradients = random_gradients(3, seed)
        told = {name: float(value) for name, value in conflicts.observe(products(gradients, UNITS)).items()}
        for unit in ("embeddings", "layer 0", "layer 1", None):
            a, b = flat(gradients[0], unit), flat(gradients[2], unit)
            cosine, ratio = a @ b / np.linalg.norm(a) / np.linalg.norm(b), np.linalg.norm(a) / np.linalg.norm(b)
            name = unit or "encoder"
            assert told[f"conflict/ner~mood/cosine/{name}"] == pytest.approx(cosine, abs=1e-5)
            assert told[f"conflict/ner~mood/ratio/{name}"] == pytest.approx(ratio, rel=1e-5)
            seen.setdefault(name, []).append(np.array([cosine, cosine < 0, ratio]))
        cosines = [told[f"conflict/ner~mood/cosine/{unit}"] for unit in ("embeddings", "layer 0", "layer 1")]
        assert told["conflict/ner~mood/rate"] == pytest.approx(np.mean([one < 0 for one in cosines]))
        again = Conflicts(["ner", "qa", "mood"], 10)  # as if resumed after each look
        again.load_state_dict(conflicts.state_dict(), torch.device("cpu"))
        conflicts = again
    summary = conflicts.summary()
    assert summary is not None
    assert [(pair["a"], pair["b"]) for pair in summary["pairs"]] == [("ner", "qa"), ("ner", "mood"), ("qa", "mood")]
    for unit in summary["pairs"][1]["units"]:
        expected = np.mean(seen[unit["unit"]], axis=0)
        assert [unit["cosine"], unit["rate"], unit["ratio"]] == pytest.approx(expected.tolist(), abs=1e-5)


def test_a_gradient_of_nothing_has_no_direction() -> None:
    gradients = [{"b.weight": torch.zeros(5)}, {"b.weight": torch.ones(5)}]
    told = Conflicts(["a", "b"], 1).observe(products(gradients, {"b.weight": "layer 1"}))
    assert all(np.isfinite(float(value)) for value in told.values())
    assert float(told["conflict/a~b/cosine/layer 1"]) == 0.0


def test_uncertainty_has_the_gradient_of_kendalls_loss() -> None:
    plan = JointPlan(tasks=[{"name": "a"}, {"name": "b"}], mixing={"weights": "uncertainty"})
    weights = LossWeights(plan, torch.device("cpu"))
    s = weights.learnt["joint.log_variance.1"]
    with torch.no_grad():
        s.fill_(0.7)
    w = torch.nn.Parameter(torch.tensor(3.0))
    loss = w * w
    scale = weights.scale(1)
    assert scale is not None
    (scale * loss).backward()
    weights.price(1, None)
    assert w.grad is not None
    assert s.grad is not None
    assert w.grad.item() == pytest.approx(6.0 * np.exp(-0.7))
    assert s.grad.item() == pytest.approx(0.5 - np.exp(-0.7) * 9.0)
    assert weights.learnt["joint.log_variance.0"].grad is None
    assert weights.weighted(1, loss.detach()).item() == pytest.approx(np.exp(-0.7) * 9.0 + 0.35)
    s.grad.zero_()
    weights.price(1, torch.tensor(8.0))  # micro-batches: everything is divided by 8 later
    assert s.grad.item() / 8 == pytest.approx(0.5)


def test_weights_that_are_not_learnt() -> None:
    tasks = [{"name": "a", "weight": 2.5}, {"name": "b"}]
    fixed = LossWeights(JointPlan(tasks=tasks, mixing={"weights": "fixed"}), torch.device("cpu"))
    assert fixed.values(2) == [2.5, 1.0]
    assert fixed.group() == []
    assert fixed.scale(1) is None
