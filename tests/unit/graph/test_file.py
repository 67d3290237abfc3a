"""A graph's file: exact, whole or not there, quick to open, and read with distrust."""

from __future__ import annotations

import io
import json
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import DataError, StorageError
from core.graph.file import load_graph, save_graph
from core.graph.types import EdgeSet, WordGraph
from tests.unit.graph.graphs import random_graph, small_graph


def assert_equal(one: WordGraph, other: WordGraph) -> None:
    for name in ("words", "tags", "lemmas", "sentences", "layers", "widths", "about"):
        assert getattr(one, name) == getattr(other, name), name
    np.testing.assert_array_equal(one.counts, other.counts)
    assert len(one.sentence_nodes) == len(other.sentence_nodes)
    for a, b in zip(one.sentence_nodes, other.sentence_nodes, strict=True):
        np.testing.assert_array_equal(a, b)
    assert list(one.vectors) == list(other.vectors)
    for layer, vectors in one.vectors.items():
        assert other.vectors[layer].dtype == np.float16
        np.testing.assert_array_equal(vectors, other.vectors[layer])
    assert len(one.edges) == len(other.edges)
    for left, right in zip(one.edges, other.edges, strict=True):
        assert (left.type, left.layer, left.relations) == (right.type, right.layer, right.relations)
        for name in ("sources", "targets", "weights", "counts", "examples", "relation_counts"):
            a, b = getattr(left, name), getattr(right, name)
            assert (a is None) == (b is None), name
            if a is not None:
                assert a.dtype == b.dtype
                np.testing.assert_array_equal(a, b)


def rewritten(path: Path, changes: dict[str, Any], *, packed: bool = False) -> Path:
    """Copy a graph's file with some members changed (None: left out; bytes; arrays; or JSON)."""
    target = path.with_name("changed.graph")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        names = [*old.namelist(), *(name for name in changes if name not in old.namelist())]
        for name in names:
            content = changes.get(name, ...)
            if content is ...:
                content = old.read(name)
            elif content is None:
                continue
            elif isinstance(content, np.ndarray):
                stream = io.BytesIO()
                np.save(stream, content, allow_pickle=True)
                content = stream.getvalue()
            elif not isinstance(content, bytes):
                content = json.dumps(content).encode()
            new.writestr(name, content, zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED)
    return target


def manifest(path: Path, **changes: Any) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        return {**json.loads(archive.read("graph.json")), **changes}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "small.graph"
    save_graph(small_graph(), path)
    return path


def test_a_graph_comes_back_as_it_was(file: Path) -> None:
    assert_equal(small_graph(), load_graph(file))


