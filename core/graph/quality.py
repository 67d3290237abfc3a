"""How good a graph is, seen from outside: similarity lists, held-out sentences, resampled corpora.

Each measure says what it was computed on and how many items it covers.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import rankdata, spearmanr

from core.config.graph import EdgeConfig, EdgeType, GraphConfig
from core.errors import DataError
from core.graph.edges.ppmi import ppmi
from core.graph.link.split import seen_pairs
from core.graph.types import Corpus, EdgeSet, Sentence, WordGraph

__all__ = [
    "BENCH_DATA",
    "MOST_BYTES",
    "held_out_sentences",
    "parse_similarity",
    "path_plausibility",
    "read_similarity",
    "similarity_lists",
    "stability",
    "word_similarity",
]

#: Names the folder with data sets that are not part of Bertloom; lists of similar words are looked for in it.
BENCH_DATA = "BERTLOOM_BENCH_DATA"
RESAMPLES = 1000
#: A node's degree counts as matched if it lies within this factor.
SIMILAR = 1.5
_FEWEST = 5
_MOST_PAIRS = 20_000
#: Longer files are not looked at.
MOST_BYTES = 4_000_000
#: Numbers that resampling holds at once.
_BLOCK = 2_000_000


def similarity_lists(folder: Path | str | None = None) -> list[Path]:
    """Return the similarity lists of a folder, or of :data:`BENCH_DATA`: the .txt files of ``word_similarity_*``."""
    root = folder or os.environ.get(BENCH_DATA)
    return sorted(Path(root).glob("word_similarity_*/*.txt")) if root else []


def read_similarity(path: Path | str) -> list[tuple[str, str, float]]:
    """Read a list in the style of WordSim-353 from a file; see :func:`parse_similarity`.

    Raises
    ------
    DataError
        If it cannot be read or a line is something else; the line is named.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise _too_long(path.name)
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"The list of similar words cannot be read: {error.strerror or error}.", where=str(path),
            expected="a UTF-8 text file",
        ) from error  # fmt: skip
    return parse_similarity(content, path.name)


def parse_similarity(content: bytes, name: str) -> list[tuple[str, str, float]]:
    """Read a list in the style of WordSim-353 (Finkelstein et al. 2002): two words and a score a line.

    Cells are separated by tabs, semicolons, commas or blanks, as the first line is. The score is the first number after
    the two words, so that lists with a column in between (a part of speech, say) are read too. Lines that are empty or
    begin with ``#`` are skipped, as is a heading.

    Parameters
    ----------
    content
        UTF-8 text.
    name
        What messages call it.

    Raises
    ------
    DataError
        If a line is something else, or there are no pairs or too many; the line is named.
    """
    if len(content) > MOST_BYTES:
        raise _too_long(name)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        broken = content[: error.start].count(b"\n") + 1
        raise DataError(
            "The list of similar words is not UTF-8 text.", where=f"{name}, line {broken}", expected="UTF-8",
            advice="Save it as CSV or TSV in UTF-8.",
        ) from error  # fmt: skip
    found: list[tuple[str, str, float]] = []
    separator, column, heading = "", None, False
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        separator = separator or _separator(line)
        cells = _cells(line, separator)
        if column is None:
            column = next((at for at in range(2, len(cells)) if _number(cells[at]) is not None), None)
        if column is None and not heading and len(cells) >= 3:
            heading = True
            continue
        score = _number(cells[column]) if column is not None and column < len(cells) else None
        if score is None or not cells[0] or not cells[1]:
            names = {"\t": "tabs", ";": "semicolons", ",": "commas", " ": "blanks"}
            raise DataError(
                "This line is no pair with a score.", where=f"{name}, line {number}",
                expected=f"word, word and a number, separated by {names[separator]}",
            )  # fmt: skip
        found.append((cells[0], cells[1], score))
        if len(found) > _MOST_PAIRS:
            raise _too_long(name)
    if not found:
        raise DataError("The list of similar words is empty.", where=name, expected="word, word and a number a line")
    return found


def _separator(line: str) -> str:
    return next((mark for mark in "\t;," if line.count(mark) >= 2), " ")


