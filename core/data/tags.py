"""Tag schemes: detection, conversion to IOB2, and what is not legal in a sequence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["SCHEMES", "TagScheme", "detect_scheme", "to_iob2"]

#: What a scheme is called in reports.
SCHEMES = {
    "IOB2": "IOB2 (BIO)",
    "BIOES": "BIOES (or BILOU, BMES)",
    "I": "I only (IOB1)",
    "plain": "entity types without B or I",
    "each": "one tag a word",
}
_PREFIXED = re.compile(r"([BIESLUM])([-_])(.+)", re.DOTALL)
_ALIASES = {"L": "E", "U": "S", "M": "I"}
_OUTSIDE = ("O", "_", "")


@dataclass(frozen=True)
class TagScheme:
    """How tags are written: one of :data:`SCHEMES` and the sign between prefix and type."""

    name: str
    sign: str = "-"


def detect_scheme(rows: Iterable[Sequence[str]]) -> TagScheme:
    """Tell the scheme of tag sequences.

    Parameters
    ----------
    rows
        Sequences of tags; a few hundred are enough.

    Returns
    -------
    TagScheme
        ``each`` where no tag has a prefix and none is ``O`` (parts of speech), ``plain`` where ``O`` occurs.
    """
    prefixes: set[str] = set()
    signs = {"-": 0, "_": 0}
    outside = plain = orphans = fresh = 0
    for tags in rows:
        before = "O"
        for tag in tags:
            match = _PREFIXED.fullmatch(tag)
            if match:
                prefixes.add(match[1])
                signs[match[2]] += 1
                if before == "O":
                    orphans += match[1] == "I"
                    fresh += match[1] == "B"
                before = match[3]
            else:
                outside += tag == "O"
                plain += tag not in _OUTSIDE
                before = "O"
    total = sum(signs.values())
    sign = "_" if signs["_"] > signs["-"] else "-"
    if total < plain:
        return TagScheme("plain" if outside else "each", sign)
    if prefixes & set("ESLUM"):
        return TagScheme("BIOES", sign)
    # In IOB1 a B stands only between two neighbours of one type, so entities start with I.
    return TagScheme("I" if orphans > fresh else "IOB2", sign)


def to_iob2(tags: Sequence[str], scheme: TagScheme) -> tuple[list[str], list[tuple[int, str]]]:
    """Convert a tag sequence to IOB2.

    Parameters
    ----------
    tags
        Tags of one sentence.
    scheme
        How they are written.

    Returns
    -------
    tags, problems
        IOB2 tags, and (position from 0, what is wrong) of each illegal step. Steps are mended as the CoNLL scorer
        reads them: an I without a beginning starts an entity.

    Raises
    ------
    ValueError
        If a tag does not belong to the scheme; the message names it and its position from 1.

    Examples
    --------
    >>> to_iob2(["S-PER", "O", "B-LOC", "E-LOC"], TagScheme("BIOES"))
    (['B-PER', 'O', 'B-LOC', 'I-LOC'], [])
    """
    out: list[str] = []
    problems: list[tuple[int, str]] = []
    previous = ""
    # Whether the entity that the previous word belongs to may go on: by a closing tag (BIOES) it may not.
    going = False
    for index, tag in enumerate(tags):
        if tag in _OUTSIDE:
            if scheme.name == "BIOES" and going:
                problems.append((index, f"{tag or 'O'!r} follows an entity that was not closed"))
            out.append("O")
            previous, going = "", False
            continue
        if scheme.name in ("each", "plain"):
            joined = scheme.name == "plain" and previous == tag
            out.append(f"{'I' if joined else 'B'}-{tag}")
            previous = tag
            continue
        match = _PREFIXED.fullmatch(tag)
        if match is None or match[2] != scheme.sign:
            raise ValueError(f"the tag {tag!r} of word {index + 1} is not of the scheme {SCHEMES[scheme.name]}")
        letter, kind = _ALIASES.get(match[1], match[1]), match[3]
        if scheme.name != "BIOES" and letter in "ES":
            raise ValueError(f"the tag {tag!r} of word {index + 1} is not of the scheme {SCHEMES[scheme.name]}")
        continues = going and previous == kind
        if scheme.name == "BIOES":
            if letter in "IE" and not continues:
                problems.append((index, f"{tag!r} has no beginning before it"))
            if letter in "BS" and going:
                problems.append((index, f"{tag!r} follows an entity that was not closed"))
            if letter in "BI" and index + 1 == len(tags):
                problems.append((index, f"{tag!r} ends the sentence without a closing E or S"))
        elif scheme.name == "IOB2" and letter == "I" and not continues:
            after = "starts the sentence" if index == 0 else f"follows {out[-1]!r}"
            problems.append((index, f"{tag!r} {after}"))
        out.append(f"{'I' if letter in 'IE' and continues else 'B'}-{kind}")
        previous, going = kind, letter in "BI"
    return out, problems
