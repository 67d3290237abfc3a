"""Question answering by pointers: two learned queries point to the start and the end of the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from core.data.tasks.question_answering import QuestionAnswering

if TYPE_CHECKING:
    import torch

__all__ = ["PointerQuestions"]


class PointerQuestions(QuestionAnswering):
    """Start and end by pointers over the context and an empty slot; windows, decoding and scores as ever.

    The empty slot stands for "no answer in this window", and its scores take the place that ``[CLS]`` has with a linear
    head; see :class:`core.models.pointer.heads.QuestionPointer`.

    Parameters
    ----------
    config
        As of :class:`QuestionAnswering`, and ``pointer``.
    labels
        ``start`` and ``end``.
    """

    auto_class = "AutoModelForPointers"

    def model_kwargs(self) -> dict[str, Any]:
        """Return the names of the outputs as in stock configs, and what kind of head there is."""
        wanted = self.config.pointer
        head = {
            "points": "question", "size": wanted.size, "memory": wanted.memory,
            "reach": wanted.reach if wanted.relative else None,
        }  # fmt: skip
        return {**super().model_kwargs(), "pointers": head}

    def collate(
        self, features: Sequence[dict[str, Any]], tokenizer: Any, *, pad_to: int | None = None
    ) -> dict[str, torch.Tensor]:
        """Pad features; see :meth:`QuestionAnswering.collate`.

        ``context`` is int64 of shape (batch, length): 1 on the context's sub-words, 2 where the empty slot's scores
        stand, else 0.
        """
        import torch

        batch = super().collate(features, tokenizer, pad_to=pad_to)
        context = np.zeros(tuple(batch["input_ids"].shape), dtype=np.int64)
        for row, feature in enumerate(features):
            context[row, feature["first"] : feature["first"] + len(feature["starts"])] = 1
            context[row, feature["empty"]] = 2
        batch["context"] = torch.from_numpy(context)
        return batch
