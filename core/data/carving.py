"""Choosing rows: stratified carving and sampling, and duplicates. Pure functions of arrays; the same on every platform.

Order comes from a hash of the row's text and the seed (splitmix64), not from a random generator: so it depends neither
on numpy's version nor on the rows' order, and a few rows more leave nearly all others in their roles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

__all__ = ["carve", "first_of_each", "quotas", "rarest", "sample_rows"]


def _order(keys: np.ndarray, seed: int, salt: int) -> np.ndarray:
    """Return a pseudo-random number a key (splitmix64, Steele, Lea and Flood 2014)."""
    import numpy as np

    offset = ((seed * 2 + salt + 1) * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    state = keys.astype(np.uint64) + np.uint64(offset)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def quotas(sizes: np.ndarray, total: int, room: np.ndarray) -> np.ndarray:
    """Divide `total` among strata in proportion to their sizes (largest remainder), at most `room` each.

    Parameters
    ----------
    sizes, room
        Of shape (strata,).
    total
        How many to take; fewer if there is no room.

    Returns
    -------
    numpy.ndarray
        Of shape (strata,).
    """
    import numpy as np

    exact = sizes * (min(total, int(sizes.sum())) / max(1, int(sizes.sum())))
    taken = np.minimum(np.floor(exact).astype(np.int64), room)
    # Ties go to the lower stratum: a stable sort.
    by_remainder = np.argsort(-(exact - np.floor(exact)), kind="stable")
    missing = min(total, int(room.sum())) - int(taken.sum())
    while missing > 0:
        for stratum in by_remainder:
            if missing > 0 and taken[stratum] < room[stratum]:
                taken[stratum] += 1
                missing -= 1
    return taken


def first_of_each(keys: np.ndarray) -> np.ndarray:
    """Return, for each row, the index of the first row with the same key (itself if it is the first). Shape (rows,)."""
    import numpy as np

    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return first[inverse.reshape(-1)]


def carve(strata: np.ndarray, keys: np.ndarray, shares: dict[str, float], seed: int) -> dict[str, np.ndarray]:
    """Divide rows into roles; rows with one text always share a role, so nothing leaks.

    Parameters
    ----------
    strata
        Stratum of each row, shape (rows,); a text with several counts under its first row's.
    keys
        Hash of each row's text, shape (rows,).
    shares
        Share of the texts by role name; what remains is ``train``. Each stratum keeps at least one text in train.
    seed
        Another seed gives another division.

    Returns
    -------
    dict
        Row indices in ascending order by role, ``train`` included.
    """
    import numpy as np

    first = first_of_each(keys)
    units = np.flatnonzero(first == np.arange(len(keys)))
    order = _order(keys[units], seed, 0)
    unit_strata = strata[units]
    names, coded = np.unique(unit_strata, return_inverse=True)
    coded = coded.reshape(-1)
    sizes = np.bincount(coded, minlength=len(names))
    room = sizes - 1
    role_of_unit = np.zeros(len(units), dtype=np.int64)
    ranked = np.lexsort((keys[units], order, coded))
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    used = np.zeros(len(names), dtype=np.int64)
    for number, share in enumerate(shares.values(), 1):
        total = round(share * len(units))
        total = max(total, 1) if share > 0 and len(units) > 2 else total
        taken = quotas(sizes, total, room - used)
        for stratum, count in enumerate(taken):
            begin = starts[stratum] + used[stratum]
            role_of_unit[ranked[begin : begin + count]] = number
        used += taken
    role_of_row = np.zeros(len(keys), dtype=np.int64)
    role_of_row[units] = role_of_unit
    role_of_row = role_of_row[first]
    return {name: np.flatnonzero(role_of_row == number) for number, name in enumerate(("train", *shares))}


def sample_rows(strata: np.ndarray, keys: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Return at most `count` row indices, ascending, with the strata's proportions; see :func:`carve`."""
    import numpy as np

    if count >= len(keys):
        return np.arange(len(keys))
    _, coded = np.unique(strata, return_inverse=True)
    coded = coded.reshape(-1)
    sizes = np.bincount(coded)
    taken = quotas(sizes, count, sizes)
    ranked = np.lexsort((np.arange(len(keys)), keys, _order(keys, seed, 1), coded))
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    chosen = [ranked[start : start + number] for start, number in zip(starts, taken, strict=True)]
    return np.sort(np.concatenate(chosen))


def rarest(flat: np.ndarray, lengths: np.ndarray, frequency: np.ndarray) -> np.ndarray:
    """Return the rarest class of each row, the stratum of rows that hold several classes.

    Parameters
    ----------
    flat
        Classes of all rows one after another, shape (sum of lengths,); negative ones do not count.
    lengths
        How many of them belong to each row, shape (rows,).
    frequency
        How often each class occurs, shape (classes,).

    Returns
    -------
    numpy.ndarray
        A class a row, -1 for rows without any; ties go to the lower class. Shape (rows,).
    """
    import numpy as np

    by_rarity = np.lexsort((np.arange(len(frequency)), frequency))
    rank = np.empty(len(frequency) + 1, dtype=np.int64)
    rank[by_rarity] = np.arange(len(frequency))
    rank[-1] = len(frequency)
    best = np.full(len(lengths), len(frequency), dtype=np.int64)
    np.minimum.at(best, np.repeat(np.arange(len(lengths)), lengths), rank[flat])
    return np.append(by_rarity, -1)[best]