@given(
    words=st.lists(st.text(st.characters(exclude_categories=()), max_size=8), unique=True, min_size=1, max_size=6),
    text=st.text(st.characters(exclude_categories=()), max_size=20),
)
@settings(max_examples=40, deadline=None)
def test_any_words_come_back_even_halves_of_characters(
    words: list[str], text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    graph = WordGraph(
        words, np.ones(len(words), dtype=np.int64), [""] * len(words), words, [text], [np.zeros(1, dtype=np.int32)], []
    )
    path = tmp_path_factory.mktemp("words") / "any.graph"
    save_graph(graph, path)
    assert_equal(graph, load_graph(path))


def test_an_empty_graph_comes_back(tmp_path: Path) -> None:
    graph = WordGraph([], np.empty(0, dtype=np.int64), [], [], [], [], [EdgeSet.of("dep", [], [], [])])
    save_graph(graph, tmp_path / "empty.graph")
    assert_equal(graph, load_graph(tmp_path / "empty.graph"))


def test_the_same_graph_gives_the_same_bytes(file: Path, tmp_path: Path) -> None:
    save_graph(small_graph(), tmp_path / "again.graph")
    assert file.read_bytes() == (tmp_path / "again.graph").read_bytes()


def test_a_graph_of_30000_words_opens_within_a_second_without_its_vectors(tmp_path: Path) -> None:
    words = 30_000
    graph = random_graph(words, 200_000)
    graph.layers, graph.widths = [0, 1, 2], [384, 384, 384]
    graph.vectors = {layer: np.full((words, 384), 0.5, dtype=np.float16) for layer in range(3)}
    path = tmp_path / "large.graph"
    save_graph(graph, path)
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        loaded = load_graph(path)
        best = min(best, time.process_time() - start)
    assert best < 1
    assert loaded.vectors[2].shape == (words, 384)
    assert float(loaded.vectors[2].sum(dtype=np.float64)) == words * 192


def test_vectors_of_a_file_that_was_replaced_are_never_taken(file: Path) -> None:
    graph = load_graph(file)
    other = small_graph()
    other.words[0] = "a word of another length"
    save_graph(other, file)
    with pytest.raises(DataError, match="has changed since"):
        graph.vectors[0]


def test_a_graph_with_vectors_from_a_file_can_be_saved_again(file: Path, tmp_path: Path) -> None:
    save_graph(load_graph(file), file)
    assert_equal(small_graph(), load_graph(file))


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("core.graph.atomic.os.fsync", full)
    other = small_graph(about={"another": 1})
    with pytest.raises(StorageError, match="No space left"):
        save_graph(other, file)
    assert [entry.name for entry in file.parent.iterdir()] == [file.name]
    assert_equal(small_graph(), load_graph(file))


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such graph file.*graph build"):
        load_graph(tmp_path / "none.graph")


def test_a_folder_is_no_graph(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=str(tmp_path)):
        load_graph(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_cut_file_is_refused(file: Path, share: float) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match="cut, damaged") as caught:
        load_graph(file)
    assert caught.value.where == str(file)
    assert caught.value.advice


def test_flipped_bytes_are_found_or_harmless_and_never_another_kind_of_error(file: Path) -> None:
    content = bytearray(file.read_bytes())
    generator = np.random.default_rng(3)
    refused = 0
    for place in generator.integers(0, len(content), 300):
        changed = bytearray(content)
        changed[place] ^= 0xFF
        file.write_bytes(changed)
        try:
            graph = load_graph(file)
            for layer in graph.vectors:
                graph.vectors[layer]
        except DataError:
            refused += 1
    assert refused > 200  # names, dates and flags of the archive are not what the graph consists of


@pytest.mark.parametrize("content", [b"", b"word,count\nthe,3\n", b"\x80\x04\x95pickle", b"PK\x05\x06" + b"\0" * 18])
def test_a_foreign_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "foreign.graph").write_bytes(content)
    with pytest.raises(DataError, match=r"not a word graph|something else"):
        load_graph(tmp_path / "foreign.graph")


def test_another_zip_is_refused_as_foreign(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "other.graph", "w") as archive:
        archive.writestr("../../etc/passwd", "x")
        archive.writestr("graph.json", '{"format": "else"}')
    with pytest.raises(DataError, match="not a word graph"):
        load_graph(tmp_path / "other.graph")
    assert [entry.name for entry in tmp_path.iterdir()] == ["other.graph"]


def test_a_zip_bomb_is_refused_before_it_is_unpacked(file: Path) -> None:
    bomb = rewritten(file, {"words.json": b" " * 50_000_000 + b"{}"}, packed=True)
    assert bomb.stat().st_size < 100_000
    with pytest.raises(DataError, match="not a word graph"):
        load_graph(bomb)


def test_a_version_of_the_future_is_refused_by_name(file: Path) -> None:
    with pytest.raises(DataError, match="version 9"):
        load_graph(rewritten(file, {"graph.json": manifest(file, version=9)}))


