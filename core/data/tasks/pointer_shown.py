"""What views of all heads that point have in common. Pure numpy."""

from __future__ import annotations

from typing import Any

import numpy as np

from core.data.tasks.base import Prediction

__all__ = ["SLOTS", "Memory", "empty_view", "listed", "memory_shares"]

#: Of a feature: size of each target's value, shape (1 + words + entries,), and of what is read at each step, shape
#: (queries,).
Memory = tuple[np.ndarray, np.ndarray]
#: What an empty slot means.
SLOTS = {"tagging": "no entity", "question_answering": "no answer"}


def memory_shares(shares: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return how much each target adds to what is read: ‖A_i v_i‖ as a share of their sum over i.

    Parameters
    ----------
    shares
        A, shape (queries, targets).
    sizes
        ‖v_i‖, shape (targets,).

    Returns
    -------
    numpy.ndarray
        Of the shape of `shares`; rows sum to 1 unless nothing is read.

    References
    ----------
    Kobayashi et al. (2020), Attention is not only a weight: analyzing transformers with vector norms, section 3.
    """
    each = shares * sizes
    total = each.sum(axis=-1, keepdims=True)
    found: np.ndarray = np.divide(each, total, out=np.zeros_like(each), where=total > 0)
    return found


def empty_view(
    kind: str, prediction: Prediction, rows: list[str], columns: list[str], slot: str | None
) -> dict[str, Any]:  # fmt: skip
    """Return a view in which nothing is pointed to; see :func:`core.data.tasks.pointer_view.pointer_views`."""
    return {
        "kind": kind, "text": prediction.text, "rows": rows, "columns": columns, "slot": slot,
        "names": [""] * len(rows), "pointed": [0] * len(rows), "memory": None, "read": None, "spans": None,
        "contains": None, "entries": None,
    }  # fmt: skip


def listed(values: np.ndarray | None) -> list[list[float]] | None:
    """Return numbers as plain data."""
    return None if values is None else values.tolist()
