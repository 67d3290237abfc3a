"""Exact nearest neighbours by cosine: blocks of the matrix of all cosines, each computed once and read both ways.

The matrix is symmetric, so a block of it serves its rows and its columns: half the products that a search by queries
needs. A block is compared with the k-th best cosine that each word has so far, and only the few values that reach it
are sorted in.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

__all__ = ["nearest"]

#: Most rows and columns of a block.
BLOCK = 2048
_NONE = np.uint64(np.iinfo(np.uint64).max)


def nearest(
    vectors: np.ndarray, k: int, *, check: Callable[[], None] = lambda: None, block: int = BLOCK
) -> tuple[np.ndarray, np.ndarray]:
    """Return the k nearest neighbours of every vector by cosine, exactly.

    Parameters
    ----------
    vectors
        Shape (words, width), of any floating type; they need not be normalised. A vector of zeros has no neighbours and
        is nobody's.
    k
        Neighbours a word, at least 1.
    check
        Called before every block; may raise to stop.
    block
        Most rows and columns of a block; the memory is about 20 bytes times its square, beside the vectors.

    Returns
    -------
    neighbours
        int32 of shape (words, k), nearest first; of equal cosines the lower index comes first. A word is not its own
        neighbour. -1 where there are fewer than k.
    cosines
        float32 of shape (words, k), between -1 and 1; 0 where there is no neighbour.

    Raises
    ------
    ValueError
        If `vectors` is no matrix or holds a value that is no finite number, or `k` is below 1.
    """
    vectors = np.asarray(vectors)
    if vectors.ndim != 2 or k < 1:
        raise ValueError("nearest needs a matrix of vectors and k of at least 1")
    neighbours = np.full((len(vectors), k), -1, dtype=np.int32)
    cosines = np.zeros((len(vectors), k), dtype=np.float32)
    used, unit = _unit(vectors)
    if len(used) < 2:
        return neighbours, cosines
    best = _search(unit, k, check, block)
    some = best != _NONE
    places = (best & np.uint64(0xFFFFFFFF)).astype(np.int64)
    found = np.where(some, used[np.where(some, places, 0)], -1)
    neighbours[used] = found
    cosines[used] = np.where(some, np.clip(_values(best), -1.0, 1.0), 0.0)
    return neighbours, cosines


def _unit(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of vectors that are not zero, and those vectors at length 1 in float32."""
    unit = vectors.astype(np.float32)
    if not np.isfinite(unit).all():
        raise ValueError("nearest: a vector holds a value that is no finite number")
    # By the largest value first: squares of very small or very large numbers are no numbers any more.
    largest = np.abs(unit).max(axis=1, initial=0.0)
    used = np.flatnonzero(largest)
    unit = unit if len(used) == len(unit) else unit[used]
    unit /= largest[used, None]
    unit /= np.sqrt(np.einsum("ij,ij->i", unit, unit))[:, None]
    return used, unit


def _search(unit: np.ndarray, k: int, check: Callable[[], None], block: int) -> np.ndarray:
    """Return the k best keys of every row, ascending; a key holds cosine and index, see :func:`_keys`."""
    count = len(unit)
    bounds = np.linspace(0, count, -(-count // block) + 1).astype(np.int64)
    parts = [slice(int(low), int(high)) for low, high in itertools.pairwise(bounds)]
    best = np.full((count, k), _NONE, dtype=np.uint64)
    reach = np.full(count, -np.inf, dtype=np.float32)  # a value must be this large to count
    for part in parts:
        check()
        cosines = unit[part] @ unit[part].T
        # BLAS need not give a symmetric product: the upper triangle is the cosine, here as between blocks.
        cosines = np.triu(cosines, 1)
        cosines += cosines.T
        np.fill_diagonal(cosines, -np.inf)
        if k < len(cosines):
            reach[part] = np.partition(cosines, len(cosines) - k, axis=1)[:, -k]
        rows, columns = _places(cosines >= np.maximum(reach[part], -2.0)[:, None])
        _take(best, reach, rows + part.start, columns + part.start, cosines[rows, columns])
    for index, part in enumerate(parts):
        for other in parts[index + 1 :]:
            check()
            cosines = unit[part] @ unit[other].T
            rows, columns = _places((cosines >= reach[part, None]) | (cosines >= reach[other]))
            values = cosines[rows, columns]
            rows, columns = rows + part.start, columns + other.start
            _take(best, reach, *(one[values >= reach[rows]] for one in (rows, columns, values)))
            _take(best, reach, *(one[values >= reach[columns]] for one in (columns, rows, values)))
    return best


def _places(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and columns that are true: like numpy.nonzero, but fast where few are."""
    flat = np.ascontiguousarray(mask).reshape(-1)
    whole = len(flat) // 8 * 8
    eights = np.flatnonzero(flat[:whole].view(np.uint64))
    within, offset = np.nonzero(flat[:whole].reshape(-1, 8)[eights])
    found = np.concatenate([eights[within] * 8 + offset, whole + np.flatnonzero(flat[whole:])])
    rows, columns = np.divmod(found, mask.shape[1])
    return rows, columns


def _keys(values: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Return numbers that sort like (−value, index): the bits of a float sort like the float, once signs are mended."""
    bits = (values + np.float32(0)).view(np.uint32)  # adding 0 turns -0 into 0
    ascending = np.where(bits >> 31, ~bits, bits | np.uint32(0x80000000))
    return ((~ascending).astype(np.uint64) << np.uint64(32)) | indices.astype(np.uint64)


def _values(keys: np.ndarray) -> np.ndarray:
    """Return the values of keys."""
    ascending = ~(keys >> np.uint64(32)).astype(np.uint32)
    bits = np.where(ascending >> 31, ascending & np.uint32(0x7FFFFFFF), ~ascending)
    return bits.astype(np.uint32).view(np.float32)


def _take(best: np.ndarray, reach: np.ndarray, rows: np.ndarray, columns: np.ndarray, values: np.ndarray) -> None:
    """Sort candidates into the best of their rows, in place, and raise what must be reached."""
    if not len(rows):
        return
    k = best.shape[1]
    order = np.argsort(rows, kind="stable")
    rows, keys = rows[order], _keys(values[order], columns[order])
    affected, first, counts = np.unique(rows, return_index=True, return_counts=True)
    # Rows with many candidates would make the table wide for all: they are sorted in by themselves.
    for some in (counts <= 4 * k + 16, counts > 4 * k + 16):
        if not some.any():
            continue
        size = counts[some]
        table = np.full((len(size), k + int(size.max())), _NONE, dtype=np.uint64)
        table[:, :k] = best[affected[some]]
        line = np.repeat(np.arange(len(size)), size)
        ahead = np.arange(len(line)) - np.repeat(np.cumsum(size) - size, size)
        table[line, k + ahead] = keys[np.repeat(first[some], size) + ahead]
        table.sort(axis=1)
        best[affected[some]] = table[:, :k]
    last = best[affected, k - 1]
    full = last != _NONE
    reach[affected[full]] = _values(last[full])
