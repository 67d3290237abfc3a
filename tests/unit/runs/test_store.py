from __future__ import annotations

import math
import sqlite3
import threading
from pathlib import Path

import pytest

from core.errors import RunError, RunNotFound, StorageError
from core.runs.claims import OwnershipLost
from core.runs.control import Control
from core.runs.database import SCHEMA_VERSION, Database
from core.runs.events import NewEvent
from core.runs.line import Batch, StoreLine
from core.runs.points import Point
from core.runs.records import Status
from core.runs.store import Store
from core.settings import Home
from tests.unit.runs.work import plan_of


def start(store: Store, **changes: object) -> StoreLine:
    Control(store).submit(plan_of(**changes))  # type: ignore[arg-type]
    return claim(store)


def claim(store: Store) -> StoreLine:
    claimed = store.claims.claim("manager")
    assert claimed is not None
    return StoreLine(store, claimed)


def the_run(store: Store) -> str:
    return store.runs.list()[0].id


def points(*items: tuple[str, int, float]) -> list[Point]:
    return [(name, step, value, 100.0 + step) for name, step, value in items]


def test_points_come_back_in_order_after_a_cursor(store: Store) -> None:
    line = start(store)
    line.write(Batch(points(("b", 1, 1.0), ("a", 1, 2.0), ("a", 2, 3.0))))
    first = store.points.series(the_run(store))
    assert first.series == {
        "a": {"steps": [1, 2], "values": [2.0, 3.0], "times": [101.0, 102.0]},
        "b": {"steps": [1], "values": [1.0], "times": [101.0]},
    }
    line.write(Batch(points(("a", 3, 4.0))))
    second = store.points.series(the_run(store), after=first.cursor)
    assert second.series == {"a": {"steps": [3], "values": [4.0], "times": [103.0]}}
    assert store.points.series(the_run(store), after=second.cursor).series == {}
    assert store.points.series(the_run(store), after=second.cursor).cursor == second.cursor
    assert store.points.series(the_run(store), names=["b"]).series.keys() == {"b"}
    assert store.points.names(the_run(store)) == ["a", "b"]


def test_what_is_not_a_number_is_kept_as_a_marker(store: Store) -> None:
    start(store).write(Batch(points(("a", 1, math.nan), ("a", 2, math.inf), ("a", 3, -math.inf), ("a", 4, 0.5))))
    assert store.points.series(the_run(store)).series["a"]["values"] == [None, None, None, 0.5]
    raw = [value for _, _, value, _ in store.points.rows(the_run(store))]
    assert math.isnan(raw[0])
    assert raw[1:] == [math.inf, -math.inf, 0.5]


def test_a_repeated_step_is_replaced_and_seen_by_readers_only_when_it_changed(store: Store) -> None:
    line = start(store)
    line.write(Batch(points(("a", 1, 1.0), ("a", 2, 2.0))))
    cursor = store.points.series(the_run(store)).cursor
    line.write(Batch(points(("a", 1, 1.0), ("a", 2, 2.5))))
    assert store.points.series(the_run(store), after=cursor).series["a"]["steps"] == [2]
    assert store.points.series(the_run(store)).series["a"]["values"] == [1.0, 2.5]


def test_a_second_writer_is_refused_and_changes_nothing(store: Store) -> None:
    old = start(store)
    run = the_run(store)
    old.write(Batch(points(("a", 1, 1.0))))
    assert store.claims.end(run, old._claim.token, Status.INTERRUPTED)
    Control(store).resume(run)
    new = claim(store)
    new.write(Batch(points(("a", 2, 2.0))))
    with pytest.raises(OwnershipLost, match="another worker"):
        old.write(Batch(points(("a", 1, -1.0), ("a", 3, -1.0)), [NewEvent("info", "ghost")], {"step": 99}, seconds=1e6))
    with pytest.raises(OwnershipLost):
        store.claims.begin(run, old._claim.token)
    assert not store.claims.end(run, old._claim.token, Status.FAILED)
    assert store.points.series(run).series["a"]["values"] == [1.0, 2.0]
    record = store.runs.get(run)
    assert (record.progress, record.seconds, record.status) == ({}, 0.0, Status.STARTING)
    assert "ghost" not in [event.message for event in store.events.list(run)]


