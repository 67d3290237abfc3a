"""What layers of an encoder compute in one forward pass: hidden states, queries, keys and values, read by hooks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from core.config.distillation import StateLoss
from core.errors import ConfigError
from core.training.distil.losses import attention_loss, hidden_loss, layer_pairs, relation_loss

__all__ = ["Watch", "check_states", "state_loss"]

#: Names of the linear maps to queries, keys and values within a layer, by family.
_MAPS = (("query", "key", "value"), ("q_lin", "k_lin", "v_lin"))


class Watch:
    """Reads an encoder's layers while a block lasts.

    Parameters
    ----------
    layers
        The encoder's layers, lowest first.
    heads
        Attention heads of a layer.
    width
        Width of the hidden states.
    """

    def __init__(self, layers: Sequence[torch.nn.Module], heads: int, width: int):
        self.layers = list(layers)
        self.heads, self.width = heads, width
        self.hidden: dict[int, torch.Tensor] = {}
        self.maps: dict[int, dict[str, torch.Tensor]] = {}

    @contextmanager
    def reading(self, outputs: set[int], maps: set[int]) -> Iterator[None]:
        """Read, while the block lasts, what these layers give (0: the embeddings) and their maps; from 1."""
        self.hidden.clear()
        self.maps.clear()
        handles: list[Any] = []
        try:
            if 0 in outputs:
                handles.append(self.layers[0].register_forward_pre_hook(self._entered))
            handles += [self.layers[number - 1].register_forward_hook(self._left(number)) for number in outputs - {0}]
            for number in maps:
                for name, module in zip("qkv", _linear_maps(self.layers[number - 1]), strict=True):
                    handles.append(module.register_forward_hook(self._mapped(number, name)))
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _entered(self, module: torch.nn.Module, given: tuple[Any, ...]) -> None:
        self.hidden[0] = given[0]

    def _left(self, number: int) -> Any:
        def read(module: torch.nn.Module, given: Any, found: Any) -> None:
            self.hidden[number] = found[0] if isinstance(found, tuple) else found

        return read

    def _mapped(self, number: int, name: str) -> Any:
        def read(module: torch.nn.Module, given: Any, found: torch.Tensor) -> None:
            self.maps.setdefault(number, {})[name] = found

        return read


def _linear_maps(layer: torch.nn.Module) -> list[torch.nn.Module]:
    found = dict(layer.named_modules())
    for names in _MAPS:
        mapped = [[module for path, module in found.items() if path.rpartition(".")[2] == name] for name in names]
        if all(len(one) == 1 for one in mapped):
            return [one[0] for one in mapped]
    raise ConfigError(
        f"Queries, keys and values of a {type(layer).__name__} cannot be read.", where="distil.states",
        expected="an encoder of the BERT or DistilBERT family for the losses attention and relation",
        advice="Take a loss of kind hidden.",
    )  # fmt: skip


def wanted(config: StateLoss, student: Watch, teacher: Watch) -> tuple[set[int], set[int], set[int], set[int]]:
    """Return what must be read: outputs and maps of the student, outputs and maps of the teacher."""
    if config.kind == "embedding":
        return {0}, set(), {0}, set()
    pairs = layer_pairs(config.layers, len(student.layers), len(teacher.layers))
    own, other = {one for one, _ in pairs}, {one for _, one in pairs}
    return (own, set(), other, set()) if config.kind == "hidden" else (set(), own, set(), other)


def check_states(configs: Sequence[StateLoss], student: Watch, teacher: Watch, *, where: str) -> None:
    """Refuse losses between layers that do not fit together.

    Raises
    ------
    ConfigError
        If a pair of layers is out of range, or widths or heads differ where they must not.
    """
    for number, config in enumerate(configs):
        place = f"{where}.states.{number}"
        if config.kind != "embedding":
            try:
                pairs = layer_pairs(config.layers, len(student.layers), len(teacher.layers))
            except ValueError as error:
                raise ConfigError(f"The layers do not fit: {error} layers.", where=f"{place}.layers") from error
            if config.kind in ("attention", "relation"):
                for own, other in pairs:
                    _linear_maps(student.layers[own - 1])
                    _linear_maps(teacher.layers[other - 1])
        if config.kind in ("hidden", "embedding") and student.width != teacher.width:
            raise ConfigError(
                f"The student is {student.width} wide, the teacher {teacher.width}: their states cannot be compared.",
                where=place, expected="equal widths", advice="Take a loss of kind relation: it needs no equal widths.",
            )  # fmt: skip
        if config.kind == "attention" and student.heads != teacher.heads:
            raise ConfigError(
                f"The student has {student.heads} heads a layer, the teacher {teacher.heads}.", where=place,
                expected="equally many heads", advice="Take a loss of kind relation: it needs no equal heads.",
            )  # fmt: skip
        if config.kind == "relation":
            heads = config.heads or student.heads
            for who, one in (("student", student), ("teacher", teacher)):
                if one.width % heads:
                    raise ConfigError(
                        f"{heads} relation heads do not divide the {who}'s width of {one.width}.",
                        where=f"{place}.heads", expected=f"a divisor of {student.width} and {teacher.width}",
                    )  # fmt: skip


def state_loss(config: StateLoss, student: Watch, teacher: Watch, mask: torch.Tensor) -> torch.Tensor:
    """Return one loss between layers, the mean over its pairs, shape (); both encoders have run on one batch."""
    if config.kind == "embedding":
        return hidden_loss(teacher.hidden[0], student.hidden[0], mask, config.distance)
    pairs = layer_pairs(config.layers, len(student.layers), len(teacher.layers))
    total = mask.new_zeros((), dtype=torch.float32)
    for own, other in pairs:
        if config.kind == "hidden":
            total = total + hidden_loss(teacher.hidden[other], student.hidden[own], mask, config.distance)
            continue
        left, right = teacher.maps[other], student.maps[own]
        if config.kind == "attention":
            heads = (teacher.heads, student.heads)
            total = total + attention_loss((left["q"], left["k"]), (right["q"], right["k"]), mask, heads)
        else:
            maps = tuple(left[name] for name in "qkv"), tuple(right[name] for name in "qkv")
            total = total + relation_loss(*maps, mask, config.heads or student.heads)
    return total / len(pairs)
