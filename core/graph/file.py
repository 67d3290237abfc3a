"""Word graphs as one file: a zip of npy arrays and JSON, written whole or not at all, and read with distrust.

Nothing in it is compressed, so that it cannot be larger inside than outside, and nothing is unpickled. Word vectors
stay in the file until somebody asks for a layer: a graph of 30,000 words opens in a fraction of a second.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any, NoReturn, cast

import numpy as np

from core.config.graph import EDGE_TYPES
from core.errors import DataError
from core.graph.archive import MEMBERS, SUFFIX, Reader, damaged, foreign
from core.graph.atomic import whole_file
from core.graph.types import EXAMPLES, EdgeSet, WordGraph

__all__ = ["NAME", "SUFFIX", "StoredVectors", "load_graph", "save_graph"]

#: Name of a graph's file in a run's folder.
NAME = f"graph{SUFFIX}"
_FORMAT = "bertloom-graph"
_VERSION = 1
_MOST_WORDS = 1_000_000
#: Arrays by edge, with their type and the size of their second axis.
_BY_EDGE: dict[str, tuple[str, int | None]] = {
    "sources": ("<i4", None), "targets": ("<i4", None), "weights": ("<f4", None),
    "counts": ("<i4", None), "examples": ("<i4", EXAMPLES), "relation_counts": ("<i4", 3),
}  # fmt: skip


def save_graph(graph: WordGraph, path: str | Path) -> None:
    """Write a graph into one file, which appears whole or not at all.

    The same graph gives the same bytes.

    Raises
    ------
    StorageError
        If the file cannot be written; what stood there before stays.
    """
    advice = "Free some space, or choose a folder that you may write to."
    with (
        whole_file(Path(path), "The graph", advice=advice) as stream,
        zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive,
    ):
        _write(graph, archive)


def _write(graph: WordGraph, archive: zipfile.ZipFile) -> None:
    sets = []
    for number, one in enumerate(graph.edges):
        there = [name for name in _BY_EDGE if getattr(one, name) is not None]
        for name in there:
            _put_array(archive, f"edges/{number}/{name}.npy", getattr(one, name), _BY_EDGE[name][0])
        sets.append(
            {"type": one.type, "layer": one.layer, "edges": len(one), "relations": one.relations, "arrays": there}
        )
    _put_array(archive, "counts.npy", graph.counts, "<i8")
    lengths = np.array([len(nodes) for nodes in graph.sentence_nodes], dtype=np.int64)
    flat = np.concatenate([np.empty(0, dtype=np.int64), *graph.sentence_nodes])
    _put_array(archive, "sentences/lengths.npy", lengths, "<i8")
    _put_array(archive, "sentences/nodes.npy", flat, "<i4")
    _put_json(archive, "words.json", {"words": graph.words, "tags": graph.tags, "lemmas": graph.lemmas})
    _put_json(archive, "sentences/texts.json", graph.sentences)
    for layer, vectors in graph.vectors.items():
        _put_array(archive, f"vectors/{layer}.npy", vectors, "<f2")
    about = {
        "format": _FORMAT, "version": _VERSION, "words": len(graph), "sentences": len(graph.sentences),
        "layers": graph.layers, "widths": graph.widths, "vectors": list(graph.vectors), "edges": sets,
        "about": graph.about,
    }  # fmt: skip
    _put_json(archive, "graph.json", about)


def _put_json(archive: zipfile.ZipFile, name: str, value: Any) -> None:
    # halves of characters come from broken texts, and come back as they were
    text = json.dumps(value, ensure_ascii=False, default=_plain)
    archive.writestr(zipfile.ZipInfo(name), text.encode("utf-8", "surrogatepass"))


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be kept in a graph's file")


def _put_array(archive: zipfile.ZipFile, name: str, array: np.ndarray, dtype: str) -> None:
    with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as stream:
        np.lib.format.write_array(stream, np.ascontiguousarray(array, dtype=dtype), allow_pickle=False)


class StoredVectors(MutableMapping[int, np.ndarray]):
    """Layer → word vectors, read from the file when they are first asked for.

    Parameters
    ----------
    path
        The graph's file.
    shapes
        Layer → (words, width).
    stamp
        Size and time of change of the file when it was opened: vectors of another graph are never taken.
    """

    def __init__(self, path: Path, shapes: dict[int, tuple[int, int]], stamp: tuple[int, int]) -> None:
        self._path = path
        self._shapes = shapes
        self._stamp = stamp
        self._read: dict[int, np.ndarray] = {}

    def __getitem__(self, layer: int) -> np.ndarray:
        if layer not in self._read:
            if layer not in self._shapes:
                raise KeyError(layer)
            with Reader.open(self._path) as reader:
                if reader.stamp != self._stamp:
                    raise DataError(
                        "The graph's file has changed since it was opened.",
                        where=str(self._path),
                        advice="Open it again.",
                    )
                vectors = reader.array(f"vectors/{layer}.npy", "<f2", self._shapes[layer])
            if not bool(np.isfinite(vectors).all()):
                damaged(self._path, f"vectors of layer {layer} that are no numbers")
            self._read[layer] = vectors
        return self._read[layer]

    def __setitem__(self, layer: int, vectors: np.ndarray) -> None:
        self._shapes[layer] = (int(vectors.shape[0]), int(vectors.shape[1]))
        self._read[layer] = vectors

    def __delitem__(self, layer: int) -> None:
        del self._shapes[layer]
        self._read.pop(layer, None)

    def __iter__(self) -> Iterator[int]:
        return iter(self._shapes)

    def __len__(self) -> int:
        return len(self._shapes)


def load_graph(path: str | Path) -> WordGraph:
    """Read a graph that :func:`save_graph` wrote; its vectors are read when they are asked for.

    Raises
    ------
    DataError
        If the file is missing, cut, damaged, or not a graph; later, when vectors are asked for, if they are damaged or
        the file was replaced.
    """
    file = Path(path)
    with Reader.open(file) as reader:
        about = reader.json("graph.json", dict)
        if about.get("format") != _FORMAT:
            foreign(file)
        if about.get("version") != _VERSION:
            raise DataError(
                f"The graph's file has version {str(about.get('version'))[:20]}, which this Bertloom cannot read.",
                where=str(file),
                expected=f"version {_VERSION}",
                advice="Build the graph again.",
            )
        return _Loader(reader, about).graph()


class _Loader:
    """Reads the parts of a graph and checks that they fit together."""

    def __init__(self, reader: Reader, about: dict[str, Any]) -> None:
        self.reader = reader
        self.about = about
        self.words = self._number(about.get("words"), _MOST_WORDS)
        self.sentences = self._number(about.get("sentences"), 1 << 31)

    def graph(self) -> WordGraph:
        words = self.reader.json("words.json", dict)
        columns = [self._strings(words.get(name), self.words, name) for name in ("words", "tags", "lemmas")]
        if len(set(columns[0])) != self.words:
            self._bad("words that occur twice")
        counts = self.reader.array("counts.npy", "<i8", (self.words,))
        if self.words and int(counts.min()) < 0:
            self._bad("negative counts")
        texts = self._strings(self.reader.json("sentences/texts.json", list), self.sentences, "sentences")
        layers = self._numbers("layers")
        widths = self._numbers("widths")
        if len(layers) != len(widths) or layers != sorted(set(layers)):
            self._bad("layers and widths that do not fit together")
        edges = self.about.get("edges")
        if not isinstance(edges, list) or len(edges) > MEMBERS:
            self._bad("no list of edge sets")
        found = self.about.get("about")
        return WordGraph(
            words=columns[0], counts=counts, tags=columns[1], lemmas=columns[2], sentences=texts,
            sentence_nodes=self._sentence_nodes(), edges=[self._edge_set(n, one) for n, one in enumerate(edges)],
            layers=layers, widths=widths, vectors=self._vectors(layers, widths),
            about=found if isinstance(found, dict) else {},
        )  # fmt: skip

    def _vectors(self, layers: list[int], widths: list[int]) -> dict[int, np.ndarray]:
        width = dict(zip(layers, widths, strict=True))
        shapes: dict[int, tuple[int, int]] = {}
        for layer in self._numbers("vectors"):
            if layer not in width:
                self._bad(f"vectors of a layer {layer} that it does not list")
            shapes[layer] = (self.words, width[layer])
            self.reader.check(f"vectors/{layer}.npy", "<f2", shapes[layer])
        # what reads it needs nothing but a mapping
        return cast("dict[int, np.ndarray]", StoredVectors(self.reader.path, shapes, self.reader.stamp))

    def _sentence_nodes(self) -> list[np.ndarray]:
        lengths = self.reader.array("sentences/lengths.npy", "<i8", (self.sentences,))
        nodes = self.reader.array("sentences/nodes.npy", "<i4", (None,))
        if (self.sentences and int(lengths.min()) < 0) or float(lengths.sum(dtype=np.float64)) != len(nodes):
            self._bad("sentences whose lengths do not fit")
        self._in_range(nodes, 0, self.words, "words of sentences")
        return np.split(nodes, np.cumsum(lengths)[:-1]) if self.sentences else []

    def _edge_set(self, number: int, about: Any) -> EdgeSet:
        if not isinstance(about, dict) or about.get("type") not in EDGE_TYPES:
            self._bad("edges of an unknown type")
        name, layer = str(about["type"]), about.get("layer")
        if layer is not None:
            layer = self._number(layer, 10_000)
        size = self._number(about.get("edges"), 1 << 40)
        relations = about.get("relations")
        relations = self._strings(relations, len(relations) if isinstance(relations, list) else -1, "relations")
        there = about.get("arrays")
        if not isinstance(there, list) or not {"sources", "targets", "weights"} <= {str(item) for item in there}:
            self._bad(f"{name} edges without ends or weights")
        arrays: dict[str, np.ndarray] = {}
        for item, (dtype, columns) in _BY_EDGE.items():
            if item in there:
                rows = None if item == "relation_counts" else size
                shape = (rows,) if columns is None else (rows, columns)
                arrays[item] = self.reader.array(f"edges/{number}/{item}.npy", dtype, shape)
        self._check_edges(name, arrays, len(relations))
        return EdgeSet(name, layer=layer, relations=relations, **arrays)

    def _check_edges(self, name: str, arrays: dict[str, np.ndarray], relations: int) -> None:
        sources, targets, weights = arrays["sources"], arrays["targets"], arrays["weights"]
        for ends in (sources, targets):
            self._in_range(ends, 0, self.words, f"ends of {name} edges")
        key = sources.astype(np.int64) * max(self.words, 1) + targets
        if bool((np.diff(key) <= 0).any()) or bool((sources == targets).any()):
            self._bad(f"{name} edges that are not in order, occur twice or are loops")
        if not bool((np.isfinite(weights) & (weights >= 0)).all()):
            self._bad(f"{name} edges with weights that are negative or no numbers")
        if "examples" in arrays:
            self._in_range(arrays["examples"], -1, self.sentences, f"examples of {name} edges")
        if "counts" in arrays:
            self._in_range(arrays["counts"], 0, 1 << 31, f"counts of {name} edges")
        if "relation_counts" in arrays:
            entries = arrays["relation_counts"]
            self._in_range(entries[:, 0], 0, len(sources), f"relations of {name} edges")
            self._in_range(entries[:, 1], 0, relations, f"relations of {name} edges")
            if bool((np.diff(entries[:, 0]) < 0).any()):
                self._bad(f"relations of {name} edges that are not in order")

    def _in_range(self, values: np.ndarray, low: int, high: int, what: str) -> None:
        if values.size and (int(values.min()) < low or int(values.max()) >= high):
            self._bad(f"{what} that are out of range")

    def _number(self, value: Any, most: int) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            self._bad("a number that is missing or out of range")
        return int(value)

    def _numbers(self, name: str) -> list[int]:
        values = self.about.get(name)
        if not isinstance(values, list) or len(values) > MEMBERS:
            self._bad(f"no list of {name}")
        return [self._number(value, 1_000_000) for value in values]

    def _strings(self, values: Any, length: int, what: str) -> list[str]:
        if not isinstance(values, list) or len(values) != length or not all(isinstance(item, str) for item in values):
            self._bad(f"a list of {what} that does not fit")
        return list(values)

    def _bad(self, what: str) -> NoReturn:
        damaged(self.reader.path, what)
