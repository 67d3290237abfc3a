"""From the scores of starts and ends to answers: best spans of a window, and when "no answer" is said. Pure numpy."""

from __future__ import annotations

import numpy as np

__all__ = ["best_spans", "choose_threshold", "log_shares", "says_nothing"]

#: Threshold where nothing has chosen one: "no answer" is said when its score is above the best span's.
USUAL = 0.0


def best_spans(starts: np.ndarray, ends: np.ndarray, longest: int, count: int = 1) -> list[tuple[float, int, int]]:
    """Return the spans with the highest sum of the start's and the end's score.

    Parameters
    ----------
    starts, ends
        Score of each piece of the context as the answer's first and last; shape (pieces,).
    longest
        Pieces that an answer may have, from 1.
    count
        How many spans.

    Returns
    -------
    list of (float, int, int)
        Score, first and last piece; best first, of equals the earlier and shorter one. All spans are looked at, not
        only those of the best starts and ends.
    """
    size = len(starts)
    if not size:
        return []
    reach = min(longest, size)
    padded = np.concatenate([ends.astype(np.float64), np.full(reach - 1, -np.inf)])
    sums = starts.astype(np.float64)[:, None] + np.lib.stride_tricks.sliding_window_view(padded, reach)
    flat = sums.ravel()
    if count == 1:
        chosen = np.array([int(flat.argmax())])
    else:
        few = min(count, flat.size)
        least = np.partition(flat, flat.size - few)[flat.size - few]
        chosen = np.flatnonzero(flat >= least)  # all of equal score, so that the choice does not depend on the sort
        chosen = chosen[np.argsort(-flat[chosen], kind="stable")][:few]
    return [
        (float(flat[at]), int(at) // reach, int(at) // reach + int(at) % reach)
        for at in chosen if np.isfinite(flat[at])
    ]  # fmt: skip


def log_shares(scores: np.ndarray) -> np.ndarray:
    """Return logarithms of the shares of scores over the first axis, in double precision."""
    shifted = scores.astype(np.float64) - scores.max(axis=0, keepdims=True)
    found: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=0, keepdims=True))
    return found


def says_nothing(empty: np.ndarray, best: np.ndarray, threshold: float | None) -> np.ndarray:
    """Return for each question whether "no answer" is said.

    Parameters
    ----------
    empty, best
        Score of "no answer" (the lowest over the windows) and of the best span; shape (questions,).
    threshold
        It is said when `empty` lies above `best` by more than this; None: by more than 0.

    References
    ----------
    Devlin, Chang, Lee & Toutanova (2019), BERT, section 4.3.
    """
    found: np.ndarray = empty - best > (USUAL if threshold is None else threshold)
    return found


def choose_threshold(differences: np.ndarray, answered: np.ndarray, silent: np.ndarray) -> float:
    """Return the threshold with the highest mean score.

    Parameters
    ----------
    differences
        Score of "no answer" minus that of the best span; shape (questions,).
    answered, silent
        What each question scores with its best span, and with "no answer".

    Returns
    -------
    float
        Half-way between two neighbouring differences; of equally good ones that which is nearest to 0.
    """
    known = np.isfinite(differences)
    differences, gain = differences[known], (answered - silent)[known]
    if not len(differences):
        return USUAL
    order = np.argsort(differences, kind="stable")
    ranked = differences[order]
    # With the threshold behind rank k the first k questions are answered and the others are not.
    sums = np.concatenate([[0.0], np.cumsum(gain[order])])
    cuts = np.concatenate([[ranked[0] - 1.0], (ranked[1:] + ranked[:-1]) / 2, [ranked[-1] + 1.0]])
    apart = np.concatenate([[True], ranked[1:] > ranked[:-1], [True]])  # equal differences cannot be told apart
    good = np.flatnonzero(apart & (sums >= sums[apart].max() - 1e-9))
    # Between the neighbours of a cut every threshold does the same: 0 is taken where it lies there.
    low = np.concatenate([[-np.inf], ranked])
    high = np.concatenate([ranked, [np.inf]])
    if np.any((low[good] <= USUAL) & (high[good] > USUAL)):
        return USUAL
    return float(cuts[good[np.argmin(np.abs(cuts[good]))]])
