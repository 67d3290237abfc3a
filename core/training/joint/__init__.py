"""Joint training: one encoder, one optimiser, any number and mixture of tasks (see docs/joint.md).

The loop, stages, checkpoints and guards are those of a run with one task; what is here says what several tasks share
and how their batches follow one another. Nothing is imported before it is used.
"""

from __future__ import annotations

from typing import Any

__all__ = ["train"]


def train(*args: Any, **kwargs: Any) -> Any:
    """Execute a joint plan; see :func:`core.training.joint.run.train`."""
    from core.training.joint.run import train as execute

    return execute(*args, **kwargs)
