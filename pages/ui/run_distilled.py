"""What a distilled student came to: how near it is to its parent, what it costs, and where its layers come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.runs.records import RunRecord
from pages.ui import keys
from pages.ui.components import Card, card_row
from pages.ui.format import count, number, percent, plain
from pages.ui.leaving import go
from pages.ui.studio import studio

__all__ = ["draw_distilled", "layer_rows", "loading_lines", "train_it"]

_SCALE = "Squared errors of hidden states by their variance, on texts that nothing was fitted to."
_SUM = "The last state's and the mean of the layers': the parent scores 0, predicting the mean 2."


def train_it(run: RunRecord) -> None:
    """Offer the stage planner with the finished student as its model."""
    if st.button(
        "Train it", icon=":material/model_training:", type="primary", key=keys.PRIMARY, disabled=not run.has_model,
        help=None if run.has_model else "Its weights were deleted.",
    ):  # fmt: skip
        place = studio().home.run(run.id) / "best"
        go("planner", {"model": str(place)})


def draw_distilled(results: Mapping[str, Any]) -> None:
    """Draw the figures of a student, and what each of its layers inherited."""
    found = dict((results.get("details") or {}).get("distil") or {})
    if not found:
        return
    st.markdown(_words(found))
    own, theirs = found["parameters"]["student"], found["parameters"]["parent"]
    body = found["body"]
    card_row(
        [
            Card("Before training", number(found["before"], 3), "inherited weights only", help=f"{_SCALE} {_SUM}"),
            Card("After", number(found["after"], 3), f"{count(found['steps'])} steps", help=f"{_SCALE} {_SUM}"),
            Card("Parameters", count(own), f"{percent(own / theirs)} of the parent's {count(theirs)}"),
            Card(
                "Without embeddings", count(body["student"]), f"{percent(body['student'] / body['parent'])} of the "
                f"parent's {count(body['parent'])}",
            ),
        ],
        key="run_cards_distilled",
    )  # fmt: skip
    rows = layer_rows(found)
    st.dataframe(rows, hide_index=True, width="stretch", height="content", key="distilled_layers")
    inherited = "Copied, pruned, new: heads and FFN units taken from the parent's layer, left out, and initialised. "
    st.caption(
        f"{inherited if 'heads: copied, pruned, new' in rows[0] else ''}Errors are those of the stream after the layer "
        "against the parent's layer that it stands for; 1 is what predicting the mean would score."
    )
    if found.get("initialised"):
        names = ", ".join(str(name) for name in found["initialised"])
        st.info(plain(f"Not inherited but initialised: {names}.", 500), icon=":material/info:")


def _words(found: Mapping[str, Any]) -> str:
    before, after = float(found["before"]), float(found["after"])
    parent = plain(str(found.get("parent") or "the parent").rstrip("/").rpartition("/")[2], 80)
    if not found["steps"]:
        return f"The student has weights inherited from **{parent}** and was not trained."
    if after < before:
        share = percent(1 - after / before) if before else ""
        return f"Training brought the student nearer to **{parent}**: its distance fell by {share}."
    advice = "try a lower learning rate, more steps, or more texts"
    return f"Training did not bring the student nearer to **{parent}**: {advice}."


def layer_rows(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a student's layers, one row each, lowest first.

    Parameters
    ----------
    found
        ``details.distil`` of the results.
    """
    rows = []
    for layer in found.get("layers") or []:
        row = {
            "layer": layer["layer"], "width": layer["width"], "heads": layer["heads"], "FFN": layer["intermediate"],
            "weights from": f"layer {layer['parent']}", "stands for": f"layer {layer['reaches']}",
        }  # fmt: skip
        if layer.get("head_report"):
            row["inputs kept"] = percent(layer["explained"])
            row["heads: copied, pruned, new"] = _three(layer["head_report"])
            row["units: copied, pruned, new"] = _three(layer["units"])
            row["error before"] = number(layer["before"], 3)
        row["error after"] = number(layer["after"], 3)
        rows.append(row)
    return rows


def _three(report: Mapping[str, int]) -> str:
    return ", ".join(count(report[name]) for name in ("copied", "pruned", "initialised"))


def loading_lines(folder: str, *, shaped: bool) -> str:
    """Return the lines of Python that load a student."""
    register = ["from core.models.shaped.register import register", "", "register()"] if shaped else [""]
    lines = ["from transformers import AutoModel, AutoTokenizer", *register]
    lines += [
        f"tokenizer = AutoTokenizer.from_pretrained({folder!r})",
        f"model = AutoModel.from_pretrained({folder!r})",
    ]
    return "\n".join(lines) + "\n"
