"""Tokens and trees of a graph's sentences, beside the graph's file: one line of JSON a sentence, in its order."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

from core.errors import DataError
from core.graph.atomic import whole_file
from core.graph.types import Corpus

__all__ = ["TREES", "load_tree", "save_trees"]

#: Name of the file in a run's folder.
TREES = "trees.jsonl"


def save_trees(corpus: Corpus, path: Path) -> None:
    """Write the sentences of a corpus.

    Raises
    ------
    StorageError
        If the disk takes nothing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path, "The sentences of the graph", advice="Free some disk space.") as stream:
        for one in corpus.sentences:
            line = {
                "tokens": one.tokens, "heads": None if one.heads is None else [int(head) for head in one.heads],
                "relations": one.relations, "tags": one.tags,
            }  # fmt: skip
            stream.write(json.dumps(line).encode("ascii") + b"\n")


def load_tree(path: Path, index: int) -> dict[str, Any] | None:
    """Return ``tokens``, ``heads``, ``relations`` and ``tags`` of a sentence; None where nothing was kept of it.

    Raises
    ------
    DataError
        If the file is damaged.
    """
    if not path.is_file():
        return None
    with path.open(encoding="utf-8") as lines:
        line = next(islice(lines, index, None), None)
    if line is None:
        return None
    try:
        found = json.loads(line)
        if not isinstance(found, dict) or not isinstance(found["tokens"], list):
            raise ValueError("no tokens")
    except (ValueError, KeyError) as error:
        raise DataError(
            "The file with the graph's sentences is damaged.", where=f"{path}, line {index + 1}",
            advice="Build the graph again.",
        ) from error  # fmt: skip
    return found
