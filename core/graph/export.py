"""Graphs for other programs: GraphML, GEXF, node-link JSON, and CSV, by way of networkx.

Nodes are numbered; the word is an attribute, so that no two words are ever taken for one. What a format cannot hold is
written visibly and told: XML and tables have no control characters and no halves of characters, which become ``\\x07``
or ``\\ud800``. In CSV a cell that a spreadsheet would take for a formula (it begins with ``=``, ``+``, ``-`` or ``@``)
gets an apostrophe before it, and so does one that begins with an apostrophe: reading takes one off.
"""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import numpy as np

from core.errors import ConfigError, ExportError
from core.graph.atomic import whole_file
from core.graph.types import EdgeSet, WordGraph

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["FORMATS", "export_graph", "guarded", "to_networkx", "unguarded"]

Format = Literal["graphml", "gexf", "json", "csv"]
FORMATS: tuple[Format, ...] = ("graphml", "gexf", "json", "csv")
#: Control characters, halves of characters and non-characters, none of which XML 1.0 can hold as they are.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_FORMULA = "=+-@'"
_MANY = 2_000_000


def to_networkx(
    graph: WordGraph, layer: int | Literal["all"] | None = None, *, escape: bool = False
) -> nx.MultiDiGraph:
    """Return a graph as a networkx.MultiDiGraph.

    Parameters
    ----------
    graph
        The word graph.
    layer
        Layer whose edges are taken beside those of no layer; None: the middle one; ``all``: those of every layer.
    escape
        Spell what XML and tables cannot hold.

    Returns
    -------
    networkx.MultiDiGraph
        Nodes 0 … n − 1 with ``label`` (the word), ``count``, ``tag``, ``lemma``; edges with the key ``type`` or
        ``type@layer`` and ``type``, ``weight``, and where they have them ``layer``, ``count`` and ``relations``
        (``amod:3;nsubj:1``).
    """
    import networkx as nx

    spell = _spelled if escape else _same
    found = nx.MultiDiGraph()
    for node, word in enumerate(graph.words):
        found.add_node(
            node, label=spell(word), count=int(graph.counts[node]), tag=spell(graph.tags[node]),
            lemma=spell(graph.lemmas[node]),
        )  # fmt: skip
    for one in _sets(graph, layer):
        key = one.type if one.layer is None else f"{one.type}@{one.layer}"
        found.add_edges_from((source, target, key, values) for source, target, values in _edges(one, spell))
    return found


def export_graph(
    graph: WordGraph, path: str | Path, format: str, *, layer: int | Literal["all"] | None = None
) -> list[str]:
    """Write a graph for another program; the file appears whole or not at all.

    Parameters
    ----------
    graph
        The word graph.
    path
        The file.
    format
        One of :data:`FORMATS`. ``csv`` writes a table of the edges, or, to a file that ends in ``.zip``, ``nodes.csv``
        and ``edges.csv``.
    layer
        See :func:`to_networkx`.

    Returns
    -------
    list of str
        What a person should know: signs that were spelled, cells that were guarded, which layer it is.

    Raises
    ------
    ConfigError
        If there is no such format or layer.
    ExportError
        If the file cannot be written, or the graph is too large for it.
    """
    if format not in FORMATS:
        raise ConfigError(f"There is no export format {format[:40]!r}.", expected=", ".join((*FORMATS, "html")))
    if layer not in (None, "all") and layer not in graph.layers:
        held = ", ".join(map(str, graph.layers))
        raise ConfigError(f"This graph has no layer {layer}.", where="layer", expected=held or "a graph with layers")
    edges = sum(len(one) for one in _sets(graph, layer))
    if format != "csv" and edges > _MANY:
        raise ExportError(
            f"The graph has {edges:,} edges, too many for {format}.",
            where=str(path),
            expected=f"at most {_MANY:,}",
            advice="Export one layer, or CSV.",
        )
    notices = []
    if layer is None and graph.layers and any(one.layer is not None for one in graph.edges):
        notices.append(f"Edges of layer {graph.middle}, the middle one, beside those of no layer.")
    spelled = sum(bool(_UNPRINTABLE.search(word)) for word in graph.words)
    if spelled and format != "json":
        notices.append(
            f"{spelled:,} words hold control characters or halves of characters, which this format cannot: they are "
            "spelled, for example \\x07."
        )
    if format == "csv" and Path(path).suffix != ".zip":
        notices.append("A table of the edges; a file that ends in .zip also gets a table of the words.")
    if format == "csv" and any(word.startswith(tuple(_FORMULA)) for word in graph.words):
        notices.append(
            "Cells that begin with =, +, -, @ or ' have an apostrophe before them, so that no spreadsheet takes them "
            "for formulas."
        )
    write: Callable[[BinaryIO], None] = {
        "graphml": lambda stream: _graphml(graph, layer, stream), "gexf": lambda stream: _gexf(graph, layer, stream),
        "json": lambda stream: _json(graph, layer, stream),
        "csv": lambda stream: (_zip if Path(path).suffix == ".zip" else _table)(graph, layer, stream),
    }[format]  # fmt: skip
    advice = "Choose a folder that exists and that you may write to, or free some space."
    with whole_file(Path(path), "The file", advice=advice, error=ExportError) as stream:
        write(stream)
    return notices


