from __future__ import annotations

import math
import random

import numpy as np
import pytest

from core.runs.control import Control
from core.runs.line import Batch, StoreLine
from core.runs.points import Point
from core.runs.reduce import Curve, coarsen, reduce
from core.runs.store import Store
from tests.unit.runs.work import plan_of


def curve_of(values: list[float]) -> Curve:
    return Curve.of(range(1, len(values) + 1), values, [float(step) for step in range(len(values))])


def wave(count: int, seed: int = 1) -> list[float]:
    source = random.Random(seed)
    return [math.exp(-step / count) + source.gauss(0, 0.02) for step in range(count)]


@pytest.mark.parametrize("count", [1001, 5000, 100_000])
def test_reduced_series_keep_spikes_ends_and_gaps(count: int) -> None:
    values = wave(count)
    spike, dip, gap = count // 3, count // 2 + 1, count // 5
    values[spike], values[dip], values[gap] = 50.0, -50.0, math.nan
    small = reduce(curve_of(values), 1000)
    assert len(small) <= 1000
    assert small.steps[0] == 1
    assert small.steps[-1] == count
    assert {spike + 1, dip + 1, gap + 1} <= set(small.steps.tolist())
    assert (np.diff(small.steps) > 0).all()
    index = {step: position for position, step in enumerate(curve_of(values).steps.tolist())}
    for step, value in zip(small.steps.tolist(), small.values.tolist(), strict=True):
        assert value == values[index[step]] or math.isnan(value)


def test_series_without_a_finite_value_are_reduced_too() -> None:
    assert 8 <= len(reduce(curve_of([math.nan] * 5000), 1000)) <= 1000
    mixed = reduce(curve_of([math.nan, math.inf] * 2500), 1000)
    assert len(mixed) <= 1000
    assert len(reduce(curve_of([1.0] * 3), 1000)) == 3


def test_coarsening_again_and_again_keeps_every_spike() -> None:
    curve = curve_of([])
    for block in range(10):
        values = wave(2000, block)
        values[700] = 10.0 + block
        part = Curve.of(range(block * 2000, block * 2000 + 2000), values, [0.0] * 2000)
        curve = coarsen(curve.join(part) if len(curve) else part, 400)
    assert len(curve) <= 400
    assert {block * 2000 + 700 for block in range(10)} <= set(curve.steps.tolist())
    assert Curve.from_bytes(curve.to_bytes()).lists() == curve.lists()


def test_curves_of_equal_steps_keep_the_last() -> None:
    made = Curve.of([3, 1, 2, 1], [3.0, 1.0, 2.0, 1.5], [0.0] * 4)
    assert made.lists()["values"] == [1.5, 2.0, 3.0]


def fill(store: Store, steps: int, names: int = 10) -> tuple[str, StoreLine]:
    run = Control(store).submit(plan_of(), now=True)
    claim = store.claims.claim("manager")
    assert claim is not None
    line = StoreLine(store, claim)
    values = wave(steps)
    for start in range(0, steps, 500):
        points: list[Point] = [
            (f"s/{name}", step, values[step - 1] + name, 1e9 + step)
            for step in range(start + 1, min(start + 500, steps) + 1)
            for name in range(names)
        ]
        line.write(Batch(points))
        line.settle()
    return run, line


def test_a_long_run_is_read_as_fast_as_a_short_one(store: Store) -> None:
    short, _ = fill(store, 1000, 5)
    long, line = fill(store, 20_000, 5)

    def operations(run: str) -> int:
        """Count the instructions of SQLite while a run is read."""
        done = 0

        def count() -> None:
            nonlocal done
            done += 1

        with store.points._db.connection() as connection:  # the one that the next to ask is lent
            connection.set_progress_handler(count, 1)
        assert len(store.points.series(run).series) == 5
        with store.points._db.connection() as connection:
            connection.set_progress_handler(None, 1)
        return done

    few, many = operations(short), operations(long)
    # 20 times the points: without the coarse copy it is some 20 times the work
    assert 0 < many < 2 * few, (few, many)
    batch = store.points.series(long)
    assert batch.reduced
    assert batch.cursor == 100_000
    series = batch.series["s/3"]
    assert len(series["steps"]) <= 1000
    assert (series["steps"][0], series["steps"][-1]) == (1, 20_000)
    values = [value + 3 for value in wave(20_000)]
    assert (min(series["values"]), max(series["values"])) == (min(values), max(values))
    line.write(Batch([("s/3", 20_001, 0.5, 0.0)]))
    after = store.points.series(long, after=batch.cursor)
    assert after.series == {"s/3": {"steps": [20_001], "values": [0.5], "times": [0.0]}}
    assert len(store.points.series(long, names=["s/1"], max_points=None).series["s/1"]["steps"]) == 20_000


def test_the_coarse_copy_follows_points_that_were_replaced(store: Store) -> None:
    run, line = fill(store, 4000, 5)
    line.write(Batch([("s/2", 100, 99.0, 0.0)]))
    assert 99.0 in store.points.series(run).series["s/2"]["values"]
    line.write(Batch([("s/2", 100, 99.0, 0.0)]))  # the same again changes nothing
    for step in range(4001, 6001):
        line.write(Batch([(f"s/{name}", step, 1.0, 0.0) for name in range(5)])) if step % 500 == 0 else None
    line._written = 10**6
    line.settle()
    assert 99.0 in store.points.series(run).series["s/2"]["values"]
    with store.db.connection() as connection:
        assert connection.execute("select count(*) from coarse").fetchone()[0] == 5
