from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.data.tasks.windows import plan_windows, window_of

SIZES = st.integers(1, 300).flatmap(
    lambda length: st.integers(1, 40).flatmap(
        lambda capacity: st.tuples(st.just(length), st.just(capacity), st.integers(0, capacity - 1))
    )
)


@given(SIZES)
def test_windows_cover_everything_in_order(sizes: tuple[int, int, int]) -> None:
    length, capacity, stride = sizes
    windows = plan_windows(length, capacity, stride)
    assert windows[0][0] == 0
    assert windows[-1][1] == length
    assert all(0 < end - start <= capacity for start, end in windows)
    assert set().union(*(range(start, end) for start, end in windows)) == set(range(length))
    assert [start for start, _ in windows] == sorted({start for start, _ in windows})


@given(SIZES)
def test_neighbours_share_the_stride_and_are_full(sizes: tuple[int, int, int]) -> None:
    length, capacity, stride = sizes
    windows = plan_windows(length, capacity, stride)
    if len(windows) > 1:
        assert all(end - start == capacity for start, end in windows)
    for (_, end), (start, _) in itertools.pairwise(windows):
        assert end - start >= min(stride, capacity - 1)


@given(SIZES)
def test_each_position_is_answered_where_it_has_most_context(sizes: tuple[int, int, int]) -> None:
    length, capacity, stride = sizes
    windows = plan_windows(length, capacity, stride)
    answering = window_of(np.arange(length), windows)

    def context(position: int, window: tuple[int, int]) -> float:
        start, end = window
        if not start <= position < end:
            return -1.0
        left = np.inf if start == 0 else position - start
        right = np.inf if end == length else end - 1 - position
        return float(min(left, right))

    for position in range(length):
        contexts = [context(position, window) for window in windows]
        assert contexts[answering[position]] == max(contexts) >= 0


def test_a_text_that_fits_has_one_window() -> None:
    assert plan_windows(10, 10, 3) == [(0, 10)]
    assert plan_windows(0, 10, 3) == [(0, 0)]
    assert plan_windows(11, 10, 3) == [(0, 10), (1, 11)]
