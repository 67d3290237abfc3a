"""Linear CKA: how alike the representations of the same items are in two layers, or in two encoders.

CKA(X, Y) = ‖YᵀX‖²_F / (‖XᵀX‖_F · ‖YᵀY‖_F) of column-centred X and Y (Kornblith et al. 2019, Similarity of Neural
Network Representations Revisited, section 3). It is 1 for representations that differ by rotation and one scale only.
With fewer items than dimensions it comes out too high, so take many more tokens than the vectors are wide.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["CkaAccumulator", "cka_matrix", "linear_cka"]


def linear_cka(x: np.ndarray, y: np.ndarray) -> float:
    """Return the linear CKA of two representations of the same items.

    Parameters
    ----------
    x, y
        Shapes (items, width of x) and (items, width of y).

    Returns
    -------
    float
        Between 0 and 1; not a number where a representation is constant.

    Raises
    ------
    ValueError
        If the numbers of items differ or there are fewer than two.
    """
    return float(cka_matrix([x], [y])[0, 0])


def cka_matrix(rows: Sequence[np.ndarray], columns: Sequence[np.ndarray] | None = None) -> np.ndarray:
    """Return the linear CKA of every pair of representations, float64 of shape (rows, columns).

    Parameters
    ----------
    rows, columns
        Representations of the same items, each of shape (items, width); without `columns` those of `rows` against each
        other.

    Raises
    ------
    ValueError
        If the numbers of items differ or there are fewer than two.
    """
    given = list(rows) + list(columns or [])
    sizes = {len(one) for one in given}
    if len(sizes) != 1 or min(sizes) < 2:
        raise ValueError(f"CKA compares representations of the same items, at least 2 of them; got {sorted(sizes)}")
    accumulator = CkaAccumulator(len(given))
    accumulator.add(given)
    found = accumulator.matrix()
    return found if columns is None else found[: len(rows), len(rows) :]


class CkaAccumulator:
    """Linear CKA of several layers from batches: only sums of products are kept, never the states.

    The memory is 8 bytes times the square of the width for every pair of layers, whatever the number of tokens.

    Parameters
    ----------
    layers
        Number of layers.
    split
        Compare only the first `split` layers with the others: the similarity of other pairs is not a number.
    dtype
        What products are computed in; float32 takes half the time and is exact to about 1e-4.

    Examples
    --------
    >>> accumulator = CkaAccumulator(2)
    >>> accumulator.add([np.eye(4)[:, :2], np.eye(4)[:, :2] * 3])
    >>> accumulator.matrix().round(6).tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """

    def __init__(self, layers: int, *, split: int | None = None, dtype: type[np.floating[Any]] = np.float64):
        self.layers = layers
        self._split, self._dtype = split, dtype
        #: Items so far.
        self.count = 0
        self._shifts: list[np.ndarray] = []
        self._sums: list[np.ndarray] = []
        self._products: dict[tuple[int, int], np.ndarray] = {}

    def add(self, states: Sequence[np.ndarray]) -> None:
        """Add some items.

        Parameters
        ----------
        states
            One array a layer, each of shape (items, width of the layer), rows in the same order.

        Raises
        ------
        ValueError
            If the number of layers or their widths change, or the numbers of items differ.
        """
        arrays = [np.asarray(one, dtype=self._dtype) for one in states]
        if len(arrays) != self.layers or len({len(one) for one in arrays}) != 1:
            raise ValueError(f"CKA needs the same items in {self.layers} layers")
        if not len(arrays[0]):
            return
        if not self._shifts:
            # Some dimensions of encoders lie far from 0; shifted by about the mean, their squares stay exact.
            self._shifts = [one.mean(axis=0) for one in arrays]
            self._sums = [np.zeros(one.shape[1], dtype=self._dtype) for one in arrays]
        if any(len(shift) != one.shape[1] for shift, one in zip(self._shifts, arrays, strict=True)):
            raise ValueError("the width of a layer has changed")
        self.count += len(arrays[0])
        shifted = [one - shift for one, shift in zip(arrays, self._shifts, strict=True)]
        for i, left in enumerate(shifted):
            self._sums[i] += left.sum(axis=0)
            for j in range(i, self.layers):
                if self._split is not None and i != j and (i < self._split) == (j < self._split):
                    continue
                product = left.T @ shifted[j]
                if (i, j) in self._products:
                    self._products[i, j] += product
                else:
                    self._products[i, j] = product

    def matrix(self) -> np.ndarray:
        """Return the CKA of every pair of layers, float64 of shape (layers, layers).

        Not a number where a layer is constant.

        Raises
        ------
        ValueError
            If fewer than two items were added.
        """
        if self.count < 2:
            raise ValueError("CKA needs at least two items")
        norms = np.full((self.layers, self.layers), np.nan)
        for (i, j), product in self._products.items():
            centred = product - np.outer(self._sums[i], self._sums[j]) / self.count
            norms[i, j] = norms[j, i] = np.linalg.norm(centred)
        own = np.diag(norms).copy()
        with np.errstate(divide="ignore", invalid="ignore"):
            found = norms**2 / np.outer(own, own)
        found[~np.isfinite(found)] = np.nan
        return np.clip(found, 0.0, 1.0)
