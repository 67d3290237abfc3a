"""Models of several tasks that share one encoder: each has a head and a forward of its own, and the same parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import torch

from core.errors import DataError, ModelError
from core.training.material import Material

__all__ = ["JointModel", "check_labels", "check_tokenizers", "tie"]


class JointModel(torch.nn.Module):
    """The models of all tasks as one: shared parameters stand under the first one's names.

    Parameters
    ----------
    models
        Stock transformers models with a head each, after :func:`tie`.
    """

    def __init__(self, models: Sequence[torch.nn.Module]):
        super().__init__()
        self.parts = torch.nn.ModuleList(models)

    def get_input_embeddings(self) -> Any:
        """Return the word embedding."""
        first: Any = self.parts[0]
        return first.get_input_embeddings()


def tie(materials: Sequence[Material]) -> tuple[JointModel, dict[str, str]]:
    """Let the models of all tasks use the first one's encoder, and return them as one model.

    Modules stay each model's own, so that every one keeps its forward and dropout; only the word embedding is one
    module, because training may reduce it to the rows that occur. A pooler belongs to the head.

    Returns
    -------
    model
        The models.
    units
        Parameter name → ``embeddings``, ``layer k`` or ``head``.

    Raises
    ------
    ModelError
        If the encoders are not alike.
    """
    first = materials[0]
    for other in materials[1:]:
        _tie(first, other)
    model = JointModel([one.model for one in materials])
    units: dict[str, str] = {}
    for index, one in enumerate(materials):
        units.update({f"parts.{index}.{name}": unit for name, unit in one.units.items()})
    return model, {name: units[name] for name, _ in model.named_parameters()}


def _tie(first: Material, other: Material) -> None:
    sources = dict(first.encoder.named_parameters())
    heads = {id(parameter) for name, parameter in other.model.named_parameters() if other.units[name] == "head"}
    shared = {name: parameter for name, parameter in other.encoder.named_parameters() if id(parameter) not in heads}
    for name, parameter in shared.items():
        source = sources.get(name)
        if source is None or source.shape != parameter.shape or not torch.equal(source, parameter):
            raise ModelError(
                f"The encoder differs between tasks at {name}, so it cannot be shared.",
                where="model", expected="an encoder that every task's head can stand on",
            )  # fmt: skip
    words = {id(parameter) for parameter in first.model.get_input_embeddings().parameters()}
    for name in shared:
        path, _, leaf = name.rpartition(".")
        source = sources[name]
        if id(source) in words:
            parent, _, child = path.rpartition(".")
            setattr(other.encoder.get_submodule(parent), child, first.encoder.get_submodule(path))
        else:
            other.encoder.get_submodule(path)._parameters[leaf] = source


def check_tokenizers(tokenizers: Mapping[str, Any]) -> None:
    """Refuse tasks whose tokenisers cut texts into other pieces.

    Raises
    ------
    ModelError
        If the vocabularies differ.
    """
    (name, first), *others = tokenizers.items()
    known = first.get_vocab()
    for other, tokenizer in others:
        if tokenizer.get_vocab() != known:
            raise ModelError(
                f"The tokenisers of {name} and {other} have other pieces, so one encoder cannot read both.",
                where="model", expected="one tokeniser for all tasks",
            )  # fmt: skip


def check_labels(tasks: Sequence[tuple[str, str, Sequence[str], str]]) -> None:
    """Refuse tasks whose labels clash, and one task that is given twice.

    Labels clash where two tasks of one kind spell one differently (PER and per): almost always one data set that was
    written twice, whose labels would be learnt as different ones.

    Parameters
    ----------
    tasks
        Of each: name, kind, labels, and a fingerprint of its rows.

    Raises
    ------
    DataError
        If there are such tasks.
    """
    for (one, kind, labels, rows), (other, other_kind, other_labels, other_rows) in combinations(tasks, 2):
        if kind != other_kind:
            continue
        if rows and rows == other_rows:
            raise DataError(
                f"The tasks {one} and {other} are one: the same rows with the same labels.",
                where="tasks", expected="each task once", advice="Remove one of them.",
            )  # fmt: skip
        spelt = {_plain(label): label for label in labels}
        clashing = [
            f"{spelt[_plain(label)]} and {label}" for label in other_labels
            if label not in labels and _plain(label) in spelt
        ]  # fmt: skip
        if clashing:
            raise DataError(
                f"The labels of {one} and {other} clash: they spell {len(clashing)} of them differently.",
                where="; ".join(clashing[:20]), expected="one spelling of each label",
                advice="Rename the labels in one of the files, so that both agree or are told apart by their names.",
            )  # fmt: skip


def _plain(label: str) -> str:
    return "".join(label.casefold().split())
