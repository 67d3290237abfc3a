"""Tokens and trees of a graph's sentences, beside the graph's file: one line of JSON a sentence, in its order."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

from core.errors import DataError, StorageError
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
    temporary = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w", encoding="utf-8", errors="surrogatepass") as file:
            for one in corpus.sentences:
                line = {
                    "tokens": one.tokens, "heads": None if one.heads is None else [int(head) for head in one.heads],
                    "relations": one.relations, "tags": one.tags,
                }  # fmt: skip
                file.write(json.dumps(line) + "\n")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StorageError(
            f"The sentences of the graph cannot be written: {error.strerror or error}.", where=str(path),
            advice="Free some disk space.",
        ) from error  # fmt: skip


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
