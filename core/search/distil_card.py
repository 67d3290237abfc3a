"""The card of a distilled student: what it is, what it inherited from which parent, and how to load it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from core.config.distil import DistilConfig

__all__ = ["card"]

_SHAPED = (
    "Its layers differ in size from the stream, which no stock class of transformers can hold: it loads where Bertloom "
    "is installed, after the line that registers its class."
)


def card(config: DistilConfig, found: Mapping[str, Any], *, shaped: bool, run_id: str = "") -> str:
    """Return README.md.

    Parameters
    ----------
    config
        The run's config.
    found
        What results.json has under ``details.distil``.
    shaped
        Whether the student needs Bertloom to load.
    run_id
        The run's id.
    """
    front = {"library_name": "transformers", "pipeline_tag": "feature-extraction", "tags": ["bertloom", "distilled"]}
    register = "from core.models.shaped.register import register\n\nregister()\n" if shaped else ""
    parent = _code(config.model.source)
    run = f" (run {_code(run_id)})" if run_id else ""
    ways = [("inherited from", config.shape is not None), ("distilled from", bool(found["steps"]))]
    origin = " and ".join(words for words, done in ways if done) or "compared with those of"
    lines = [
        f"---\n{yaml.safe_dump(front, sort_keys=False)}---",
        f"# {_plain(config.name)}",
        f"An encoder without a head, made with Bertloom{run}: its weights were {origin} the parent {parent}. "
        "It has not been trained for any task yet.",
        "## Use\n\n```python\nfrom transformers import AutoModel, AutoTokenizer\n"
        f'{register}\ntokenizer = AutoTokenizer.from_pretrained("FOLDER")\n'
        'model = AutoModel.from_pretrained("FOLDER")\n```',
        _SHAPED if shaped else "It is a plain BERT, which stock transformers loads.",
        "A plan of Bertloom takes the folder as `model.source`.",
        _distance(found),
        _table(
            ("", "Parent", "Student"),
            [
                (title, f"{found[name]['parent']:,}", f"{found[name]['student']:,}")
                for name, title in (("parameters", "Parameters"), ("body", "without embeddings and pooler"))
            ],
        ),
    ]
    layers = found.get("layers") or []
    if layers:
        heads = ("Layer", "Width", "Heads", "FFN units", "Weights from layer", "Stands for layer", "Basis")
        rows = [
            (one["layer"], one["width"], one["heads"], one["intermediate"], one["parent"], one["reaches"], one["basis"])
            for one in layers
        ]
        lines += ["## Layers", "Layers count from 1; those of the last columns are the parent's.", _table(heads, rows)]
    if found.get("initialised"):
        lines.append(f"Not inherited but initialised: {_plain(', '.join(found['initialised']))}.")
    settings = [
        ("corpus", config.corpus.source), ("steps", found["steps"]), ("learning rate", f"{config.lr:g}"),
        ("sub-words a step", config.batch_tokens), ("seed", config.runtime.seed),
        *((f"sub-words: {name.replace('_', ' ')}", f"{count:,}") for name, count in found["tokens"].items()),
    ]  # fmt: skip
    lines += ["## Training", _table(("Setting", "Value"), settings)]
    return "\n\n".join(lines) + "\n"


def _distance(found: Mapping[str, Any]) -> str:
    scores = f"{found['before']:.4f} before training, {found['after']:.4f} after it"
    if not found["steps"]:
        scores = f"{found['after']:.4f}"
    return (
        f"**Distance to the parent's hidden states** on texts that nothing was fitted to: {scores}. The parent itself "
        "scores 0, and predicting the mean 2. It says how near the student is to its parent, not how good it is for a "
        "task."
    )


def _table(heads: tuple[Any, ...], rows: list[tuple[Any, ...]]) -> str:
    lines = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    return "\n".join([*lines, *(f"| {' | '.join(_plain(str(cell)) for cell in row)} |" for row in rows)])


def _plain(text: str) -> str:
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for sign in "\\`*[]|#":
        text = text.replace(sign, f"\\{sign}")
    return text


def _code(text: str) -> str:
    return f"`{' '.join(text.split()).replace('`', chr(39))}`"