def _cells(line: str, separator: str) -> list[str]:
    if separator == " ":
        return line.split()
    try:
        cells = next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
    except csv.Error:  # a field without end
        cells = line.split(separator)
    return [cell.strip() for cell in cells]


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _too_long(name: str) -> DataError:
    return DataError(
        "The list of similar words is too long.", where=name,
        expected=f"at most {_MOST_PAIRS:,} pairs and {MOST_BYTES // 1_000_000} MB",
    )  # fmt: skip


def word_similarity(
    graph: WordGraph, pairs: Sequence[tuple[str, str, float]], *, name: str = "", seed: int = 0
) -> dict[str, Any]:
    """Correlate cosines of word vectors with people's scores of similarity, at every layer.

    Parameters
    ----------
    graph
        Its vectors count. A word is looked up as it is, else in lower case.
    pairs
        From :func:`read_similarity`.
    name
        What the list is called.
    seed
        Seed of the resampling.

    Returns
    -------
    dict
        ``list``, ``pairs``, ``covered`` (pairs whose words both have vectors), ``missing`` (words without, at most 20),
        ``sentences`` that the graph was built from, and ``layers``: ``spearman`` with ``low`` and ``high`` (95 %, pairs
        resampled), None where fewer than five pairs are covered.
    """
    index = graph.index()
    nodes = [[index.get(word, index.get(word.lower(), -1)) for word in pair[:2]] for pair in pairs]
    ends = np.array(nodes, dtype=np.int64).reshape(-1, 2)
    there = (ends >= 0).all(axis=1)
    rows = []
    layers = {layer: np.asarray(graph.vectors[layer], dtype=np.float32) for layer in sorted(graph.vectors)}
    for vectors in layers.values():
        seen = np.asarray(vectors.any(axis=1))
        there &= seen[ends].all(axis=1)
    scores = np.array([pair[2] for pair in pairs], dtype=float)[there]
    for layer, vectors in layers.items():
        one, other = vectors[ends[there, 0]], vectors[ends[there, 1]]
        size = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
        cosines = (one * other).sum(axis=1) / np.maximum(size, 1e-12)
        entry: dict[str, Any] = {"layer": layer, "spearman": None, "low": None, "high": None}
        if len(scores) >= _FEWEST and len(set(scores.tolist())) > 1:
            low, high = np.nanquantile(_resampled(cosines, scores, seed), [0.025, 0.975])
            entry |= {"spearman": _spearman(cosines, scores), "low": float(low), "high": float(high)}
        rows.append(entry)
    words = dict.fromkeys(word for pair in pairs for word in pair[:2])
    missing = [word for word in words if index.get(word, index.get(word.lower(), -1)) < 0]
    return {
        "list": name, "pairs": len(pairs), "covered": int(there.sum()), "missing": missing[:20],
        "missing_words": len(missing), "sentences": len(graph.sentences), "layers": rows,
    }  # fmt: skip


