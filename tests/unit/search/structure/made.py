"""A tiny parent, a corpus, and searches of seconds on them, for tests."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from core.config.structure import StructureConfig
from core.search.structure.records import SearchRecord, read_candidates
from core.training.context import MemoryContext
from tests.tiny import tiny_encoder
from tests.unit.search.test_statistics import corpus


def material(folder: Path) -> dict[str, Any]:
    """Write a parent of three layers and a corpus; return what a config says of them."""
    parent = tiny_encoder(folder / "parent", hidden=32, layers=3, heads=4)
    return {
        "model": {"source": str(parent), "max_length": 64},
        "corpus": {"source": str(corpus(folder, 150)), "max_sentences": 150, "min_count": 1, "language": "en"},
    }  # fmt: skip


def config_of(given: dict[str, Any], **changes: Any) -> StructureConfig:
    """Return a search of about a second: FLOPs in place of latency."""
    return StructureConfig.model_validate(
        {
            **given, "name": "tiny", "statistics": {"words": 220, "draws": 2, "neighbours": 5, "probe": False},
            "budget": {"share": 0.6}, "depths": [2, 3], "candidates": 6, "objectives": ["flops", "loss"],
            "halving": {"enter": 3, "rungs": [3, 3], "keep": 0.5, "batch_tokens": 256, "sentences": 150},
            "runtime": {"threads": 1}, **changes,
        }
    )  # fmt: skip


def context_of(folder: Path, cache: Path) -> MemoryContext:
    """Return a context whose folders exist."""
    for place in (folder, cache):
        place.mkdir(parents=True, exist_ok=True)
    return MemoryContext(folder, cache)


def told(folder: Path, models: Path | None = None) -> dict[str, Any]:
    """Return everything of a search that must be equal however often it was stopped.

    Parameters
    ----------
    folder
        The run's folder.
    models
        Folder of the child runs; by default those of a :class:`MemoryContext`.
    """
    record = SearchRecord.read(folder)
    assert record is not None
    candidates = read_candidates(folder)
    weights = {}
    for key in record.front:
        place = models / str(candidates[key].run) if models is not None else folder / "children" / f"candidate-{key}"
        weights[key] = hashlib.sha256((place / "best" / "model.safetensors").read_bytes()).hexdigest()
    return {
        "order": record.order, "rungs": record.rungs, "front": record.front, "hypervolume": record.hypervolume,
        "history": [(one["hypervolume"], one["best_loss"], one["front"]) for one in record.history],
        "ranks": {key: (one.rank_loss, one.rank) for key, one in candidates.items()},
        "losses": {key: [(rung.steps, rung.loss, rung.curve) for rung in one.rungs] for key, one in candidates.items()},
        "scores": {key: (one.score, one.test) for key, one in candidates.items()}, "weights": weights,
    }  # fmt: skip
