"""The parent of a search and what a budget allows with it, before anything is loaded. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.config.plan import EncoderConfig
from core.config.shape import EncoderShape
from core.config.structure import TOLERANCE, StructureConfig
from core.errors import ConfigError, ModelError
from core.models.shaped import count
from core.models.shaped.files import shape_of
from core.models.sources import read_config, resolve
from core.search.widths import Space

__all__ = ["SearchParent", "budget_of", "check", "parent_of", "possible_depths", "space_of"]


@dataclass(frozen=True)
class SearchParent:
    """A parent as its config describes it.

    Parameters
    ----------
    source
        As the search names it.
    shape
        Its shape; a plain BERT's.
    """

    source: str
    shape: EncoderShape

    @property
    def layers(self) -> int:
        """Number of layers."""
        return len(self.shape.layers)

    @property
    def width(self) -> int:
        """Hidden size."""
        return self.shape.embedding

    @property
    def head_size(self) -> int:
        """Width of a head; widths are its multiples."""
        return self.shape.layers[0].size_of_head

    @property
    def ratio(self) -> float:
        """FFN units by width."""
        return self.shape.layers[0].intermediate / self.width

    @property
    def body(self) -> int:
        """Parameters between embeddings and pooler."""
        return count(self.shape).body

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        cost = count(self.shape)
        return {
            "source": self.source, "layers": self.layers, "width": self.width, "head_size": self.head_size,
            "ratio": self.ratio, "parameters": cost.total, "body": cost.body, "flops": cost.flops(64),
        }  # fmt: skip


def parent_of(model: EncoderConfig) -> SearchParent:
    """Read a parent's shape from its config.

    Raises
    ------
    ModelError
        If there is no such model, or shapes cannot inherit from one of its family.
    """
    found = resolve(model.source, model.revision)
    settings = read_config(found.folder)
    family = settings.get("model_type")
    if family != "bert":
        raise ModelError(
            f"A model of family {family!r} cannot be the parent of a structure search.", where=model.source,
            expected="a plain BERT, whose layers are all as wide as its stream",
            advice="The layers of other encoders can be measured (`bertloom search stats`), and shaped encoders can be "
            "trained; but shapes inherit weights from a plain BERT only.",
        )  # fmt: skip
    return SearchParent(model.source, shape_of(settings, where=str(found.folder / "config.json")))


def budget_of(config: StructureConfig, parent: SearchParent) -> int:
    """Return the budget in parameters between embeddings and pooler."""
    return config.budget.parameters or round(config.budget.share * parent.body)


def space_of(config: StructureConfig, parent: SearchParent, depth: int) -> Space:
    """Return the shapes of one depth within the budget."""
    shape = parent.shape
    return Space(
        layers=depth, stream=parent.width, head_size=parent.head_size, budget=budget_of(config, parent),
        ratio=parent.ratio, vocabulary=shape.vocabulary, positions=shape.positions, types=shape.types,
        readout=config.with_readout, mode=config.mode,
    )  # fmt: skip


def _range(space: Space) -> tuple[int, int]:
    """Return the least and the most parameters of a shape of the usual ratio."""
    least = [space.head_size] * space.layers
    if not space.readout:
        least[-1] = space.stream
    return space.body(least), space.body([space.stream] * space.layers)


def possible_depths(config: StructureConfig, parent: SearchParent, depths: Sequence[int]) -> list[int]:
    """Return those depths at which some shape meets the budget.

    Raises
    ------
    ConfigError
        If there is none; the nearest budget that some shape meets is named.
    """
    budget, possible, nearest = budget_of(config, parent), [], list[tuple[int, int, int]]()
    for depth in depths:
        least, most = _range(space_of(config, parent, depth))
        if least * (1 - TOLERANCE) <= budget <= most * (1 + TOLERANCE):
            possible.append(depth)
        else:
            near = least if budget < least else most
            nearest.append((abs(near - budget), near, depth))
    if not possible:
        _, near, depth = min(nearest)
        tried = f"{depths[0]} layers" if len(depths) == 1 else f"{min(depths)} to {max(depths)} layers"
        raise ConfigError(
            f"No shape of {tried} has {budget:,} parameters between embeddings and pooler.",
            where="budget.parameters" if config.budget.parameters else "budget.share",
            expected=f"a budget that is met within {TOLERANCE:.0%}; the parent has {parent.body:,}",
            advice=f"The nearest budget that can be met is {near:,}, with {depth} "
            f"{'layer' if depth == 1 else 'layers'}.",
        )  # fmt: skip
    return possible


def check(config: StructureConfig, parent: SearchParent | None = None) -> dict[str, Any]:
    """Check a search as far as that takes no time, before any text is read.

    Returns
    -------
    dict
        ``parent`` (see :meth:`SearchParent.as_dict`), ``budget`` {``parameters``, ``least``, ``most`` (of the depths
        asked for)}, ``depths`` (those at which the budget can be met).

    Raises
    ------
    ConfigError
        If depths, widths or budget cannot be.
    ModelError
        If the parent cannot be one.
    """
    found = parent or parent_of(config.model)
    for depth in config.depths or []:
        if depth > found.layers:
            raise ConfigError(
                f"A depth of {depth} layers was asked for, the parent has only {found.layers}.", where="depths",
                expected=f"1 to {found.layers} layers",
                advice="Each layer of a candidate inherits from a layer of its own.",
            )  # fmt: skip
    for number, widths in enumerate(config.given):
        _check_given(config, found, widths, f"given.{number}")
    depths = config.depths or list(range(1, found.layers + 1))
    possible = possible_depths(config, found, depths)
    ranges = [_range(space_of(config, found, depth)) for depth in possible]
    return {
        "parent": found.as_dict(), "depths": possible,
        "budget": {
            "parameters": budget_of(config, found), "least": min(low for low, _ in ranges),
            "most": max(high for _, high in ranges),
        },
    }  # fmt: skip


def _check_given(config: StructureConfig, parent: SearchParent, widths: Sequence[int], where: str) -> None:
    if len(widths) > parent.layers:
        raise ConfigError(
            f"{len(widths)} widths are given, the parent has only {parent.layers} layers.", where=where,
            expected=f"at most {parent.layers} widths",
        )  # fmt: skip
    size = parent.head_size
    for width in widths:
        if width % size:
            low = max(size, width // size * size)
            raise ConfigError(
                f"The width {width} is not divisible by the parent's head size {size}.", where=where,
                expected=f"whole heads, for example {low} or {low + size}",
            )  # fmt: skip
        if width > parent.width:
            raise ConfigError(
                f"The width {width} is above the parent's {parent.width}.", where=where,
                expected=f"at most {parent.width}", advice="There is nothing that further directions could inherit.",
            )  # fmt: skip
    if not config.with_readout and widths[-1] != parent.width:
        raise ConfigError(
            f"The last layer is {widths[-1]} wide and there is no readout: it can correct only its own directions.",
            where=where, expected=f"a last layer of {parent.width}, or a readout",
        )  # fmt: skip
