"""Metric points: written in batches, read after a cursor, reduced for drawing."""

from __future__ import annotations

import math
import sqlite3
import threading
from collections.abc import Iterator, Sequence

from core.runs.database import Database, number_of
from core.runs.records import SeriesBatch
from core.runs.reduce import Curve, coarsen, reduce

__all__ = ["Point", "PointTable"]

#: series, step, value, time (seconds since the epoch)
Point = tuple[str, int, float, float]

_MARKERS = {1: math.nan, 2: math.inf, 3: -math.inf}
#: Points of a series in its coarse copy, and points of a run (all series) after which the copy is renewed.
_COARSE_POINTS = 4000
_COARSE_EVERY = 8000


class PointTable:
    """The points of all runs."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._ids: dict[str, int] = {}
        self._lock = threading.Lock()

    def write(self, connection: sqlite3.Connection, run: int, points: Sequence[Point]) -> int:
        """Write points inside a transaction and return the run's new cursor.

        A step that is written again with another value is replaced and gets a new place in the order of reading; with
        the same value nothing changes (a resumed run repeats some steps exactly).

        Parameters
        ----------
        connection
            A connection inside a transaction that has checked the owner's token.
        run
            Number (not id) of the run.
        points
            (series, step, value, time) each.
        """
        seq = self._cursor(connection, run)
        coarse = dict(connection.execute("select series, last_step from coarse where run = ?", (run,)).fetchall())
        fresh, repeated = list[tuple[object, ...]](), list[tuple[object, ...]]()
        numbers = {name: self._id(connection, name) for name in {point[0] for point in points}}
        for name, step, value, moment in points:
            seq += 1
            series = numbers[name]
            row = (run, seq, series, step, *_marked(value), moment)
            (repeated if step <= coarse.get(series, -1) else fresh).append(row)
        connection.executemany(_UPSERT, fresh)
        if repeated and connection.executemany(_UPSERT, repeated).rowcount > 0:
            connection.execute("delete from coarse where run = ?", (run,))
        return seq

    def settle(self, run: int) -> bool:
        """Renew the coarse copy of a run's series when many points were added since; returns whether it was."""
        with self._db.connection() as connection:
            upto = connection.execute("select coalesce(max(upto), 0) from coarse where run = ?", (run,)).fetchone()[0]
            newest = self._cursor(connection, run)
            if newest - upto < _COARSE_EVERY:
                return False
            curves = self._coarse(connection, run)
            for series, tail in self._tails(connection, run, upto, newest).items():
                curves[series] = coarsen(curves[series].join(tail) if series in curves else tail, _COARSE_POINTS)
        with self._db.transaction() as connection:
            # somebody may have replaced points meanwhile and dropped the copy: then it is made anew the next time
            now = connection.execute("select coalesce(max(upto), 0) from coarse where run = ?", (run,)).fetchone()[0]
            if now != upto or not connection.execute("select 1 from runs where no = ?", (run,)).fetchone():
                return False
            connection.executemany(
                "insert or replace into coarse (run, series, upto, last_step, data) values (?, ?, ?, ?, ?)",
                [
                    (run, series, newest, int(curve.steps[-1]), sqlite3.Binary(curve.to_bytes()))
                    for series, curve in curves.items()
                ],
            )
        return True

    def names(self, run_id: str) -> list[str]:
        """Return the names of a run's series, sorted."""
        with self._db.connection() as connection:
            run = number_of(connection, run_id)
            # one seek a series instead of a walk over all points
            rows = connection.execute(
                "select name from series where exists (select 1 from points where run = ? and points.series = "
                "series.id)"
                " order by name",
                (run,),
            ).fetchall()
        return [row["name"] for row in rows]

    def series(
        self, run_id: str, *, after: int = 0, names: Sequence[str] | None = None, max_points: int | None = 1000
    ) -> SeriesBatch:
        """Return the points after a cursor; see :meth:`core.runs.desk.RunDesk.series`."""
        with self._db.connection() as connection:
            connection.execute("begin")  # one moment's view of cursor and points
            run = number_of(connection, run_id)
            cursor = self._cursor(connection, run)
            wanted = self._wanted(connection, names)
            curves: dict[int, Curve] = {}
            start = after
            if after <= 0 and max_points is not None:
                curves = self._coarse(connection, run)
                start = connection.execute(
                    "select coalesce(max(upto), 0) from coarse where run = ?", (run,)
                ).fetchone()[0]
            coarse = bool(curves)
            for series, tail in self._tails(connection, run, start, cursor).items():
                curves[series] = curves[series].join(tail) if series in curves else tail
            connection.execute("commit")
        reduced = coarse
        found = {}
        for series, name in sorted(wanted.items(), key=lambda item: item[1]):
            curve = curves.get(series)
            if curve is None:
                continue
            if max_points is not None and len(curve) > max_points:
                curve, reduced = reduce(curve, max_points), True
            found[name] = curve.lists()
        return SeriesBatch(cursor=max(cursor, after), series=found, reduced=reduced)

    def rows(self, run_id: str) -> Iterator[tuple[str, int, float, float]]:
        """Yield all points of a run as (series, step, value, time), by series and step, NaN and infinities too."""
        with self._db.connection() as connection:
            run = number_of(connection, run_id)
            for name, step, value, marker, moment in connection.execute(
                "select name, step, value, marker, time from points join series on series.id = points.series"
                " where run = ? order by name, step",
                (run,),
            ):
                yield name, step, _MARKERS.get(marker, value), moment

    def _cursor(self, connection: sqlite3.Connection, run: int) -> int:
        return int(connection.execute("select coalesce(max(seq), 0) from points where run = ?", (run,)).fetchone()[0])

    def _id(self, connection: sqlite3.Connection, name: str) -> int:
        with self._lock:
            known = self._ids.get(name)
        if known is not None:
            return known
        row = connection.execute("select id from series where name = ?", (name,)).fetchone()
        if row is None:
            # not remembered yet: the transaction may still be rolled back; the next batch finds it
            return int(connection.execute("insert into series (name) values (?) returning id", (name,)).fetchone()[0])
        with self._lock:
            self._ids[name] = int(row[0])
        return int(row[0])

    def _wanted(self, connection: sqlite3.Connection, names: Sequence[str] | None) -> dict[int, str]:
        known = {int(row["id"]): str(row["name"]) for row in connection.execute("select id, name from series")}
        with self._lock:
            self._ids.update({name: number for number, name in known.items()})
        return known if names is None else {number: name for number, name in known.items() if name in set(names)}

    def _coarse(self, connection: sqlite3.Connection, run: int) -> dict[int, Curve]:
        rows = connection.execute("select series, data from coarse where run = ?", (run,)).fetchall()
        return {row["series"]: Curve.from_bytes(row["data"]) for row in rows}

    def _tails(self, connection: sqlite3.Connection, run: int, after: int, upto: int) -> dict[int, Curve]:
        rows = connection.execute(
            "select series, step, value, marker, time from points where run = ? and seq > ? and seq <= ?",
            (run, after, upto),
        ).fetchall()
        lists: dict[int, tuple[list[int], list[float], list[float]]] = {}
        for series, step, value, marker, moment in rows:
            steps, values, times = lists.setdefault(series, ([], [], []))
            steps.append(step)
            values.append(_MARKERS.get(marker, value))
            times.append(moment)
        return {series: Curve.of(*columns) for series, columns in lists.items()}


_UPSERT = (
    "insert into points (run, seq, series, step, value, marker, time) values (?, ?, ?, ?, ?, ?, ?)"
    " on conflict (run, series, step) do update set seq = excluded.seq, value = excluded.value, marker = "
    "excluded.marker,"
    " time = excluded.time where value is not excluded.value or marker is not excluded.marker"
)


def _marked(value: float) -> tuple[float | None, int]:
    number = float(value)
    if math.isfinite(number):
        return number, 0
    return None, 1 if math.isnan(number) else (2 if number > 0 else 3)
