"""Drawing texts evenly from a stream."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.graph.corpus.draw import draw
from core.graph.corpus.text import Text


def stream(size: int, length: int = 5) -> Iterator[Text]:
    return (Text(row, 0, "x" * length) for row in range(1, size + 1))


@given(st.integers(0, 300), st.integers(1, 100), st.integers(0, 5))
def test_as_many_as_asked_for_each_once(size: int, most: int, seed: int) -> None:
    drawn = draw(stream(size), most, seed)
    rows = [text.row for text in drawn.texts]
    assert len(rows) == len(set(rows)) == min(size, most)
    assert drawn.seen == size
    assert drawn.complete == (size <= most)


def test_every_text_is_as_likely_as_any_other() -> None:
    rounds, size, most = 2000, 40, 10
    counts = Counter(text.row for seed in range(rounds) for text in draw(stream(size), most, seed).texts)
    expected = rounds * most / size
    # Chi-square over 40 cells: 74 is exceeded once in a thousand times; the seeds are fixed.
    assert sum((counts[row] - expected) ** 2 / expected for row in range(1, size + 1)) < 74


def test_any_start_of_the_list_is_an_even_draw_as_well() -> None:
    first = Counter(draw(stream(4), 4, seed).texts[0].row for seed in range(2000))
    assert all(400 < first[row] < 600 for row in range(1, 5))


def test_the_same_seed_draws_the_same() -> None:
    assert draw(stream(100), 10, 3).texts == draw(stream(100), 10, 3).texts
    assert draw(stream(100), 10, 3).texts != draw(stream(100), 10, 4).texts


def test_what_outgrows_the_budget_is_an_even_draw_of_fewer() -> None:
    most = Counter()
    for seed in range(1000):
        drawn = draw(stream(20, length=100), 20, seed, budget=500)
        assert sum(text.size for text in drawn.texts) <= 500
        assert len(drawn.texts) == 5
        assert not drawn.complete
        most.update(text.row for text in drawn.texts)
    assert all(180 < most[row] < 320 for row in range(1, 21))


def test_one_text_is_kept_however_long_it_is() -> None:
    assert len(draw(stream(3, length=100), 5, 0, budget=10).texts) == 1


def test_a_million_texts_are_streamed_and_can_be_stopped() -> None:
    class Stop(Exception):
        pass

    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise Stop

    with pytest.raises(Stop):
        draw(stream(1_000_000), 10, 0, check=check)
    assert calls == 3