def test_events_of_repeated_steps_are_told_once(store: Store) -> None:
    line = start(store)
    line.write(Batch(events=[NewEvent("eval", "gate 0.5", 3), NewEvent("info", "hello")]))
    line.write(
        Batch(events=[NewEvent("eval", "gate 0.5", 3), NewEvent("info", "hello"), NewEvent("eval", "gate 0.6", 3)])
    )
    assert [event.message for event in store.events.list(the_run(store))] == ["gate 0.5", "hello", "hello", "gate 0.6"]


def test_threads_write_and_read_at_once(store: Store) -> None:
    line = start(store)
    errors: list[BaseException] = []

    def write() -> None:
        try:
            for step in range(60):
                line.write(Batch(points(("a", step, float(step)))))
        except BaseException as error:
            errors.append(error)

    def read() -> None:
        try:
            cursor, seen = 0, list[int]()
            for _ in range(150):
                batch = store.points.series(the_run(store), after=cursor)
                cursor = batch.cursor
                seen += batch.series.get("a", {"steps": []})["steps"]
            assert seen == sorted(set(seen))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=target) for target in (write, read, read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert store.points.series(the_run(store)).cursor == 60


def test_one_request_id_is_one_run(store: Store, home: Home) -> None:
    control = Control(store)
    first = control.submit(plan_of(), request_id="click")
    assert control.submit(plan_of(), request_id="click") == first
    assert control.submit(plan_of(), request_id="another") != first
    assert len(list(home.runs.iterdir())) == 2


def test_a_run_is_found_by_id_beginning_and_name(store: Store) -> None:
    control = Control(store)
    one, two = control.submit(plan_of(name="first")), control.submit(plan_of(name="second"))
    assert store.runs.find(one).id == one
    assert store.runs.find("second").id == two
    control.rename(one, "second")
    with pytest.raises(RunNotFound, match="not one run"):
        store.runs.find("second")
    with pytest.raises(RunNotFound, match="not one run"):
        store.runs.find("20")
    for missing in ("", "%", "_", "2026%", "nothing", "x" * 5000):
        with pytest.raises(RunNotFound):
            store.runs.find(missing)


def test_lists_are_filtered(store: Store) -> None:
    control = Control(store)
    one = control.submit(plan_of(name="100% Film", tags=["alt", "neu"]))
    two = control.submit(plan_of(name="other", data={"source": "plots"}))
    control.cancel(two)
    assert [record.id for record in store.runs.list()] == [two, one]
    assert [record.id for record in store.runs.list(status="queued")] == [one]
    assert [record.id for record in store.runs.list(status=[Status.CANCELLED, Status.FAILED])] == [two]
    assert store.runs.list(status="active") == []
    assert [record.id for record in store.runs.list(tag="neu")] == [one]
    assert store.runs.list(tag="ne") == []
    assert [record.id for record in store.runs.list(search="0% f")] == [one]
    assert [record.id for record in store.runs.list(search="PLOTS")] == [two]
    assert store.runs.list(search="_ther") == []
    three = control.submit(plan_of(name="ÄPFEL Straße", tags=["中文"]))
    for asked in ("äpfel", "Äpfel", "STRASSE", "中文"):
        assert [record.id for record in store.runs.list(search=asked)] == [three], asked
    assert store.runs.list(search="u4e2d") == []
    control.delete(three)
    assert len(store.runs.list(limit=1)) == 1
    with pytest.raises(RunError, match="not a status"):
        store.runs.list(status="sleeping")


@pytest.mark.parametrize(
    "content", [b"this is no database at all, but long enough to be one" * 40, b"SQLite format 3\0" + b"\xff" * 4000]
)
def test_a_damaged_store_is_told_and_never_overwritten(home: Home, content: bytes) -> None:
    home.store.write_bytes(content)
    with pytest.raises(StorageError, match="damaged") as caught:
        Store(home)
    assert "Nothing was overwritten" in caught.value.message()
    assert home.store.read_bytes() == content


def test_a_store_that_is_damaged_in_the_middle_is_told_when_it_is_read(store: Store, home: Home) -> None:
    line = start(store)
    line.write(Batch([("a", step, float(step), 0.0) for step in range(5000)]))
    store.close()
    data = bytearray(home.store.read_bytes())
    for offset in range(8192, len(data), 4096):
        data[offset : offset + 512] = b"\xff" * 512
    home.store.write_bytes(data)
    for path in (Path(f"{home.store}-wal"), Path(f"{home.store}-shm")):
        path.unlink(missing_ok=True)

    def read_all() -> None:
        again = Store(home)
        try:
            list(again.points.rows(again.runs.list()[0].id))
        finally:
            again.close()

    with pytest.raises(StorageError, match="damaged"):
        read_all()
    assert home.store.read_bytes() == data


def test_a_store_of_a_newer_version_and_a_foreign_database_are_refused(home: Home) -> None:
    with sqlite3.connect(home.store) as connection:
        connection.execute(f"pragma user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    with pytest.raises(StorageError, match="newer Bertloom"):
        Database(home.store)
    other = home.root / "other.sqlite"
    with sqlite3.connect(other) as connection:
        connection.execute("create table recipes (name text)")
    connection.close()
    with pytest.raises(StorageError, match="another program"):
        Database(other)


def test_a_full_disk_and_a_read_only_store_have_their_messages(store: Store, home: Home) -> None:
    line = start(store)
    with store.db.connection() as connection:
        pages = connection.execute("pragma page_count").fetchone()[0]
        connection.execute(f"pragma max_page_count = {pages}")
    with pytest.raises(StorageError, match="disk is full"):
        line.write(Batch([("a", step, 0.0, 0.0) for step in range(20_000)]))
    assert store.points.series(the_run(store)).series == {}
    with store.db.connection() as connection:
        connection.execute("pragma max_page_count = 1000000")
    line.write(Batch(points(("a", 1, 1.0))))
    assert store.points.series(the_run(store)).cursor == 1
    with store.db.connection() as connection:
        connection.execute("pragma query_only = on")
    with pytest.raises(StorageError, match="read-only"):
        line.write(Batch(points(("a", 2, 1.0))))


def test_a_locked_store_is_told(store: Store, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    line = start(store)
    with store.db.connection() as connection:
        connection.execute("pragma busy_timeout = 50")
    with sqlite3.connect(home.store, isolation_level=None) as other:
        other.execute("begin immediate")
        with pytest.raises(StorageError, match="locked"):
            line.write(Batch(points(("a", 1, 1.0))))
        other.execute("rollback")
    other.close()
    line.write(Batch(points(("a", 1, 1.0))))


def test_a_home_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        Home(tmp_path / "file" / "home").ensure()


def test_the_queue_is_claimed_in_order_and_never_beyond_its_slots(store: Store) -> None:
    control = Control(store)
    ids = [control.submit(plan_of()) for _ in range(3)]
    first = store.claims.claim("one")
    assert first is not None
    assert first.id == ids[0]
    assert store.claims.claim("two") is None
    urgent = control.submit(plan_of(), now=True)
    now = store.claims.claim("two")
    assert now is not None
    assert now.id == urgent
    assert store.claims.claim("one") is None
    for done in (first, now):
        assert store.claims.end(done.id, done.token, Status.FINISHED)
    following = store.claims.claim("two", slots=2)
    assert following is not None
    assert following.id == ids[1]
    third = store.claims.claim("one", slots=2)
    assert third is not None
    assert third.id == ids[2]


def test_a_run_in_a_thread_waits_for_the_process_that_submitted_it(store: Store) -> None:
    control = Control(store)
    store.claims.beat("submitter")
    run = control.submit(plan_of(runtime={"backend": "thread"}), submitter="submitter")
    behind = control.submit(plan_of())
    assert store.claims.claim("other") is None
    claimed = store.claims.claim("submitter")
    assert claimed is not None
    assert claimed.id == run
    store.claims.end(run, claimed.token, Status.INTERRUPTED)
    control.resume(run)
    control.cancel(behind)
    store.claims.leave("submitter")
    again = store.claims.claim("other")
    assert again is not None
    assert again.id == run


def test_states_are_checked(store: Store) -> None:
    control = Control(store)
    run = control.submit(plan_of())
    for verb in ("resume", "save"):
        with pytest.raises(RunError, match="it cannot be"):
            getattr(control, verb)(run)
    control.pause(run)
    assert store.runs.get(run).status is Status.PAUSED
    with pytest.raises(RunError, match="paused: it cannot be paused"):
        control.pause(run)
    with pytest.raises(RunError, match="cannot be moved"):
        control.move(run, "up")
    control.resume(run)
    line = claim(store)
    store.claims.begin(run, line._claim.token)
    with pytest.raises(RunError, match="running: it cannot be deleted"):
        control.delete(run)
    control.save(run)
    asked = line.write(Batch())
    assert (asked.save, asked.stop) == (True, None)
    assert not line.write(Batch()).save
    control.pause(run)
    control.pause(run)  # a second click
    assert line.write(Batch()).stop is Status.PAUSING
    control.cancel(run)
    assert line.write(Batch()).stop is Status.CANCELLING
    store.claims.end(run, line._claim.token, Status.FINISHED)
    for verb in ("pause", "cancel", "save", "resume"):
        with pytest.raises(RunError, match="finished: it cannot be"):
            getattr(control, verb)(run)
    with pytest.raises(RunError, match="not a direction"):
        control.move(run, "sideways")
    with pytest.raises(RunNotFound):
        control.pause("nothing")


def test_requests_of_an_earlier_attempt_are_not_heard(store: Store) -> None:
    line = start(store)
    run = the_run(store)
    store.claims.begin(run, line._claim.token)
    Control(store).save(run)
    store.claims.end(run, line._claim.token, Status.INTERRUPTED)
    Control(store).resume(run)
    assert not claim(store).write(Batch()).save


def test_queued_runs_are_moved(store: Store) -> None:
    control = Control(store)
    a, b, c = (control.submit(plan_of(name=name)) for name in "abc")

    def order() -> str:
        queued = store.runs.list(status="queued")
        return "".join(record.name for record in sorted(queued, key=lambda record: record.position or 0))

    control.move(c, "up")
    assert order() == "acb"
    control.move(a, "last")
    assert order() == "cba"
    control.move(b, "first")
    assert order() == "bca"
    control.move(b, "up")
    assert order() == "bca"
    control.move(b, "down")
    assert order() == "cba"
    d = control.submit(plan_of(name="d"))
    assert order() == "cbad"
    control.move(d, "first")
    claimed = store.claims.claim("m")
    assert claimed is not None
    assert claimed.name == "d"


def test_names_and_tags(store: Store) -> None:
    control = Control(store)
    run = control.submit(plan_of())
    control.rename(run, "  <b>bold</b> ")
    control.set_tags(run, [" a ", "b", "a", ""])
    record = store.runs.get(run)
    assert (record.name, record.tags) == ("<b>bold</b>", ("a", "b"))
    with pytest.raises(Exception, match="not a name"):
        control.rename(run, "   ")
    with pytest.raises(Exception, match="too long"):
        control.set_tags(run, ["x" * 41])


def test_deleting_is_finished_after_a_crash(store: Store, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    from core.runs import housekeeping

    line = start(store)
    run = the_run(store)
    line.write(Batch(points(("a", 1, 1.0)), [NewEvent("info", "x")]))
    store.claims.end(run, line._claim.token, Status.FAILED)

    def fail(_: Path) -> int:
        raise StorageError("The power went.")

    with monkeypatch.context() as patch:
        patch.setattr(housekeeping.folder, "remove", fail)
        with pytest.raises(StorageError):
            Control(store).delete(run)
    assert store.runs.list() == []
    assert home.run(run).exists()
    assert housekeeping.purge(store) == 1
    assert not home.run(run).exists()
    with store.db.connection() as connection:
        for table in ("runs", "points", "events", "requests", "coarse"):
            assert connection.execute(f"select count(*) from {table}").fetchone()[0] == 0


def test_a_claim_that_was_never_handed_over_goes_back(store: Store) -> None:
    line = start(store)
    run = the_run(store)
    assert store.claims.requeue(run, line._claim.token)
    assert store.runs.get(run).status is Status.QUEUED
    with pytest.raises(OwnershipLost):
        store.claims.begin(run, line._claim.token)
    again = claim(store)
    store.claims.begin(run, again._claim.token)
    assert not store.claims.requeue(run, again._claim.token)
