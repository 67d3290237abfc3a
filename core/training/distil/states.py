"""What layers of an encoder compute in one forward pass: hidden states, queries, keys and values, read by hooks."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from core.config.distillation import StateLoss
from core.errors import ConfigError
from core.training.distil.losses import attention_loss, hidden_loss, relation_loss
from core.training.distil.maps import map_name
from core.training.distil.pairs import Pairs, layer_pairs
from core.training.distil.sizes import Sizes

__all__ = ["Watch", "check_states", "state_loss", "state_pairs", "teacher_inputs", "wanted"]

#: Names of the linear maps to queries, keys and values within a layer, by family.
_MAPS = (("query", "key", "value"), ("q_lin", "k_lin", "v_lin"))


class Watch:
    """Reads an encoder's layers while a block lasts.

    Parameters
    ----------
    layers
        The encoder's layers, lowest first.
    sizes
        Their widths and heads.
    """

    def __init__(self, layers: Sequence[torch.nn.Module], sizes: Sizes):
        self.layers = list(layers)
        self.sizes = sizes
        self.hidden: dict[int, torch.Tensor] = {}
        self.maps: dict[int, dict[str, torch.Tensor]] = {}

    def clear(self) -> None:
        """Let go of what was read."""
        self.hidden.clear()
        self.maps.clear()

    @contextmanager
    def reading(self, outputs: set[int], maps: set[int]) -> Iterator[None]:
        """Read, while the block lasts, what these layers give (0: the embeddings) and their maps; from 1."""
        self.clear()
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


def teacher_inputs(teacher: Any, batch: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the inputs of a student's batch that a teacher's model takes too: not all heads ask where a context is."""
    unknown = {"labels"}
    if "context" in batch and "context" not in inspect.signature(teacher.forward).parameters:
        unknown.add("context")
    return {name: tensor for name, tensor in batch.items() if name not in unknown}


def state_pairs(
    configs: Sequence[StateLoss], student: int, teacher: int, alike: Pairs | None, *, where: str
) -> list[Pairs]:
    """Return the pairs of layers of each loss between layers; that of embeddings is layer 0 with layer 0.

    Parameters
    ----------
    configs
        The losses.
    student, teacher
        Number of layers.
    alike
        The pairs of losses whose layers are found by likeness.
    where
        Path of the distillation in the plan.

    Raises
    ------
    ConfigError
        If a pair of layers is out of range.
    """
    found: list[Pairs] = []
    for number, config in enumerate(configs):
        if config.kind == "embedding":
            found.append([(0, 0)])
            continue
        try:
            way = alike if config.layers == "cka" and alike is not None else config.layers
            found.append(layer_pairs(way, student, teacher))
        except ValueError as error:
            raise ConfigError(
                f"The layers do not fit: {error} layers.", where=f"{where}.states.{number}.layers"
            ) from error
    return found


def wanted(configs: Sequence[StateLoss], pairs: Sequence[Pairs], side: int) -> tuple[set[int], set[int]]:
    """Return which layers' outputs and maps must be read of the student (`side` 0) or the teacher (1)."""
    outputs: set[int] = set()
    maps: set[int] = set()
    for config, own in zip(configs, pairs, strict=True):
        here = {pair[side] for pair in own}
        if config.kind in ("hidden", "embedding"):
            outputs |= here
        else:
            maps |= here
    return outputs, maps


def check_states(
    configs: Sequence[StateLoss], pairs: Sequence[Pairs], student: Watch, teacher: Watch, *, where: str
) -> None:
    """Refuse losses between layers that do not fit together.

    Raises
    ------
    ConfigError
        If widths or heads differ where they must not, or a layer's maps cannot be read.
    """
    for number, (config, own_pairs) in enumerate(zip(configs, pairs, strict=True)):
        place = f"{where}.states.{number}"
        for own, other in own_pairs:
            if config.kind in ("hidden", "embedding"):
                _check_widths(config, student.sizes.hidden[own], teacher.sizes.hidden[other], place)
                continue
            _linear_maps(student.layers[own - 1])
            _linear_maps(teacher.layers[other - 1])
            _check_heads(config, student.sizes, teacher.sizes, (own, other), place)


def _check_widths(config: StateLoss, student: int, teacher: int, place: str) -> None:
    if config.map == "none" and student != teacher:
        raise ConfigError(
            f"The student is {student} wide, the teacher {teacher}: their states cannot be compared.",
            where=f"{place}.map", expected="equal widths",
            advice="Set map to linear, or take a loss of kind relation: it needs no equal widths.",
        )  # fmt: skip


def _check_heads(config: StateLoss, student: Sizes, teacher: Sizes, pair: tuple[int, int], place: str) -> None:
    own, other = pair[0] - 1, pair[1] - 1
    if config.kind == "attention" and student.heads[own] != teacher.heads[other]:
        raise ConfigError(
            f"Layer {pair[0]} of the student has {student.heads[own]} heads, layer {pair[1]} of the teacher "
            f"{teacher.heads[other]}.", where=place, expected="equally many heads",
            advice="Take a loss of kind relation: it needs no equal heads.",
        )  # fmt: skip
    if config.kind == "relation":
        heads = config.heads or student.heads[own]
        for who, width in (("student", student.attention[own]), ("teacher", teacher.attention[other])):
            if width % heads:
                raise ConfigError(
                    f"{heads} relation heads do not divide the {who}'s width of {width}.", where=f"{place}.heads",
                    expected=f"a divisor of {student.attention[own]} and {teacher.attention[other]}",
                )  # fmt: skip


def state_loss(
    config: StateLoss,
    pairs: Pairs,
    student: Watch,
    teacher: Watch,
    mask: torch.Tensor,
    *,
    number: int = 0,
    maps: Mapping[str, torch.Tensor] | None = None,
) -> torch.Tensor:
    """Return one loss between layers, the mean over its pairs, shape (); both encoders have run on one batch.

    Parameters
    ----------
    config, number
        The loss, and its place among the losses, from 0.
    pairs
        Its pairs of layers.
    student, teacher
        What has been read of both.
    mask
        Shape (batch, length).
    maps
        Learned maps by name; see :mod:`core.training.distil.maps`.
    """
    total = mask.new_zeros((), dtype=torch.float32)
    for own, other in pairs:
        if config.kind in ("hidden", "embedding"):
            left, right = teacher.hidden[other], student.hidden[own]
            through = (maps or {}).get(map_name(number, right.shape[-1], left.shape[-1]))
            total = total + hidden_loss(left, right, mask, config.distance, through=through, positions=config.positions)
            continue
        told, said = teacher.maps[other], student.maps[own]
        heads = student.sizes.heads[own - 1]
        if config.kind == "attention":
            both = (teacher.sizes.heads[other - 1], heads)
            total = total + attention_loss((told["q"], told["k"]), (said["q"], said["k"]), mask, both)
        else:
            three = tuple(told[name] for name in "qkv"), tuple(said[name] for name in "qkv")
            total = total + relation_loss(*three, mask, config.heads or heads)
    return total / len(pairs)
