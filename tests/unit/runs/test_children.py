"""Runs that are parts of another one: listed below it, executed by its worker, ended and deleted with it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from core.api import Studio
from core.errors import RunError
from core.runs import database, housekeeping
from core.runs.claims import Claim
from core.runs.control import Control
from core.runs.database import Database
from core.runs.execute import execute
from core.runs.records import RunRecord, Status
from core.runs.store import Store
from core.settings import Home
from core.training.context import MemoryContext, Request
from tests.unit.runs.work import plan_of


def begin(store: Store, steps: int = 3, pause: float = 0.0) -> Claim:
    Control(store).submit(plan_of(steps, pause), kind="parts")
    claim = store.claims.claim("test")
    assert claim is not None
    return claim


def whole(store: Store, steps: int = 3) -> str:
    """Execute a run of some parts and return its id."""
    claim = begin(store, steps)
    assert execute(store, claim.id, claim.token) is Status.FINISHED
    return claim.id


def parts(store: Store, run_id: str) -> list[RunRecord]:
    return store.runs.list(part_of=run_id)[::-1]


def test_a_part_is_a_run_with_a_plan_series_status_and_metrics_of_its_own(store: Store) -> None:
    run = whole(store)
    zero, one, two = parts(store, run)
    assert [record.status for record in (zero, one, two)] == [Status.FINISHED, Status.FAILED, Status.FINISHED]
    assert (zero.parent, zero.child, zero.name, zero.tags) == (run, True, "test · part 0", ("part",))
    assert two.metrics == {"gate/accuracy": 0.2}
    assert one.error is not None
    assert one.error["where"] == "row 3"
    assert store.points.series(two.id).series["train/loss"]["values"] == [3.0, 2.5, 2 + 1 / 3]
    assert store.points.names(run) == ["search/score"]
    assert (store.home.run(zero.id) / "plan.yaml").is_file()
    assert store.runs.get(zero.id).progress == {"phase": "training", "total_steps": 3}


def test_lists_show_the_whole_with_the_number_of_its_parts(store: Store) -> None:
    run = whole(store)
    (listed,) = store.runs.list()
    assert (listed.id, listed.children, listed.child) == (run, 3, False)
    assert len(store.runs.list(children=True)) == 4
    assert store.runs.get(run).children == 3
    assert store.runs.find(run[:14]).id == run  # its parts began in the same second


def test_parts_take_no_slot_and_no_manager_watches_them(store: Store) -> None:
    claim = begin(store)
    from core.runs.children import open_child

    part = open_child(store, claim, lambda: Request.NONE, "a", name="a", plan=plan_of(), tags=())
    Control(store).submit(plan_of(), kind="count")
    assert [row["id"] for row in store.claims.active()] == [claim.id]
    assert store.runs.list(status="active")[0].id == claim.id
    assert store.claims.claim("test", slots=1) is None
    assert store.claims.claim("test", slots=2) is not None
    part.leave()


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        (Status.INTERRUPTED, Status.INTERRUPTED), (Status.FAILED, Status.INTERRUPTED),
        (Status.PAUSED, Status.PAUSED), (Status.CANCELLED, Status.CANCELLED),
    ],
)  # fmt: skip
def test_a_part_at_work_ends_with_the_whole(store: Store, ended: Status, expected: Status) -> None:
    from core.runs.children import open_child

    claim = begin(store)
    part = open_child(store, claim, lambda: Request.NONE, "a", name="a", plan=plan_of(), tags=())
    other = open_child(store, claim, lambda: Request.NONE, "b", name="b", plan=plan_of(), tags=())
    other.finish("finished")
    assert store.claims.end(claim.id, claim.token, ended)  # as the manager does when the process is gone
    assert store.runs.get(part.id).status is expected
    assert store.runs.get(other.id).status is Status.FINISHED
    part.metrics(1, {"train/loss": 1.0})
    part.leave()  # the old worker may still write: nothing comes of it
    assert store.points.names(part.id) == []


def test_pausing_the_whole_stops_its_part_and_resuming_goes_on_with_the_same_run(studio: Studio) -> None:
    run = studio.runs.submit(plan_of(3, 0.15, runtime={"backend": "thread", "checkpoint_every_s": 0.15}), kind="parts")
    from tests.unit.runs.conftest import at_step, until

    until(studio, run, at_step(1))
    studio.runs.pause(run)
    assert studio.runs.wait(run, 60).status is Status.PAUSED
    before = {record.id: record.status for record in studio.runs.list(part_of=run)}
    assert Status.RUNNING not in before.values()
    studio.runs.resume(run)
    assert studio.runs.wait(run, 60).status is Status.FINISHED
    after = {record.id: record.status for record in studio.runs.list(part_of=run)}
    assert set(before) <= set(after)
    assert len(after) == 3
    assert sorted(after.values()) == [Status.FAILED, Status.FINISHED, Status.FINISHED]


def test_what_is_a_matter_of_the_whole_is_refused_for_a_part(store: Store) -> None:
    from core.runs.children import open_child

    claim = begin(store)
    part = open_child(store, claim, lambda: Request.NONE, "a", name="trial 1", plan=plan_of(), tags=())
    control = Control(store)
    for ask in (control.pause, control.cancel, control.save, control.resume):
        with pytest.raises(RunError, match=r"'trial 1' is a part of the run 'test'") as caught:
            ask(part.id)
        assert claim.id in str(caught.value)
    control.rename(part.id, "the good one")  # its own matter
    assert store.runs.get(part.id).name == "the good one"
    with pytest.raises(RunError, match="is running"):
        control.delete(part.id)
    part.leave()


def test_deleting_the_whole_deletes_its_parts(store: Store) -> None:
    run = whole(store)
    places = [store.home.run(record.id) for record in parts(store, run)]
    Control(store).delete(run)
    assert store.runs.list(children=True) == []
    assert not any(place.exists() for place in places)


def test_parts_that_are_kept_become_runs_of_their_own(store: Store) -> None:
    run = whole(store)
    kept = [record.id for record in parts(store, run)]
    Control(store).delete(run, keep_children=True)
    found = {record.id: record for record in store.runs.list()}
    assert set(found) == set(kept)
    assert all(record.parent is None and not record.child for record in found.values())
    failed = next(record for record in found.values() if record.status is Status.FAILED)
    Control(store).resume(failed.id)
    assert store.runs.get(failed.id).status is Status.QUEUED


def test_one_part_can_be_deleted_alone(store: Store) -> None:
    run = whole(store)
    Control(store).delete(parts(store, run)[0].id)
    assert store.runs.get(run).children == 2


def test_disk_use_counts_parts(store: Store) -> None:
    run = whole(store)
    assert {item["id"] for item in housekeeping.disk(store)["runs"]} == {run, *(one.id for one in parts(store, run))}


def test_a_store_of_the_first_version_is_brought_up_to_date_and_keeps_its_runs(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as old:
        old.setattr(database, "SCHEMA_VERSION", 1)
        old.setattr(database, "_MIGRATIONS", database._MIGRATIONS[:1])
        Database(home.store).close()
    connection = sqlite3.connect(home.store)
    connection.execute(
        "insert into runs (id, kind, name, status, plan, backend, created) values ('a', 'train', 'old', 'finished',"
        " '{}', 'process', 1)"
    )
    connection.commit()
    connection.close()
    store = Store(home)
    assert [(record.id, record.child) for record in store.runs.list()] == [("a", False)]
    store.close()


def test_in_memory_a_part_hears_what_is_asked_of_the_whole(tmp_path: Path) -> None:
    context = MemoryContext(tmp_path / "run", tmp_path / "cache")
    part = context.child("0", name="part", plan=plan_of())
    part.metrics(1, {"train/loss": 1.0})
    assert part.request() is Request.NONE
    context.at[0] = Request.PAUSE
    assert part.request() is Request.PAUSE
    part.finish("cancelled", metrics={"gate/accuracy": 0.5})
    assert (part.ended, part.result) == ("cancelled", {"gate/accuracy": 0.5})
    assert context.children["0"] is part
    assert part.folder.is_dir()


def test_a_part_is_of_the_kind_that_its_config_is_for(store: Store) -> None:
    from core.config import GraphConfig
    from core.runs.children import open_child

    claim = begin(store)
    config = GraphConfig(name="words")
    part = open_child(store, claim, lambda: Request.NONE, "a", name="words", plan=config, tags=())
    record = store.runs.get(part.id)
    assert (record.kind, record.plan) == ("graph", config.model_dump(mode="json"))
    part.leave()
