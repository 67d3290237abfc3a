"""Which layer of the student learns from which of the teacher: by a rule, by hand, or by likeness. Pure functions."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["Pairs", "layer_pairs", "match_layers"]

#: Layer of the student, layer of the teacher; both from 1.
Pairs = list[tuple[int, int]]


def layer_pairs(way: str | Pairs, student: int, teacher: int) -> Pairs:
    """Return which layer of the student learns from which of the teacher.

    Parameters
    ----------
    way
        ``uniform``: layer i learns from layer ⌈i · teacher / student⌉ (TinyBERT, Jiao et al. 2020). ``skip``: the same
        without the last layer (PKD-Skip, Sun et al. 2019). ``last``: the last from the last. Or pairs.
    student, teacher
        Number of layers.

    Raises
    ------
    ValueError
        If a pair names a layer that is not there, or no pair is left.
    """
    if way == "last":
        return [(student, teacher)]
    if way in ("uniform", "skip"):
        found = [(one, max(1, math.ceil(one * teacher / student))) for one in range(1, student + 1)]
        if way == "uniform":
            return found
        if student < 2:
            raise ValueError("without its last layer the student has none: it has 1")
        return found[:-1]
    if isinstance(way, str):
        raise ValueError(f"there is no layer map {way!r}")
    for own, other in way:
        if not 1 <= own <= student or not 1 <= other <= teacher:
            raise ValueError(
                f"layer {own} of the student from layer {other} of the teacher: they have {student} and {teacher}"
            )
    return [(own, other) for own, other in way]


def match_layers(likeness: np.ndarray) -> Pairs:
    """Match each layer of the student with one of the teacher so that their likeness is largest and the order stays.

    A higher layer of the student gets a higher layer of the teacher; where the teacher has fewer layers, not a lower
    one. Among equally good matches the one with the lowest layers of the teacher is taken.

    Parameters
    ----------
    likeness
        Shape (student's layers, teacher's layers), for example linear CKA; what is no number counts as 0.

    Examples
    --------
    >>> match_layers(np.array([[0.9, 0.2, 0.1], [0.8, 0.3, 0.7]]))
    [(1, 1), (2, 3)]
    """
    scores = np.nan_to_num(np.asarray(likeness, dtype=np.float64), nan=0.0)
    student, teacher = scores.shape
    apart = 1 if student <= teacher else 0
    best = np.full((student, teacher), -np.inf)
    came = np.zeros((student, teacher), dtype=int)
    best[0] = scores[0]
    for own in range(1, student):
        for other in range(teacher):
            below = best[own - 1, : other + 1 - apart]
            if len(below) and np.isfinite(below).any():
                came[own, other] = int(np.argmax(below))
                best[own, other] = below[came[own, other]] + scores[own, other]
    other = int(np.argmax(best[-1]))
    found = [(student, other + 1)]
    for own in range(student - 1, 0, -1):
        other = int(came[own, other])
        found.append((own, other + 1))
    return found[::-1]
