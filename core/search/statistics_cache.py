"""Statistics that are measured once: kept by everything that they depend on, piece by piece while they are measured.

Thresholds are not among it: they are applied to the curves that are kept. Only workers and commands import this module:
it loads torch.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, entry_points, version
from pathlib import Path
from typing import Any

from core.config.graph import CorpusConfig
from core.config.statistics import StatisticsConfig
from core.errors import StorageError
from core.graph.corpus.draw import draw
from core.graph.corpus.sources import open_corpus
from core.graph.encoder import fingerprint_of
from core.search.proposal import propose
from core.search.statistics import statistics
from core.training.files import write_json

__all__ = ["cached_statistics", "statistics_key"]

#: Raise it when the measuring changes, so that what is kept is measured anew.
_VERSION = 2
_PACKAGES = ("torch", "transformers", "spacy", "jieba", "numpy", "scipy")
_Progress = Callable[[int, int], None]


def cached_statistics(
    config: StatisticsConfig,
    cache: Path,
    *,
    check: Callable[[], None] = lambda: None,
    phase: Callable[[str], _Progress] = lambda name: lambda done, total: None,
) -> dict[str, Any]:
    """Return the statistics of a parent's layers, from the cache if they were measured before.

    Parameters
    ----------
    config
        Corpus, parent and thresholds; other thresholds, another name or device find the same curves.
    cache
        The home's cache folder; statistics lie in ``statistics``, word vectors in ``vectors`` in it.
    check
        Called often; may raise to stop. What was measured by then is not measured again the next time.
    phase
        Called with the name of each part; what it returns is called with what is done and what there is in all.

    Returns
    -------
    dict
        As :func:`core.search.statistics.statistics`, with ``key``: the name of the entry in the cache.

    Raises
    ------
    DataError
        If the corpus is too small.
    BertloomError
        If corpus or encoder cannot be used.
    """
    key = statistics_key(config, check=check, looking=phase("rows"))
    folder = Path(cache) / "statistics"
    whole, pieces = folder / f"{key}.json", folder / f"{key}.pieces"
    found = _read(whole)
    if found is None:
        lost: list[StorageError] = []

        def keep(name: str, make: Callable[[], Any]) -> Any:
            place = pieces / f"{name}.json"
            kept = _read(place)
            if kept is None:
                kept = make()
                _write(place, kept, lost)
            return kept

        found = statistics(config, cache=Path(cache) / "vectors", check=check, phase=phase, keep=keep)
        _write(whole, found, lost)
        if lost:
            found["notices"].append(f"The statistics were not kept for the next time: {lost[0].what}")
        shutil.rmtree(pieces, ignore_errors=True)
    return {**propose(found, rho=config.rho, overlap=config.overlap, share=config.share), "key": key}


def statistics_key(
    config: StatisticsConfig, *, check: Callable[[], None] = lambda: None,
    looking: _Progress = lambda done, total: None,
) -> str:  # fmt: skip
    """Return a hash of everything that the curves depend on.

    That is the config without its thresholds, the texts that are drawn from the corpus, the parent's files, and the
    versions of what computes. The texts are read, but not parsed.

    Raises
    ------
    BertloomError
        If corpus or encoder cannot be read.
    """
    parts = {
        "version": _VERSION, "config": config.measured(), "encoder": fingerprint_of(config.model),
        "corpus": _texts(config.corpus, check, looking), "packages": {name: _version(name) for name in _PACKAGES},
        "pipelines": sorted(one.name for one in entry_points(group="spacy_models")),
    }  # fmt: skip
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _texts(config: CorpusConfig, check: Callable[[], None], looking: _Progress) -> str:
    def told(line: int, lines: int) -> None:
        check()
        looking(line, lines)

    opened = open_corpus(config)
    drawn = draw(opened.texts(told), config.max_sentences, config.seed, check=check)
    digest = hashlib.sha256(f"{opened.kind} {opened.language} {drawn.seen} {drawn.complete}".encode())
    for text in drawn.texts:
        digest.update(repr(text).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _read(path: Path) -> Any:
    """Return what a file keeps; None if it is missing, or its content is not what was written."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return kept["value"] if kept["sha256"] == _hash(kept["value"]) else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _write(path: Path, value: Any, lost: list[StorageError]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"sha256": _hash(value), "value": value})
    except StorageError as error:
        lost.append(error)
    except OSError as error:
        lost.append(StorageError(f"{path.name} could not be written: {error}.", where=str(path)))
