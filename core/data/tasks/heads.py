"""What a head says, in one form for all heads of stock transformers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

__all__ = ["head_logits"]


def head_logits(output: Any) -> torch.Tensor:
    """Return the logits of a model's output.

    Parameters
    ----------
    output
        What a model of a task's transformers class returned.

    Returns
    -------
    torch.Tensor
        Shape (batch, classes) or (batch, length, classes). Scores of starts and ends, which transformers gives apart,
        are the two classes of every position.
    """
    found = getattr(output, "logits", None)
    if found is None:
        import torch

        found = torch.stack([output.start_logits, output.end_logits], dim=-1)
    logits: torch.Tensor = found
    return logits
