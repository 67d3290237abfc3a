"""How much each attention head and each FFN unit of an encoder does, measured on texts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from core.errors import ModelError

__all__ = ["Importance", "by_energy", "by_gradient", "parts_of"]


@dataclass
class Importance:
    """Scores, larger is more important; comparable within a layer.

    Parameters
    ----------
    heads
        One tensor a layer of shape (heads,).
    units
        One tensor a layer of shape (FFN units,).
    tokens
        Sub-words that were looked at.
    """

    heads: list[torch.Tensor]
    units: list[torch.Tensor]
    tokens: int = 0


@dataclass(frozen=True)
class _Part:
    """The places of one BERT layer where heads and units write."""

    attention: Any
    heads_out: torch.nn.Linear
    units_out: torch.nn.Linear
    heads: int
    size: int


def parts_of(model: Any) -> list[_Part]:
    """Return where the heads and units of each layer of a BERT write.

    Raises
    ------
    ModelError
        If the layers are not BERT's.
    """
    from transformers.models.bert.modeling_bert import BertLayer

    encoder = getattr(model, "base_model", model)
    layers = list(getattr(getattr(encoder, "encoder", None), "layer", []))
    if not layers or not all(isinstance(layer, BertLayer) for layer in layers):
        raise ModelError(
            f"Heads and units of {type(encoder).__name__} cannot be told apart.",
            expected="BERT, or an encoder that Bertloom shaped",
            advice="Other families can be trained, frozen and distilled, but not pruned.",
        )
    found = []
    for layer in layers:
        own = layer.attention.self
        found.append(
            _Part(
                own, layer.attention.output.dense, layer.output.dense, own.num_attention_heads, own.attention_head_size
            )
        )
    return found


@contextlib.contextmanager
def _watching(parts: list[_Part], seen: Callable[[int, str, torch.Tensor], None]) -> Iterator[None]:
    """Call `seen(layer, "heads" | "units", states)` with what enters each writing map."""
    handles = []
    for index, part in enumerate(parts):
        for name, module in (("heads", part.heads_out), ("units", part.units_out)):

            def hook(_: Any, args: tuple[Any, ...], index: int = index, name: str = name) -> None:
                seen(index, name, args[0])

            handles.append(module.register_forward_pre_hook(hook))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def by_energy(model: Any, batches: Iterable[Mapping[str, torch.Tensor]]) -> Importance:
    """Score by what is written into the stream: the mean squared length of a head's, a unit's contribution.

    Needs no labels.

    Parameters
    ----------
    model
        BERT or a shaped encoder, with or without a head; in evaluation mode while this runs.
    batches
        Inputs with ``attention_mask``; padding does not count.

    Raises
    ------
    ModelError
        If the layers are not BERT's, or there is no text.
    """
    parts = parts_of(model)
    moments: list[Any] = [None] * len(parts)
    squares: list[Any] = [None] * len(parts)
    tokens = 0
    mask: torch.Tensor = torch.empty(0)

    def seen(index: int, name: str, states: torch.Tensor) -> None:
        flat = states[mask].double()
        if name == "units":
            squares[index] = flat.square().sum(0) + (0 if squares[index] is None else squares[index])
            return
        part = parts[index]
        split = flat.view(-1, part.heads, part.size)
        moment = torch.einsum("thi,thj->hij", split, split)
        moments[index] = moment + (0 if moments[index] is None else moments[index])

    was = model.training
    model.eval()
    try:
        with torch.inference_mode(), _watching(parts, seen):
            for batch in batches:
                mask = batch["attention_mask"].bool()
                tokens += int(mask.sum())
                model(**batch)
    finally:
        model.train(was)
    if not tokens:
        raise ModelError("There is no text to measure heads and units on.", expected="at least one text")
    heads, units = [], []
    for index, part in enumerate(parts):
        weight = part.heads_out.weight.detach().double().view(-1, part.heads, part.size)
        heads.append((torch.einsum("ohi,hij,ohj->h", weight, moments[index], weight) / tokens).float())
        written = part.units_out.weight.detach().double().square().sum(0)
        units.append((squares[index] * written / tokens).float())
    return Importance(heads, units, tokens)


def by_gradient(
    model: Any, batches: Iterable[Mapping[str, torch.Tensor]], loss: Callable[[Any], torch.Tensor]
) -> Importance:
    """Score by how much the loss would change without a head or unit, to first order.

    The mean over texts of ``|Σ states · ∂loss/∂states|`` (Michel et al. 2019 for heads,
    Molchanov et al. 2017 for units).

    Parameters
    ----------
    model
        BERT or a shaped encoder with a trained head.
    batches
        Inputs with ``attention_mask``; what else they hold (labels) is given to `loss`.
    loss
        Called with the model's output and the batch's labels (``(output, labels)``); returns the *sum* of the texts'
        losses.

    Raises
    ------
    ModelError
        If the layers are not BERT's, or there is no text.
    """
    parts = parts_of(model)
    heads = [torch.zeros(part.heads, dtype=torch.float64) for part in parts]
    units = [torch.zeros(part.units_out.in_features, dtype=torch.float64) for part in parts]
    kept: list[tuple[int, str, torch.Tensor]] = []
    texts = tokens = 0

    def seen(index: int, name: str, states: torch.Tensor) -> None:
        if not states.requires_grad:  # everything below is frozen
            states.requires_grad_(True)
        states.retain_grad()
        kept.append((index, name, states))

    was = model.training
    model.eval()
    try:
        for batch in batches:
            inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
            kept.clear()
            with torch.enable_grad(), _watching(parts, seen):
                total = loss((model(**inputs), batch.get("labels")))
            total.backward()
            texts += len(batch["attention_mask"])
            tokens += int(batch["attention_mask"].sum())
            for index, name, states in kept:
                if states.grad is None:
                    continue
                effect = (states.detach() * states.grad).double().sum(1)  # (texts, width)
                if name == "units":
                    units[index] += effect.abs().sum(0).cpu()
                else:
                    part = parts[index]
                    heads[index] += effect.view(-1, part.heads, part.size).sum(-1).abs().sum(0).cpu()
            model.zero_grad(set_to_none=True)
    finally:
        kept.clear()
        model.train(was)
    if not texts:
        raise ModelError("There is no text to measure heads and units on.", expected="at least one text")
    return Importance([(one / texts).float() for one in heads], [(one / texts).float() for one in units], tokens)
