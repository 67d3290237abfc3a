"""Labels of a trained model under the names that other data has for them. Plain data, without torch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from core.errors import ConfigError

__all__ = ["renamed_labels", "suggested_names"]

_MARK = re.compile(r"^[BI]-")
#: Shorter beginnings of a word say too little.
_LEAST = 3


def renamed_labels(labels: Sequence[str], names: Mapping[str, str], *, where: str) -> list[str]:
    """Return a trained model's labels by the data's names.

    Parameters
    ----------
    labels
        The model's.
    names
        Its label → the data's. A kind of tag stands for both its tags: ``PER`` for ``B-PER`` and ``I-PER``.
    where
        Path in the plan, for messages.

    Raises
    ------
    ConfigError
        If a name is none of the model's labels, or two labels become one.
    """
    used: set[str] = set()
    found = []
    for label in labels:
        mark = _MARK.match(label)
        kind = label[2:] if mark else label
        if label in names:
            used.add(label)
            found.append(names[label])
        elif mark and kind in names:
            used.add(kind)
            found.append(mark[0] + names[kind])
        else:
            found.append(label)
    unknown = [name for name in names if name not in used]
    if unknown:
        raise ConfigError(
            f"The teacher has no label {unknown[0]!r}.", where=where, expected=", ".join(labels[:12]),
        )  # fmt: skip
    twice = sorted({name for name in found if found.count(name) > 1})
    if twice:
        raise ConfigError(
            f"Two labels of the teacher become {twice[0]!r}.", where=where, expected="another name for each label"
        )
    return found


def suggested_names(labels: Sequence[str], wanted: Sequence[str]) -> dict[str, str]:
    """Return how a model's labels may be called in the data, where that is plain; empty where it is not.

    Two names are taken for one if they differ in case and signs only, or one is the beginning of the other, and every
    label that differs finds exactly one.

    Parameters
    ----------
    labels, wanted
        The model's labels, and the data's.
    """
    theirs = _kinds([name for name in labels if name not in wanted])
    ours = _kinds([name for name in wanted if name not in labels])
    if len(theirs) != len(ours):
        return {}
    found = {}
    for name in theirs:
        near = [other for other in ours if _alike(name, other)]
        if len(near) != 1:
            return {}
        found[name] = near[0]
    return found if len(set(found.values())) == len(found) else {}


def _kinds(names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(_MARK.sub("", name) for name in names))


def _alike(one: str, other: str) -> bool:
    left, right = (re.sub(r"[\W_]+", "", name).casefold() for name in (one, other))
    short, long = sorted((left, right), key=len)
    return left == right != "" or (len(short) >= _LEAST and long.startswith(short))
