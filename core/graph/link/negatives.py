"""Pairs that are no links, with ends that are as well connected as those of links."""

from __future__ import annotations

import numpy as np

__all__ = ["MatchedNodes", "contains"]

#: Nodes of equal or similar degree among which a negative's target is drawn, at least.
POOL = 200
#: Degrees within this factor count as similar.
SIMILAR = 1.25
_TRIES = 10


def contains(sorted_keys: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Tell which keys are among `sorted_keys` (ascending); the shape of `keys`."""
    if not len(sorted_keys):
        return np.zeros(np.shape(keys), dtype=bool)
    at = np.minimum(np.searchsorted(sorted_keys, keys), len(sorted_keys) - 1)
    return np.asarray(sorted_keys[at] == keys)


class MatchedNodes:
    """Draws targets whose degree is like that of a link's target; the source stays.

    The best connected words have no equals: theirs are the :data:`POOL` nodes of nearest degree.

    Parameters
    ----------
    degrees
        Degree of every node in the training graph, shape (nodes,).
    allowed
        Nodes that may be drawn; booleans of shape (nodes,).
    links
        Keys (source · nodes + target) of all pairs that are links, in training or in held-out text, ascending: none of
        them is ever drawn.
    """

    def __init__(self, degrees: np.ndarray, allowed: np.ndarray, links: np.ndarray):
        self.nodes = len(degrees)
        self.links = links
        candidates = np.flatnonzero(allowed)
        self.order = candidates[np.argsort(degrees[candidates], kind="stable")]
        ascending = degrees[self.order]
        low = np.searchsorted(ascending, degrees / SIMILAR, side="left")
        high = np.searchsorted(ascending, degrees * SIMILAR, side="right")
        size = min(POOL, len(self.order))
        lacking = np.maximum(size - (high - low), 0)
        self.low = np.clip(low - (lacking + 1) // 2, 0, len(self.order) - size)
        self.high = np.clip(np.maximum(high, self.low + size), 0, len(self.order))

    def sample(self, pairs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw one target a link; -1 where none was found in a few tries. Shape (links,), int64."""
        found = np.full(len(pairs), -1, dtype=np.int64)
        left = np.arange(len(pairs))
        for _ in range(_TRIES):
            if not len(left) or not len(self.order):
                break
            drawn = self.order[rng.integers(self.low[pairs[left, 1]], self.high[pairs[left, 1]])]
            good = self._negative(pairs[left, 0], drawn)
            found[left[good]] = drawn[good]
            left = left[~good]
        return found

    def candidates(self, pairs: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draw up to `count` different targets a link; -1 where there are fewer. Shape (links, count), int64."""
        found = np.full((len(pairs), count), -1, dtype=np.int64)
        for row, (source, target) in enumerate(pairs.tolist()):
            low, size = int(self.low[target]), int(self.high[target] - self.low[target])
            # Drawn in excess, since links are sorted out; the whole pool where it is small.
            drawn = self.order[low + rng.choice(size, min(size, 3 * count), replace=False)]
            good = drawn[self._negative(np.full(len(drawn), source), drawn)][:count]
            if len(good) < count:
                pool = rng.permutation(self.order[low : low + size])
                good = pool[self._negative(np.full(size, source), pool)][:count]
            found[row, : len(good)] = good
        return found

    def _negative(self, sources: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return (sources != targets) & ~contains(self.links, sources * self.nodes + targets)
