"""Fewer heads and units in words and numbers: what is asked for, what would stay, and what was lost. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from core.errors import BertloomError, ModelError
from pages.ui.format import count, metric_name, number, percent

__all__ = [
    "LayerFacts", "Wish", "facts_of", "folder_problem", "heads_table", "loss_words", "remaining", "suggested_name",
    "wish_problem",
]  # fmt: skip

_FAMILIES = ("bert", "shaped_bert")
#: Rows below which a score says little.
_FEW = 100


@dataclass(frozen=True)
class LayerFacts:
    """One layer of an encoder that can be pruned."""

    heads: int
    units: int
    width: int
    head_size: int

    @property
    def head_cost(self) -> int:
        """Parameters of one head: its queries, keys and values with biases, and what writes its output."""
        return 4 * self.width * self.head_size + 3 * self.head_size

    @property
    def unit_cost(self) -> int:
        """Parameters of one FFN unit: its input weights, its bias, and its output weights."""
        return 2 * self.width + 1


@dataclass(frozen=True)
class Wish:
    """What is to be kept.

    Parameters
    ----------
    heads, units
        Shares above 0 and at most 1, as :func:`core.models.shaped.prune.choose_kept` takes them.
    spread
        ``layer``: the same share in every layer; ``global``: the best of all layers.
    """

    heads: float
    units: float
    spread: Literal["layer", "global"] = "layer"

    @classmethod
    def of_counts(
        cls, layers: Sequence[LayerFacts], heads: int, units: int, spread: Literal["layer", "global"]
    ) -> Wish:
        """Return the wish for numbers of heads and units: of each layer, with ``global`` of all layers together."""
        most = [sum(of) if spread == "global" else max(of) for of in _numbers(layers)]
        return cls(heads / most[0], units / most[1], spread)


def _numbers(layers: Sequence[LayerFacts]) -> tuple[list[int], list[int]]:
    return [layer.heads for layer in layers], [layer.units for layer in layers]


def facts_of(about: Mapping[str, Any], shape: Mapping[str, Any] | None) -> list[LayerFacts]:
    """Return the layers of an encoder.

    Parameters
    ----------
    about
        Its description: ``family``, ``layers``, ``heads``, ``intermediate_size``, ``hidden_size``.
    shape
        What its config says of each layer, where it was read.

    Raises
    ------
    ModelError
        If its heads and units cannot be told apart.
    """
    if shape is not None:
        return [
            LayerFacts(one["heads"], one["intermediate"], one["width"], one["head_size"]) for one in shape["layers"]
        ]
    names = ("layers", "heads", "intermediate_size", "hidden_size")
    layers, heads, units, width = (about.get(name) for name in names)
    if about.get("family") not in _FAMILIES or not all(isinstance(one, int) for one in (layers, heads, units, width)):
        raise ModelError(
            f"The heads and units of a {about.get('family')} encoder cannot be told apart here.",
            expected="BERT, or an encoder that Bertloom shaped",
            advice="Encoders of other families can be trained and frozen, but not pruned.",
        )
    return [LayerFacts(int(heads), int(units), int(width), int(width) // int(heads))] * int(layers)  # type: ignore[arg-type]


def wish_problem(wish: Wish) -> str | None:
    """Return why nothing can be made of a wish, or ``None``."""
    for name, share in (("heads", wish.heads), ("units", wish.units)):
        if not 0 < share <= 1 or not math.isfinite(share):
            return f"The share of {name} to keep must be above 0 and at most 1: at least one stays in every layer."
    if wish.heads >= 1 and wish.units >= 1:
        return "Nothing would go: keep fewer heads or fewer units."
    return None


def remaining(layers: Sequence[LayerFacts], wish: Wish, parameters: int | None) -> str:
    """Return one line about what would stay; parameters are exact where every layer keeps the same share."""
    parts, gone, exact = [], 0, True
    for name, numbers, share, costs in (
        ("heads", _numbers(layers)[0], wish.heads, [layer.head_cost for layer in layers]),
        ("FFN units", _numbers(layers)[1], wish.units, [layer.unit_cost for layer in layers]),
    ):
        if wish.spread == "global" and share < 1:
            left = max(len(layers), round(share * sum(numbers)))
            parts.append(f"{count(left)} of {count(sum(numbers))} {name} in all")
            exact = exact and len(set(costs)) == 1
            gone += round((sum(numbers) - left) * sum(costs) / len(costs))
            continue
        kept = [max(1, round(share * one)) for one in numbers]
        gone += sum((before - after) * cost for before, after, cost in zip(numbers, kept, costs, strict=True))
        if len(set(numbers)) == 1:
            parts.append(f"{count(kept[0])} of {count(numbers[0])} {name} a layer")
        else:
            parts.append(f"{count(sum(kept))} of {count(sum(numbers))} {name} in all")
    words = f"Stays: {' and '.join(parts)}"
    if parameters:
        words += (
            f", {'' if exact else 'about '}{(parameters - gone) / 1e6:.2f} M of {parameters / 1e6:.2f} M parameters"
        )
    return f"{words}."


def suggested_name(source: str, kind: str, taken: Sequence[str]) -> str:
    """Return the name of a folder that is free, after what it is made from."""
    parts = [part for part in source.replace("hub:", "").replace("\\", "/").split("/") if part]
    stem = "encoder" if not parts else "-".join(parts[-2:]) if parts[-1] == "best" else parts[-1]
    stem = "".join(char if char.isalnum() or char in "-_." else "-" for char in stem).strip("-.")[:50] or "encoder"
    wanted, number_ = f"{stem}-{kind}", 1
    while (name := wanted if number_ == 1 else f"{wanted}-{number_}") in taken:
        number_ += 1
    return name


def folder_problem(name: str, taken: Sequence[str]) -> str | None:
    """Return why a folder cannot be given this name, or ``None``."""
    from core.settings import safe_name

    try:
        safe_name(name, what="folder name")
    except BertloomError as error:
        return error.message()
    if name in taken:
        return "There is a folder of this name already, and nothing is written over: choose another name."
    return None


def loss_words(report: Mapping[str, Any]) -> list[str]:
    """Return what pruning has cost in sentences, from the report that the pruned folder holds."""
    rows, lost = report["rows"], report["lost"]
    sampled = f"{count(rows['test'])} rows"
    if rows.get("of", rows["test"]) > rows["test"]:
        sampled = f"a sample of {count(rows['test'])} of {count(rows['of'])} rows"
    if report["trained"]:
        named = metric_name(str(lost["metric"]))
        words = [
            f"{named} went from {_score(lost['metric'], lost['before'])} to {_score(lost['metric'], lost['after'])} on "
            f"{sampled}, before any further training."
        ]
    else:
        words = [
            f"Its hidden states keep a mean cosine of {lost['similarity']:.3f} with those before, on {sampled}, before "
            "any further training. What that costs your task shows when it is trained."
        ]
    if rows["test"] < _FEW:
        words.append("So few rows say little.")
    how = "by how much the loss would change without them" if report["measure"] == "gradient" else "by what they write"
    words.append(f"Heads and units were ranked {how}, on {count(rows['calibration'])} training rows.")
    return words


def _score(metric: object, value: float) -> str:
    return number(value) if str(metric).endswith("loss") else percent(value)


def heads_table(report: Mapping[str, Any], colour: str) -> str:
    """Return a table of layers by heads as HTML: filled where a head stays (stronger: more important), empty where not.

    Parameters
    ----------
    report
        The report of a pruned folder; nothing of it but numbers goes into the page.
    colour
        Colour of heads that stay, ``#RRGGBB``.
    """
    layers = [list(layer) for layer in report["heads"]]
    most = max(map(len, layers), default=0)
    head = "".join(f"<th scope='col'>{at}</th>" for at in range(most))
    rows = []
    for index, layer in enumerate(layers):
        cells = []
        for at, one in enumerate(layer):
            score, kept = min(max(float(one["score"]), 0.0), 1.0), bool(one["kept"])
            state = "stays" if kept else "went"
            words = f"layer {index}, head {at}: {state}, importance {score:.2f} of the highest in its layer"
            style = f"background: color-mix(in srgb, {colour} {round(30 + 70 * score)}%, transparent);" if kept else ""
            cells.append(
                f"<td title='{words}'><i class='{'on' if kept else 'off'}' style='{style}' role='img' "
                f"aria-label='{words}'></i></td>"
            )
        left = sum(bool(one["kept"]) for one in layer)
        rest = f"<td colspan='{most - len(layer)}'></td>" if len(layer) < most else ""
        rows.append(
            f"<tr><th scope='row'>{index}</th>{''.join(cells)}{rest}<td class='n'>{left} of {len(layer)}</td></tr>"
        )
    return (
        "<div class='bl-heads'><table><caption>Heads by layer</caption>"
        f"<thead><tr><td></td>{head}<td></td></tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )
