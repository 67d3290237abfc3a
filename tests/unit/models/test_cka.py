from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group

from core.models.cka import CkaAccumulator, cka_matrix, linear_cka


def by_kernels(x: np.ndarray, y: np.ndarray) -> float:
    """HSIC(K, L) / sqrt(HSIC(K, K) · HSIC(L, L)) with linear kernels: Kornblith et al. 2019, equations 3 and 4."""
    centring = np.eye(len(x)) - 1 / len(x)
    k, other = centring @ x @ x.T @ centring, centring @ y @ y.T @ centring
    return float(np.trace(k @ other) / np.sqrt(np.trace(k @ k) * np.trace(other @ other)))


def layers(seed: int, items: int = 90) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    first = rng.normal(size=(items, 6)) + 50 * rng.normal(size=6)  # far from 0, like some dimensions of encoders
    second = np.tanh(first @ rng.normal(size=(6, 9)) / 100) + 0.1 * rng.normal(size=(items, 9))
    return [first, second, rng.normal(size=(items, 3))]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_it_equals_the_formula_by_kernels(seed: int) -> None:
    first, second, third = layers(seed)
    found = cka_matrix([first, second, third])
    for i, x in enumerate((first, second, third)):
        for j, y in enumerate((first, second, third)):
            assert found[i, j] == pytest.approx(by_kernels(x, y), abs=1e-9)
    assert linear_cka(first, third) == pytest.approx(found[0, 2], abs=1e-12)


@pytest.mark.parametrize("size", [1, 7, 90])
def test_batches_give_what_all_items_at_once_give(size: int) -> None:
    given = layers(1)
    accumulator = CkaAccumulator(3)
    for start in range(0, 90, size):
        accumulator.add([one[start : start + size].astype(np.float32) for one in given])
    assert accumulator.count == 90
    np.testing.assert_allclose(accumulator.matrix(), cka_matrix(given), atol=1e-5)


def test_rotation_and_scale_do_not_count() -> None:
    first = layers(2)[0]
    turned = 7.5 * first @ ortho_group.rvs(6, random_state=0) + 3
    assert linear_cka(first, turned) == pytest.approx(1.0, abs=1e-9)


def test_rows_against_columns_are_a_part_of_the_whole_matrix() -> None:
    given = layers(3)
    np.testing.assert_allclose(cka_matrix(given[:2], given[2:]), cka_matrix(given)[:2, 2:], atol=1e-12)


def test_a_constant_layer_has_no_cka() -> None:
    assert np.isnan(linear_cka(np.ones((5, 2)), layers(0, 5)[0]))


def test_different_items_are_refused() -> None:
    with pytest.raises(ValueError, match="same items"):
        linear_cka(np.ones((5, 2)), np.ones((4, 2)))
    with pytest.raises(ValueError, match="same items"):
        CkaAccumulator(2).add([np.ones((5, 2)), np.ones((4, 2))])
    with pytest.raises(ValueError, match="at least two"):
        CkaAccumulator(2).matrix()