def test_objects_are_never_unpickled(file: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (pytest.fail, ("unpickled",))

    with pytest.raises(DataError, match=r"counts\.npy"):
        load_graph(rewritten(file, {"counts.npy": np.array([Trap()] * 8, dtype=object)}))


def test_a_header_that_promises_more_than_there_is_is_refused(file: Path) -> None:
    stream = io.BytesIO()
    header = {"descr": "<f2", "fortran_order": False, "shape": (8, 10**12)}
    np.lib.format.write_array_header_1_0(stream, header)  # type: ignore[arg-type]
    changed = rewritten(file, {"vectors/0.npy": stream.getvalue(), "graph.json": manifest(file, widths=[10**6, 6])})
    with pytest.raises(DataError, match="another type or shape"):
        load_graph(changed)


@pytest.mark.parametrize(
    ("member", "content", "message"),
    [
        ("words.json", {"words": ["a"] * 8, "tags": [""] * 8, "lemmas": [""] * 8}, "occur twice"),
        ("words.json", {"words": ["a"], "tags": [""], "lemmas": [""]}, "does not fit"),
        ("words.json", {"words": list(range(8)), "tags": [""] * 8, "lemmas": [""] * 8}, "does not fit"),
        ("words.json", b"[" * 100_000, "not JSON"),
        ("words.json", None, "no part"),
        ("counts.npy", np.arange(7), "type or shape"),
        ("counts.npy", np.full(8, -1), "negative counts"),
        ("counts.npy", np.ones(8), "type or shape"),
        ("sentences/lengths.npy", np.array([4, 4, 5]), "lengths do not fit"),
        ("sentences/lengths.npy", np.array([-4, 12, 4]), "lengths do not fit"),
        ("sentences/nodes.npy", np.full(12, 8, dtype=np.int32), "out of range"),
        ("edges/0/sources.npy", np.array([1, 1, 4, 4, 6, 8], dtype=np.int32), "out of range"),
        ("edges/0/targets.npy", np.array([0, 3, 0, 5, 0, -7], dtype=np.int32), "out of range"),
        ("edges/0/sources.npy", np.array([6, 1, 1, 4, 4, 6], dtype=np.int32), "not in order"),
        ("edges/0/targets.npy", np.array([1, 3, 0, 5, 0, 7], dtype=np.int32), "loops"),
        ("edges/0/weights.npy", np.full(6, np.nan, dtype=np.float32), "no numbers"),
        ("edges/0/weights.npy", np.full(6, -1, dtype=np.float32), "negative"),
        ("edges/0/examples.npy", np.full((6, 3), 3, dtype=np.int32), "examples of dep"),
        ("edges/0/examples.npy", np.full((6, 2), 0, dtype=np.int32), "type or shape"),
        ("edges/0/relation_counts.npy", np.array([[6, 0, 1]], dtype=np.int32), "relations of dep"),
        ("edges/0/relation_counts.npy", np.array([[0, 2, 1]], dtype=np.int32), "relations of dep"),
        ("vectors/0.npy", np.zeros((8, 4), dtype=np.float32), "type or shape"),
        ("vectors/1.npy", None, "no part"),
    ],
)
def test_parts_that_do_not_fit_are_refused_with_what_is_wrong(
    file: Path, member: str, content: Any, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        load_graph(rewritten(file, {member: content}))


@pytest.mark.parametrize(
    "changes",
    [
        {"words": -1}, {"words": "8"}, {"words": 10**12}, {"layers": [1, 0]}, {"layers": [0]}, {"vectors": [5]},
        {"edges": None}, {"edges": [{"type": "evil", "arrays": []}]}, {"edges": [{"type": "dep", "edges": 0}]},
        {"sentences": 2}, {"edges": [[]]},
    ],
)  # fmt: skip
def test_a_manifest_that_does_not_fit_is_refused(file: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="damaged"):
        load_graph(rewritten(file, {"graph.json": manifest(file, **changes)}))


def test_vectors_that_are_no_numbers_are_refused_when_they_are_asked_for(file: Path) -> None:
    graph = load_graph(rewritten(file, {"vectors/1.npy": np.full((8, 6), np.nan, dtype=np.float16)}))
    assert graph.vectors[0].shape == (8, 4)
    with pytest.raises(DataError, match="layer 1"):
        graph.vectors[1]
