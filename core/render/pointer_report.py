"""What reports say of heads that point: a few test sentences as maps, gold beside answers, and what that is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.render.pointer_svg import columns_shown, pointer_svg
from core.render.report_block import Block, percent

__all__ = ["pointer_blocks"]

_OUTSIDE = "outside of what is shown"


def pointer_blocks(pointed: Sequence[Mapping[str, Any]]) -> list[Block]:
    """Return a report's part on where heads point; none where no sentence was looked at.

    Parameters
    ----------
    pointed
        ``name`` (of the task, with what tells it from others) and ``sentences``, test sentences as
        :func:`core.runs.pointing.pointer_looks` gives them.
    """
    found = []
    for one in pointed:
        for sentence in one["sentences"]:
            found += _sentence(str(one["name"]), sentence)
    if not found:
        return []
    told = (
        "Shares of A_t with the weights that were tested: each row points to columns, the empty slot first, and a "
        "stronger colour is more. A cross is what was answered, a square the gold. These are the first test sentences "
        "that each run looked at. They were chosen from the rows alone, before anything was answered: they show how a "
        "head points, and do not measure how well; the scores do that."
    )
    return [Block("heading", "Where heads point"), Block("words", told), *found]


def _sentence(name: str, sentence: Mapping[str, Any]) -> list[Block]:
    view, gold = sentence["looks"][-1], sentence["gold"]
    row = "" if sentence["row"] is None else f" row {sentence['row']}"
    title = f"{name}: test{row}"
    found = [
        Block("words", f"{title}: {' '.join(str(sentence['text']).split())}"),
        Block("figure", pointer_svg(view, title=title, gold=gold), title=f"{title}: shares of what each row points to"),
    ]
    told = [*_told(view), *_left_out(view, gold)]
    if told:
        found.append(Block("words", " ".join(told)))
    rows = _stretches(view, gold) if view["kind"] == "stretches" else _pointers(view, gold)
    found.append(
        Block("table", rows=rows) if len(rows) > 1 else Block("words", "Nothing is pointed to, and rightly so.")
    )
    return found


def _told(view: Mapping[str, Any]) -> list[str]:
    return {
        "words": ["Words of an entity point to its first word, all others to the empty slot."],
        "heads": ["Answers are found for all words together, so that a cross need not stand at the largest share."],
        "question": [
            "Start and end are answered together, so that a cross need not stand at the largest share. The shares of a "
            "word's sub-words are added up."
        ],
        "stretches": ["Rows are first words, columns last ones; a share is the highest probability of a type."],
    }.get(view["kind"], [])  # fmt: skip


def _left_out(view: Mapping[str, Any], gold: Mapping[str, Any] | None) -> list[str]:
    shown = columns_shown(view, gold)
    count = len(view["columns"]) + bool(view["slot"])
    if len(shown) == count:
        return []
    told = f"{len(shown)} of {count} columns are drawn: gold, answers, and those with the largest shares."
    if view["kind"] == "stretches":  # probabilities of stretches do not add up
        return [told]
    rest = [
        f"{row} {percent(max(0.0, 1.0 - sum(shares[at] for at in shown)))}"
        for row, shares in zip(view["rows"], view["shares"], strict=True)
    ]
    return [f"{told} The others have together: {', '.join(rest)}."]


def _pointers(view: Mapping[str, Any], gold: Mapping[str, Any] | None) -> tuple[tuple[str, ...], ...]:
    """Return rows, gold and answers as a table; words outside of entities that rightly point nowhere are left out."""
    targets = [f"[{view['slot']}]", *view["columns"]] if view["slot"] else list(view["columns"])
    wanted = None if gold is None else gold["pointed"]
    names = [""] * len(view["rows"]) if gold is None else gold["names"]
    table: list[tuple[str, ...]] = [("", "gold", "answer", "share of the gold", "share of the answer")]
    for at, (row, answered) in enumerate(zip(view["rows"], view["pointed"], strict=True)):
        right = None if wanted is None else wanted[at]
        if view["kind"] == "words" and not answered and not right and (wanted is not None or gold is None):
            continue
        shares = view["shares"][at]
        told = _OUTSIDE if right is None else _target(targets[right], names[at])
        table.append(
            (str(row), told, _target(targets[answered], view["names"][at]),
             "" if right is None else percent(shares[right]), percent(shares[answered]))
        )  # fmt: skip
    return tuple(table)


def _target(word: str, name: str) -> str:
    return f"{word} ({name})" if name else word


def _stretches(view: Mapping[str, Any], gold: Mapping[str, Any] | None) -> tuple[tuple[str, ...], ...]:
    def known(spans: Sequence[Mapping[str, Any]]) -> dict[tuple[int, int], list[str]]:
        found: dict[tuple[int, int], list[str]] = {}
        for one in spans:
            found.setdefault((one["first"], one["last"]), []).append(str(one["name"]))
        return found

    said, right = known(view["spans"] or ()), known((gold or {}).get("spans") or ())
    table: list[tuple[str, ...]] = [("stretch", "gold", "answer", "highest probability")]
    for first, last in sorted(set(said) | set(right)):
        words = " ".join(str(word) for word in view["columns"][first : last + 1])
        told = (", ".join(one.get((first, last), ["none"])) for one in (right, said))
        table.append((words, *told, percent(view["shares"][first][last])))
    return tuple(table)
