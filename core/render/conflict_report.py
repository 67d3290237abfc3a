"""What the page and the report of a comparison say of tasks that pull the encoder apart, beside what they gain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.render.comparison_svg import differences_svg
from core.render.conflict_svg import conflict_svg
from core.render.joint_figures import What
from core.render.report_block import Block, points

__all__ = ["MAPS", "conflict_blocks", "gains_of"]

#: What there is a map of, in words.
MAPS: dict[What, str] = {
    "cosine": "Cosine of the gradients", "rate": "Conflict rate", "ratio": "Ratio of the gradients' norms",
}  # fmt: skip


def gains_of(transfer: Sequence[Mapping[str, Any]], strategy: str) -> list[dict[str, Any]]:
    """Return what tasks gain with a joint strategy, in the form of verdicts, so that they can be drawn as those are.

    Parameters
    ----------
    transfer
        As :func:`core.studies.comparing.verdicts.transfer_of` gives it.
    strategy
        Name of the joint strategy.

    Returns
    -------
    list of dict
        ``task``, ``a`` (the joint strategy), ``b`` (the single one), ``difference``, ``interval``,
        ``interval_corrected`` (None), ``verdict``, ``sentence``. Tasks of which no difference is known are left out.
    """
    verdicts = {"positive": "a", "negative": "b"}
    return [
        {
            "task": one["task"], "a": one["joint"], "b": one["single"], "difference": one["difference"],
            "interval": one["interval"], "interval_corrected": None,
            "verdict": verdicts.get(one["flag"] or "", "not distinguishable"),
            "sentence": f"{one['task']}, learnt together less alone:",
        }
        for one in transfer if one["joint"] == strategy and one["difference"] is not None
    ]  # fmt: skip


def conflict_blocks(view: Mapping[str, Any]) -> list[Block]:
    """Return the report's part on conflicts: maps, means by layer, and the gains beside them.

    Parameters
    ----------
    view
        As :meth:`core.studies.comparing.desk.ComparisonDesk.view` gives it.
    """
    found = []
    for one in view.get("conflicts") or ():
        name, a, b = (str(one[key]) for key in ("strategy", "a", "b"))
        seeds = f"{one['seeds']} {'seed' if one['seeds'] == 1 else 'seeds'}"
        found.append(
            Block("words", f"{name}: {one['looks']:,} looks at the gradients of {a} and {b}, over {seeds}, one every "
                           f"{one['every']} steps.")
        )  # fmt: skip
        for what, words in MAPS.items():
            title = f"{name}: {words[0].lower()}{words[1:]}, {a} and {b}"
            names, rows = [unit["unit"] for unit in one["units"]], [unit[what] for unit in one["units"]]
            found.append(Block("figure", conflict_svg(names, one["steps"], rows, title=title, what=what), title=title))
        found.append(Block("table", rows=_means(one)))
        gains = [each for each in gains_of(view["transfer"], name) if each["task"] in (a, b)]
        if gains:
            title = f"{name}: what {a} and {b} gain by learning together"
            svg = differences_svg(gains, title=title, margin=float(view["config"]["margin"]))
            found.append(Block("figure", svg, title=title))
            found.append(
                Block("words", "; ".join(f"{each['task']} {points(each['difference'])} points" for each in gains) + ".")
            )  # fmt: skip
    if not found:
        return []
    told = Block(
        "words", "A cosine below 0: a small step for one task raises the other's loss. The conflict rate is the share "
        "of looks in which it was. A look is one batch of each task with dropout, so single cells are noisy. Conflicts "
        "that stand beside a loss need not be its cause.",
    )  # fmt: skip
    return [Block("heading", "Where tasks pull the encoder apart"), told, *found]


def _means(one: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    def number(value: float | None) -> str:
        return "" if value is None else f"{value:.3g}"

    rows = [("layer", "mean cosine", "lowest to highest seed", "conflict rate", f"norm of {one['a']} / {one['b']}")]
    for unit in reversed(one["units"]):
        means, spread = unit["means"], unit["range"]
        rate = "" if means["rate"] is None else f"{100 * means['rate']:.0f} %"
        told = "" if spread is None else f"{spread[0]:.3g} to {spread[1]:.3g}"
        rows.append((unit["unit"], number(means["cosine"]), told, rate, number(means["ratio"])))
    return tuple(rows)
