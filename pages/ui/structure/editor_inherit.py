"""What each layer of the shape will inherit from the parent, as far as it is known before anything is built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from core.config.shape import EncoderShape
from core.errors import ConfigError
from core.models.shaped.segments import Foreseen, foreseen
from pages.ui.format import count, plain
from pages.ui.structure.editor_presets import segments_for

__all__ = ["Inheritance", "inheritance", "inheritance_part", "rows"]


@dataclass(frozen=True)
class Inheritance:
    """What a shape inherits.

    Parameters
    ----------
    origins
        One a layer; empty where nothing can be inherited.
    segments
        (representative, last layer) for each layer from 0, where statistics chose them; None: divided evenly.
    problem
        Why nothing can be inherited.
    """

    origins: tuple[Foreseen, ...] = ()
    segments: tuple[tuple[int, int], ...] | None = None
    problem: ConfigError | None = None


def inheritance(parent: EncoderShape | None, shape: EncoderShape, statistics: Mapping[str, Any] | None) -> Inheritance:
    """Return what a shape will inherit.

    Parameters
    ----------
    parent
        The parent's shape; None where it is no plain BERT.
    shape
        The shape.
    statistics
        What was measured of the parent: its segments say which layers are inherited.
    """
    if parent is None:
        return Inheritance(problem=ConfigError("There is no parent to inherit from.", where="parent"))
    measured = segments_for(statistics, len(shape.layers))
    segments = None
    if measured is not None:
        segments = tuple((one["representative"] - 1, one["last"] - 1) for one in measured)
    try:
        return Inheritance(tuple(foreseen(parent, shape, segments)), segments)
    except ConfigError as error:
        return Inheritance(problem=error)


def rows(origins: Sequence[Foreseen]) -> list[dict[str, str]]:
    """Return the table: one row a layer, in words."""
    found = []
    for at, one in enumerate(origins, 1):
        span = str(one.first + 1) if one.first == one.reaches else f"{one.first + 1} – {one.reaches + 1}"
        found.append(
            {
                "layer": str(at), "from": f"layer {one.parent + 1}", "stands for": span,
                "width": _width(one), "heads": _parts(one.heads), "FFN units": _parts(one.units),
                "maps": "–" if not one.maps else "2, fitted" if one.maps == 2 else "1, fitted",
            }
        )  # fmt: skip
    return found


def inheritance_part(found: Inheritance, parent_name: str, *, key: str = "layers_inherit") -> None:
    """Draw the table, or why there is none.

    Parameters
    ----------
    found
        What is inherited.
    parent_name
        What the parent is called.
    key
        Beginning of the keys.
    """
    with st.container(border=True, gap="small", key=key):
        st.markdown(f"**What each layer inherits** :gray[from {plain(parent_name, 60)}]")
        if found.problem is not None:
            parts = [found.problem.what, f"Expected: {found.problem.expected}." if found.problem.expected else ""]
            parts.append(found.problem.advice or "")
            st.info(plain(" ".join(part for part in parts if part), 500), icon=":material/link_off:")
            st.caption("It can still be trained from random weights.")
            return
        st.dataframe(rows(found.origins), hide_index=True, width="stretch", height="content", key=f"{key}_table")
        chosen = (
            "Which layers are inherited was chosen by the parent's statistics."
            if found.segments is not None
            else "The parent's layers are divided evenly: its statistics have not been measured."
        )
        st.caption(
            f":material/info: {chosen} Embeddings are copied. Projected weights are refitted on texts when the model "
            "is built; only then is it known how far it is from its parent."
        )


def _width(one: Foreseen) -> str:
    if one.exact:
        return "copied as it is"
    if one.basis == "pca":
        return f"{count(one.directions)} main directions"
    if one.coordinates:
        return f"{count(one.directions)} kept, {count(one.coordinates)} initialised"
    return "kept"


def _parts(counts: Mapping[str, int]) -> str:
    words = [f"{count(counts['copied'])} kept"] if counts["copied"] else []
    words += [f"{count(counts['pruned'])} pruned"] if counts["pruned"] else []
    words += [f"{count(counts['initialised'])} initialised"] if counts["initialised"] else []
    return ", ".join(words) or "–"