def _resampled(cosines: np.ndarray, scores: np.ndarray, seed: int) -> np.ndarray:
    """Return Spearman's correlation of each resample of the pairs, nan where one side is constant."""
    rng = np.random.default_rng([0x3535, seed])  # the same resamples in every layer
    found = []
    rows = max(1, _BLOCK // len(scores))
    for start in range(0, RESAMPLES, rows):
        draws = rng.integers(0, len(scores), (min(rows, RESAMPLES - start), len(scores)))
        one, other = (rankdata(values[draws], axis=1) for values in (cosines, scores))
        one, other = (ranks - ranks.mean(axis=1, keepdims=True) for ranks in (one, other))
        with np.errstate(invalid="ignore", divide="ignore"):
            size = np.sqrt((one**2).sum(axis=1) * (other**2).sum(axis=1))
            found.append(np.where(size > 0, (one * other).sum(axis=1) / size, np.nan))
    return np.concatenate(found)


def _spearman(one: np.ndarray, other: np.ndarray) -> float:
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    return float(spearmanr(one, other).statistic)


def held_out_sentences(
    graph: WordGraph,
    most: int = 2000,
    *,
    check: Callable[[], None] = lambda: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[np.ndarray]:
    """Draw sentences of the graph's source that the graph was not built from, as nodes of the graph.

    Returns
    -------
    list of numpy.ndarray
        Node of each token, -1 for words that the graph does not have. Empty if the graph took all sentences.

    Raises
    ------
    DataError
        If the graph does not say what it was built from, or its source cannot be read.
    """
    from core.graph.corpus import read_corpus

    if not graph.about.get("sampled"):
        return []
    try:
        config = GraphConfig.model_validate(graph.about.get("config")).corpus
    except ValueError as error:
        raise DataError(
            "The graph does not say what it was built from.", expected="a graph that Bertloom built"
        ) from error
    # Another seed draws other sentences; nothing is filtered here, what the graph does not know drops out below.
    changed = {"seed": config.seed + 1, "max_sentences": most, "min_count": 1}
    corpus = read_corpus(config.model_copy(update=changed), check=check, progress=progress)
    known, index = set(graph.sentences), graph.index()
    place = np.array([*(index.get(word, -1) for word in corpus.words), -1], dtype=np.int64)
    return [place[np.asarray(one.nodes)] for one in corpus.sentences if one.text not in known]


def path_plausibility(
    graph: WordGraph,
    words: Sequence[str],
    sentences: Sequence[np.ndarray],
    *,
    layer: int | None = None,
    window: int = 5,
    samples: int = 500,
    seed: int = 0,
) -> dict[str, Any]:
    """Compare how strongly a path's neighbours attract each other in held-out sentences with random paths.

    A random path walks as many edges of the graph, from a word as well connected as the path's first to one as well
    connected as its second, and so on; so it is not put down by rare words, nor raised by hubs.

    Parameters
    ----------
    graph
        The graph.
    words
        The path, at least two words of the graph.
    sentences
        Nodes of each held-out sentence's tokens, -1 where there is none; see :func:`held_out_sentences`.
    layer
        Layer whose edges random paths walk; None: the middle one.
    window
        Words at most so far apart count as neighbours (symmetric PPMI).
    samples
        Random paths.
    seed
        Seed of their drawing.

    Returns
    -------
    dict
        ``percentile`` (share of random paths of lower mean PPMI, of equal ones half; None without held-out sentences
        or random paths), ``ppmi`` (the path's mean over its hops), ``random_ppmi`` (mean of the random paths'),
        ``hops``, ``hops_seen`` (hops that occur in the sentences), ``random_paths``, ``sentences``.

    Raises
    ------
    DataError
        If a word is not in the graph or the path has no hop.
    """
    index = graph.index()
    unknown = [word for word in words if word not in index]
    if unknown or len(words) < 2:
        raise DataError(
            f"The graph has no word {unknown[0][:80]!r}." if unknown else "A path of one word has no hop.",
            where="path", expected="two words or more of the graph",
        )  # fmt: skip
    path = np.array([index[word] for word in words])
    nodes = len(graph)
    held = [Sentence(text="", tokens=[], nodes=np.asarray(one)) for one in sentences]
    keys, counts = seen_pairs(held, nodes, window=window)
    weights = ppmi(*np.divmod(keys, nodes), counts, nodes)
    starts, neighbours = _neighbours(graph.edge_sets(graph.middle if layer is None else layer), nodes)
    rng = np.random.default_rng([0x9A7B, seed])
    drawn = _random_paths(path, starts, neighbours, samples, rng)

    def mean_ppmi(paths: np.ndarray) -> np.ndarray:
        hops = paths[:, :-1] * nodes + paths[:, 1:]
        if not len(keys):
            return np.zeros(len(paths))
        at = np.minimum(np.searchsorted(keys, hops), len(keys) - 1)
        return np.where(keys[at] == hops, weights[at], 0.0).mean(axis=1)

    own = float(mean_ppmi(path[None])[0])
    others = mean_ppmi(drawn)
    percentile = float(((others < own) + (others == own) / 2).mean()) if len(drawn) and len(keys) else None
    return {
        "percentile": percentile, "ppmi": own, "random_ppmi": float(others.mean()) if len(drawn) else None,
        "hops": len(path) - 1, "hops_seen": int(np.isin(path[:-1] * nodes + path[1:], keys).sum()),
        "random_paths": len(drawn), "sentences": len(sentences),
    }  # fmt: skip


def _neighbours(sets: Iterable[EdgeSet], nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the targets of each node's edges of any type: where its part begins, and the targets."""
    keys = [one.sources.astype(np.int64) * nodes + one.targets for one in sets]
    sources, targets = np.divmod(np.unique(np.concatenate([np.empty(0, dtype=np.int64), *keys])), max(1, nodes))
    return np.concatenate([[0], np.cumsum(np.bincount(sources, minlength=nodes))]), targets


def _random_paths(
    path: np.ndarray, starts: np.ndarray, neighbours: np.ndarray, samples: int, rng: np.random.Generator
) -> np.ndarray:
    degrees = np.diff(starts)

    def like(candidates: np.ndarray, node: int) -> np.ndarray:
        low, high = degrees[node] / SIMILAR, degrees[node] * SIMILAR
        return candidates[(degrees[candidates] >= low) & (degrees[candidates] <= high)]

    found: list[list[int]] = []
    first = like(np.arange(len(degrees)), path[0])
    for _ in range(20 * samples if len(first) else 0):  # walks that end nowhere are drawn anew
        walk = [int(rng.choice(first))]
        for node in path[1:]:
            near = like(neighbours[starts[walk[-1]] : starts[walk[-1] + 1]], node)
            near = near[~np.isin(near, walk)]
            if not len(near):
                break
            walk.append(int(rng.choice(near)))
        if len(walk) == len(path):
            found.append(walk)
            if len(found) == samples:
                break
    return np.array(found, dtype=np.int64).reshape(-1, len(path))


def stability(
    corpus: Corpus,
    settings: EdgeConfig,
    *,
    types: Sequence[EdgeType] = ("dep", "cooc"),
    rounds: int = 10,
    seed: int = 0,
    check: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Resample the sentences and see which edges stay: the mean Jaccard index of the edges of two resamples.

    A resample, drawn with replacement, holds about 63 % of the sentences; so even a stable corpus stays below 1.

    Parameters
    ----------
    corpus, settings
        What the edges are made of.
    types
        ``dep`` and ``cooc``; the others need the encoder, and are not resampled.
    rounds
        Resamples, at least 2.
    seed
        Seed of the drawing.
    check
        Called between resamples; may raise to stop.

    Returns
    -------
    dict
        ``types``: type → ``jaccard`` (mean over pairs of resamples, None without edges), ``low``, ``high`` (the lowest
        and the highest pair), ``to_whole`` (mean index with the whole corpus' edges), ``edges`` (of the whole corpus);
        ``rounds``, ``sentences``.
    """
    from core.graph.edges.cooc import cooc_edges
    from core.graph.edges.dep import dep_edges

    if rounds < 2:
        raise ValueError("stability compares two resamples at least")
    rng = np.random.default_rng([0x57AB, seed])
    count, nodes = len(corpus.sentences), len(corpus.words)

    def keys(part: Corpus, kind: str) -> np.ndarray:
        edges = dep_edges(part, settings.dep) if kind == "dep" else cooc_edges(part, settings.cooc)
        return edges.sources.astype(np.int64) * nodes + edges.targets

    usable = [kind for kind in types if kind == "cooc" or (kind == "dep" and corpus.trees != "none")]
    whole = {kind: keys(corpus, kind) for kind in usable}
    drawn: dict[str, list[np.ndarray]] = {kind: [] for kind in usable}
    for _ in range(rounds):
        check()
        part = replace(corpus, sentences=[corpus.sentences[at] for at in rng.integers(0, count, count)])
        for kind in usable:
            drawn[kind].append(keys(part, kind))
    found: dict[str, Any] = {}
    for kind in usable:
        pairs = [_jaccard(one, other) for one, other in combinations(drawn[kind], 2)]
        values = [value for value in pairs if value is not None]
        to_whole = [value for one in drawn[kind] if (value := _jaccard(one, whole[kind])) is not None]
        found[kind] = {
            "jaccard": float(np.mean(values)) if values else None, "low": min(values, default=None),
            "high": max(values, default=None), "to_whole": float(np.mean(to_whole)) if to_whole else None,
            "edges": len(whole[kind]),
        }  # fmt: skip
    return {"types": found, "rounds": rounds, "sentences": count}


def _jaccard(one: np.ndarray, other: np.ndarray) -> float | None:
    shared = len(np.intersect1d(one, other, assume_unique=True))
    union = len(one) + len(other) - shared
    return shared / union if union else None
