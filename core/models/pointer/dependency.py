"""A head that points from each word to its head, on top of any encoder that transformers has a tagging class for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForTokenClassification
from transformers.modeling_outputs import TokenClassifierOutput

from core.models.pointer.scorer import PointerMemory, PointerScorer, pointer_shares

__all__ = ["ENDING", "AutoModelForDependency", "DependencyHead", "dependency_class"]

#: How the classes of such models end: ``BertForDependency``.
ENDING = "ForDependency"


class DependencyHead(nn.Module):
    """Scores of each word's head, and of its relation given what the pointer reads.

    Parameters
    ----------
    width
        Size of the words' states.
    relations
        How many relations there are; 0: heads alone.
    itself
        Whether a word may point to itself.
    dropout
        Probability at which parts of the words' states are left out in training.
    size, reach
        See :class:`~core.models.pointer.scorer.PointerScorer`.
    memory
        Whether relations are scored with what the pointer reads; else by the word's own state alone.

    Notes
    -----
    A_t is the pointer's softmax, m_t the memory that is read through it, and the scores of relations are a linear map
    of o_t = [h_t; m_t]: not of one head's state as in Dozat & Manning (2017), but of the mean over all that could be.
    """

    def __init__(
        self, width: int, relations: int, *, itself: bool, dropout: float = 0.1, size: int = 64,
        reach: int | None = 16, memory: bool = True,
    ):  # fmt: skip
        super().__init__()
        self.itself = itself
        self.dropout = nn.Dropout(dropout)
        self.pointer = PointerScorer(width, size, reach=reach)
        self.memory = PointerMemory(width, size) if relations and memory else None
        self.relation = nn.Linear(width + size * memory, relations) if relations else None

    def forward(self, states: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        """Score the words of a batch.

        Parameters
        ----------
        states
            Shape (batch, words, width).
        valid
            True where a word stands; shape (batch, words).

        Returns
        -------
        torch.Tensor
            Shape (batch, words, 1 + words + relations), float32: the empty slot, the words, the relations.
        """
        states = self.dropout(states)
        scores = self.pointer(states, valid)
        if not self.itself:
            own = torch.eye(states.shape[1], dtype=torch.bool, device=states.device)
            scores = scores.masked_fill(nn.functional.pad(own, (1, 0)), torch.finfo(torch.float32).min)
        if self.relation is None:
            return scores
        if self.memory is not None:
            read = self.memory(pointer_shares(scores), states)
            states = torch.cat([states, read.to(states.dtype)], dim=-1)
        named = self.relation(states)
        return torch.cat([scores, named.float()], dim=-1)


class _Points:
    """What a family's tagging class becomes: its head is taken away, and words point."""

    def __init__(self, config: Any):
        super().__init__(config)  # type: ignore[call-arg]
        model: Any = self
        for name, _ in list(model.named_children()):
            if name != model.base_model_prefix:
                delattr(model, name)
        settings: Mapping[str, Any] = config.pointers
        own = getattr(config, "classifier_dropout", None)
        usual = next((getattr(config, name) for name in _DROPOUTS if getattr(config, name, None) is not None), 0.1)
        model.arcs = DependencyHead(
            config.hidden_size, int(settings["relations"]), itself=bool(settings["itself"]),
            dropout=float(usual if own is None else own), size=int(settings["size"]), reach=settings["reach"],
            memory=bool(settings["memory"]),
        )  # fmt: skip
        model.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, PointerScorer | PointerMemory):
            module.reset()
        else:
            super()._init_weights(module)  # type: ignore[misc]

    def forward(
        self, input_ids: torch.Tensor | None = None, words: torch.Tensor | None = None, **inputs: Any
    ) -> TokenClassifierOutput:
        """Return logits of shape (batch, words, 1 + words + relations); see :class:`DependencyHead`.

        Parameters
        ----------
        input_ids
            Shape (batch, length).
        words
            Position of each word's first sub-word, -1 where there is none; shape (batch, words). None: every sub-word
            is a word, as speed is measured on.
        **inputs
            What the encoder takes beside.
        """
        model: Any = self
        hidden = getattr(model, model.base_model_prefix)(input_ids=input_ids, **inputs)[0]
        if words is None:
            words = torch.arange(hidden.shape[1], device=hidden.device).expand(len(hidden), -1)
        places = words.clamp(min=0).unsqueeze(-1).expand(-1, -1, hidden.shape[-1])
        return TokenClassifierOutput(logits=model.arcs(hidden.gather(1, places), words >= 0))


_DROPOUTS = ("hidden_dropout_prob", "dropout", "hidden_dropout", "resid_pdrop")


@cache
def dependency_class(config_class: type) -> Any:
    """Return the class for a family, by the class of its config.

    Raises
    ------
    ValueError
        If transformers has no class that tags words with this encoder.
    """
    known = AutoModelForTokenClassification._model_mapping
    if config_class not in known:
        raise ValueError(f"{config_class.__name__} has no class for words")
    stock = known[config_class]
    family = stock.__name__.removesuffix("ForTokenClassification")
    return type(f"{family}{ENDING}", (_Points, stock), {"__module__": __name__, "__doc__": _Points.__doc__})


class AutoModelForDependency:
    """Loads such models as transformers' ``AutoModelFor…`` classes do theirs."""

    @staticmethod
    def from_pretrained(folder: str, *, config: Any, **options: Any) -> Any:
        """Return the model of a folder, its class chosen by `config`; options as in transformers."""
        options.pop("trust_remote_code", None)  # the class is ours: nothing is looked for in the folder
        return dependency_class(config.__class__).from_pretrained(folder, config=config, **options)

    @staticmethod
    def from_config(config: Any) -> Any:
        """Return a model with fresh weights."""
        return dependency_class(config.__class__)._from_config(config)
