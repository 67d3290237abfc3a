"""Entries of a dictionary as what an encoder reads: sub-words, and one vector an entry from their states."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from core.data.tasks.pieces import frame_of, piece_words
from core.data.tasks.words import split_words
from core.errors import ModelError

__all__ = ["entry_ids", "entry_inputs", "entry_vectors", "give_pieces", "known_head"]

#: What ``config.pointers`` holds beside the entries once a tokeniser has read them.
_READ = ("pieces", "frame")


def give_pieces(model: Any, tokenizer: Any, max_length: int) -> None:
    """Have the model hold the sub-words of its dictionary's entries, in its config; nothing is done without one.

    An entry is split into words as a raw text is, and then into sub-words as the words of a sentence are.

    Raises
    ------
    ModelError
        If the tokeniser leaves nothing of an entry, or more than the model reads.
    """
    settings = getattr(model.config, "pointers", None)
    if not settings or not settings.get("dictionary"):
        return
    frame = frame_of(tokenizer)
    texts = [str(entry[0]) for entry in settings["dictionary"]]
    words = [[word for word, _, _ in split_words(text)] for text in texts]
    pieces = []
    for text, (ids, _) in zip(texts, piece_words(tokenizer, words), strict=True):
        if not 0 < len(ids) <= max_length - frame.size:
            raise ModelError(
                f"The entry {text!r} has {len(ids)} sub-words for this encoder.", where="task.pointer.dictionary",
                expected=f"1 to {max_length - frame.size}, which is what model.max_length leaves",
                advice="Leave the entry out, or shorten it.",
            )  # fmt: skip
        pieces.append([*frame.before, *ids, *frame.behind])
    model.config.pointers = {**settings, "pieces": pieces, "frame": [len(frame.before), len(frame.behind)]}
    model.__dict__.pop("_entries", None)


def known_head(settings: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return what a head is by ``config.pointers``: all but what a tokeniser made of its entries."""
    if settings is None:
        return None
    found = {name: value for name, value in settings.items() if name not in _READ}
    if "dictionary" in found:  # JSON knows no tuples
        found["dictionary"] = [list(entry) for entry in found["dictionary"]]
    return found


def entry_inputs(model: Any) -> dict[str, torch.Tensor] | None:
    """Return ``input_ids`` and ``attention_mask`` of all entries on the model's device; None without a dictionary.

    Shape (entries, sub-words); padding is on the right.
    """
    settings = getattr(model.config, "pointers", None) or {}
    pieces: Sequence[Sequence[int]] | None = settings.get("pieces")
    if not pieces:
        return None
    kept = model.__dict__.setdefault("_entries", {})
    device = model.device
    if device not in kept:
        width = max(len(one) for one in pieces)
        fill = int(getattr(model.config, "pad_token_id", None) or 0)
        with torch.inference_mode(False):  # they are kept, and gradients pass what is made of them
            ids = torch.tensor([[*one, *[fill] * (width - len(one))] for one in pieces], device=device)
            mask = torch.tensor([[1] * len(one) + [0] * (width - len(one)) for one in pieces], device=device)
        kept[device] = {"input_ids": ids, "attention_mask": mask}
    found: dict[str, torch.Tensor] = dict(kept[device])
    return found


def entry_vectors(hidden: torch.Tensor, mask: torch.Tensor, frame: Sequence[int]) -> torch.Tensor:
    """Return the mean state of each entry's sub-words, without the special pieces.

    Parameters
    ----------
    hidden
        Shape (entries, sub-words, width).
    mask
        1 where a sub-word stands, shape (entries, sub-words).
    frame
        How many special pieces stand before and behind.

    Returns
    -------
    torch.Tensor
        Shape (entries, width), in the precision of the states.
    """
    before, behind = (int(one) for one in frame)
    places = torch.arange(mask.shape[1], device=mask.device)
    own = (places >= before) & (places < mask.sum(dim=1, keepdim=True) - behind)
    shares = own.to(hidden.dtype) / own.sum(dim=1, keepdim=True).to(hidden.dtype)
    return torch.bmm(shares[:, None], hidden).squeeze(1)


def entry_ids(model: nn.Module) -> Iterator[int]:
    """Yield the sub-words of the entries of a model, or of all models that it is made of."""
    for part in model.modules():
        settings = getattr(getattr(part, "config", None), "pointers", None) or {}
        for pieces in settings.get("pieces") or () if hasattr(part, "pointer") else ():
            yield from pieces
