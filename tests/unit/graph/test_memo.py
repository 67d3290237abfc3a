"""What was derived from a graph is made once, also when several ask at once, and forgotten with it."""

from __future__ import annotations

import gc
import threading
import time

import pytest

from core.graph.memo import Memo
from tests.unit.graph.graphs import random_graph


def test_what_several_ask_for_at_once_is_made_once() -> None:
    graph, memo, made = random_graph(10, 20, seed=1), Memo(10), []

    def make() -> list[int]:
        made.append(1)
        time.sleep(0.1)
        return made

    found: list[list[int]] = []
    threads = [threading.Thread(target=lambda: found.append(memo.get(graph, "key", make))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(made) == 1
    assert len(found) == 5


def test_what_failed_is_tried_again() -> None:
    graph, memo = random_graph(10, 20, seed=1), Memo(10)
    with pytest.raises(ZeroDivisionError):
        memo.get(graph, "key", lambda: 1 / 0)
    assert memo.get(graph, "key", lambda: 3) == 3


def test_the_oldest_make_room_but_the_last_one_always_stays() -> None:
    graph, memo = random_graph(10, 20, seed=1), Memo(3, len)
    for key in "abc":
        memo.get(graph, key, lambda: [1, 2])
    assert memo.get(graph, "c", list) == [1, 2]
    assert memo.get(graph, "a", list) == []
    assert memo.get(graph, "long", lambda: [0] * 9) == memo.get(graph, "long", list) == [0] * 9


def test_with_the_graph_everything_goes() -> None:
    graph, memo = random_graph(10, 20, seed=1), Memo(10)
    memo.get(graph, "key", lambda: 1)
    del graph
    gc.collect()
    assert not memo._kept