def guarded(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.startswith(tuple(_FORMULA)) else cell


def unguarded(cell: str) -> str:
    """Return what :func:`guarded` was given."""
    return cell[1:] if cell.startswith("'") else cell


def _graphml(graph: WordGraph, layer: Any, stream: Any) -> None:
    import networkx as nx

    found = to_networkx(graph, layer, escape=True)
    # GraphML's edge ids belong to the whole file, networkx' keys to a pair: the key is told by type and layer
    numbered = nx.MultiDiGraph()
    numbered.add_nodes_from(found.nodes(data=True))
    numbered.add_edges_from(
        (source, target, f"e{number}", values) for number, (source, target, values) in enumerate(found.edges(data=True))
    )
    nx.write_graphml_xml(numbered, stream, encoding="utf-8", named_key_ids=True)


def _gexf(graph: WordGraph, layer: Any, stream: Any) -> None:
    import networkx as nx

    found = to_networkx(graph, layer, escape=True)
    numbered = nx.MultiDiGraph()
    numbered.add_nodes_from(found.nodes(data=True))
    # GEXF knows a "type" of its own (directed or not)
    numbered.add_edges_from(
        (source, target, number, {"edge_type" if name == "type" else name: value for name, value in values.items()})
        for number, (source, target, values) in enumerate(found.edges(data=True))
    )
    nx.write_gexf(numbered, stream, encoding="utf-8")


def _json(graph: WordGraph, layer: Any, stream: Any) -> None:
    import networkx as nx

    value = nx.node_link_data(to_networkx(graph, layer), edges="edges")
    # escapes keep halves of characters, which no encoding of the file could hold
    stream.write(json.dumps(value, ensure_ascii=True, allow_nan=False).encode("ascii"))


_HEADS = {
    "nodes.csv": ["id", "word", "count", "tag", "lemma"],
    "edges.csv": ["source", "target", "from", "to", "type", "layer", "weight", "count", "relations"],
}


def _node_rows(graph: WordGraph) -> Iterator[list[Any]]:
    for node, word in enumerate(graph.words):
        texts = [guarded(_spelled(text)) for text in (word, graph.tags[node], graph.lemmas[node])]
        yield [node, texts[0], int(graph.counts[node]), *texts[1:]]


def _edge_rows(graph: WordGraph, layer: Any) -> Iterator[list[Any]]:
    for one in _sets(graph, layer):
        for source, target, values in _edges(one, _spelled):
            ends = [source, target, guarded(_spelled(graph.words[source])), guarded(_spelled(graph.words[target]))]
            rest = [values.get(name, "") for name in ("type", "layer", "weight", "count", "relations")]
            yield [*ends, *rest[:-1], guarded(rest[-1])]


def _rows(stream: Any, head: list[str], rows: Iterator[list[Any]]) -> None:
    text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
    writer = csv.writer(text)
    writer.writerow(head)
    writer.writerows(rows)
    text.flush()
    text.detach()


def _table(graph: WordGraph, layer: Any, stream: Any) -> None:
    _rows(stream, _HEADS["edges.csv"], _edge_rows(graph, layer))


def _zip(graph: WordGraph, layer: Any, stream: Any) -> None:
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, rows in (("nodes.csv", _node_rows(graph)), ("edges.csv", _edge_rows(graph, layer))):
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w", force_zip64=True) as member:
                _rows(member, _HEADS[name], rows)


def _sets(graph: WordGraph, layer: int | str | None) -> list[EdgeSet]:
    if layer == "all":
        return list(graph.edges)
    return graph.edge_sets(graph.middle if layer is None else int(layer))


def _edges(one: EdgeSet, spell: Callable[[str], str]) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Yield source, target and attributes of every edge; weights as the shortest decimal of their float32."""
    for edge in range(len(one)):
        values: dict[str, Any] = {"type": one.type, "weight": float(np.format_float_positional(one.weights[edge]))}
        if one.layer is not None:
            values["layer"] = one.layer
        if one.counts is not None:
            values["count"] = int(one.counts[edge])
        relations = one.relations_of(edge)
        if relations:
            values["relations"] = ";".join(f"{spell(name)}:{count}" for name, count in relations.items())
        yield int(one.sources[edge]), int(one.targets[edge]), values


def _spelled(text: str) -> str:
    return _UNPRINTABLE.sub(lambda match: ascii(match[0])[1:-1], text)


def _same(text: str) -> str:
    return text
