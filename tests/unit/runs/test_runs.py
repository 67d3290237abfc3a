"""The ways of a run through queue, worker and control, with stand-ins for training."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from core.api import Studio
from core.errors import RunError
from core.runs.backends.process import ProcessBackend, worker_environment
from core.runs.records import RunRecord, Status
from core.settings import Home
from tests.unit.runs.conftest import ROOT, at_step, hurry, until
from tests.unit.runs.work import plan_of

BACKENDS = pytest.mark.parametrize("backend", ["process", "thread"])


@BACKENDS
def test_a_run_finishes_with_metrics_events_and_its_folder(studio: Studio, backend: str) -> None:
    seen: list[RunRecord] = []
    run = studio.runs.submit(plan_of(20, 0.02, runtime={"backend": backend}, tags=["t"]), kind="count")
    record = studio.runs.wait(run, 60, seen.append)
    assert record.status is Status.FINISHED
    assert {one.status for one in seen} >= {Status.QUEUED, Status.FINISHED}
    assert record.metrics == {"test/accuracy": 0.75, "steps": 20.0}
    assert (record.progress["step"], record.progress["total_steps"]) == (20, 20)
    assert record.started is not None
    assert record.ended is not None
    assert record.started >= record.created
    assert 0.3 < record.seconds < record.ended - record.started + 1
    assert (record.pid, record.position, record.tags, record.backend) == (None, None, ("t",), backend)
    assert record.bytes > 1000
    assert record.has_model
    assert not record.has_checkpoint  # keep: best
    assert studio.runs.series(run).series["train/loss"]["steps"] == list(range(1, 21))
    assert studio.runs.events(run)[-1].message == "done"
    assert studio.runs.plan(run).name == "test"
    assert "attempt 1" in studio.runs.log(run)
    assert (studio.runs.results(run) or {})["metrics"]["test/accuracy"] == 0.75
    assert (studio.home.run(run) / "plan.yaml").read_text().startswith("version: 1")


@BACKENDS
def test_pause_resume_save_and_cancel(studio: Studio, backend: str) -> None:
    runtime = {"backend": backend, "keep": "all", "checkpoint_every_steps": 10_000}
    run = studio.runs.submit(plan_of(900, 0.01, runtime=runtime), kind="count")
    until(studio, run, at_step(3))
    assert not studio.runs.get(run).has_checkpoint
    studio.runs.save(run)
    until(studio, run, lambda record: record.has_checkpoint)
    until(studio, run, lambda _: [event.kind for event in studio.runs.events(run)] == ["checkpoint"])
    studio.runs.pause(run)
    record = studio.runs.wait(run, 60)
    assert record.status is Status.PAUSED
    assert record.has_checkpoint
    paused_at = record.progress["step"]
    studio.runs.resume(run)
    until(studio, run, at_step(paused_at + 3))
    studio.runs.cancel(run)
    assert studio.runs.wait(run, 60).status is Status.CANCELLED
    hurry(studio, run)
    studio.runs.resume(run)
    record = studio.runs.wait(run, 60)
    assert record.status is Status.FINISHED
    assert studio.runs.series(run).series["train/loss"]["steps"] == list(range(1, 901))
    assert [log for log in ("attempt 1", "attempt 2", "attempt 3", "attempt 4") if log in studio.runs.log(run)] == [
        "attempt 1", "attempt 2", "attempt 3",
    ]  # fmt: skip


def test_cancelling_a_queued_run_is_immediate_and_frees_the_queue(studio: Studio) -> None:
    first = studio.runs.submit(plan_of(10_000, 0.02), kind="count")
    second = studio.runs.submit(plan_of(2), kind="count")
    third = studio.runs.submit(plan_of(2), kind="count")
    until(studio, first, lambda record: record.status is Status.RUNNING)
    assert studio.runs.get(second).position is not None
    studio.runs.cancel(second)
    assert studio.runs.get(second).status is Status.CANCELLED
    urgent = studio.runs.submit(plan_of(2), kind="count", now=True)
    assert studio.runs.wait(urgent, 60).status is Status.FINISHED
    assert studio.runs.get(first).status is Status.RUNNING
    assert studio.runs.get(third).status is Status.QUEUED
    studio.runs.cancel(first)
    assert studio.runs.wait(third, 60).status is Status.FINISHED


def test_waiting_has_an_end(studio: Studio) -> None:
    run = studio.runs.submit(plan_of(1000, 0.02), kind="count")
    with pytest.raises(RunError, match="still"):
        studio.runs.wait(run, 0.3)


def test_a_run_in_a_thread_stops_with_its_studio_and_goes_on_in_the_next(home: Home) -> None:
    with Studio(home) as first:
        run = first.runs.submit(plan_of(900, 0.01, runtime={"backend": "thread"}), kind="count")
        until(first, run, at_step(10))
    with Studio(home) as second:
        record = second.runs.get(run)
        assert record.status is Status.INTERRUPTED
        assert record.has_checkpoint
        step = record.progress["step"]
        hurry(second, run)
        second.runs.resume(run)
        record = second.runs.wait(run, 60)
        assert record.status is Status.FINISHED
        assert step < 900
        assert second.runs.series(run).series["train/loss"]["steps"] == list(range(1, 901))


def test_a_run_in_a_thread_dies_with_its_process_and_is_found_interrupted(home: Home) -> None:
    script = (
        "import sys, time; from pathlib import Path; from core.api import Studio; from core.settings import Home\n"
        "from tests.unit.runs.work import plan_of\n"
        "studio = Studio(Home(Path(sys.argv[1])))\n"
        "run = studio.runs.submit(plan_of(5000, 0.01, runtime={'backend': 'thread'}), kind='count')\n"
        "while studio.runs.get(run).progress.get('step', 0) < 20: time.sleep(0.05)\n"
        "print(run, flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(home.root)], stdout=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None
    run = process.stdout.readline().decode().strip()
    process.kill()
    process.wait()
    process.stdout.close()
    with Studio(home) as studio:
        record = until(studio, run, lambda record: record.status is Status.INTERRUPTED)
        assert record.has_checkpoint
        assert len(studio.runs.series(run).series["train/loss"]["steps"]) >= 20


def test_closing_leaves_no_thread_and_twice_is_once(home: Home) -> None:
    before = set(threading.enumerate())
    studio = Studio(home)
    run = studio.runs.submit(plan_of(2), kind="count")
    studio.runs.wait(run, 60)
    studio.close()
    studio.close()
    left = [thread for thread in set(threading.enumerate()) - before if thread.is_alive()]
    assert left == []


def test_the_warm_worker_waits_is_used_and_ends_with_its_parent(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BERTLOOM_WARM", "1")
    monkeypatch.setattr("core.runs.manager._WARM_AFTER", 0.5)
    with Studio(home) as studio:
        assert studio._manager is not None
        backend = studio._manager.backends["process"]
        assert isinstance(backend, ProcessBackend)
        end = time.monotonic() + 60
        while (pid := backend.warm_pid) is None:
            assert time.monotonic() < end
            time.sleep(0.05)
        run = studio.runs.submit(plan_of(10_000, 0.01), kind="count")
        record = until(studio, run, lambda record: record.status is Status.RUNNING, 60)
        assert record.pid == pid
        studio.runs.cancel(run)
        studio.runs.wait(run, 60)
        while (second := backend.warm_pid) in (None, pid):
            assert time.monotonic() < end + 60
            time.sleep(0.05)
    assert second is not None
    assert not psutil.pid_exists(second) or psutil.Process(second).status() == psutil.STATUS_ZOMBIE


def test_a_warm_worker_whose_parent_was_killed_ends_by_itself(home: Home) -> None:
    script = (
        "import sys, time; from pathlib import Path; from core.settings import Home\n"
        "from core.runs.backends import process\n"
        # without --warm it waits too, and needs no imports for it
        "process.worker_command = lambda module, *rest: [sys.executable, '-P', '-m', module, *rest[:2]]\n"
        "backend = process.ProcessBackend(Home(Path(sys.argv[1])).ensure()); backend.prepare()\n"
        "print(backend.warm_pid, flush=True); time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(home.root)], stdout=subprocess.PIPE, cwd=ROOT)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert psutil.pid_exists(pid)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    end = time.monotonic() + 60
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_warm_worker_that_died_is_replaced(studio: Studio) -> None:
    assert studio._manager is not None
    backend = studio._manager.backends["process"]
    assert isinstance(backend, ProcessBackend)
    backend.prepare()
    assert backend.warm_pid is not None
    process = psutil.Process(backend.warm_pid)
    process.kill()
    process.wait()
    run = studio.runs.submit(plan_of(2), kind="count")
    assert studio.runs.wait(run, 60).status is Status.FINISHED


def test_workers_stay_offline_unless_the_plan_names_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert worker_environment(hub=False)["HF_HUB_OFFLINE"] == "1"
    assert worker_environment(hub=False)["TRANSFORMERS_OFFLINE"] == "1"
    assert "HF_HUB_OFFLINE" not in worker_environment(hub=True)
    assert worker_environment(hub=False)["PYTHONHASHSEED"] == "0"


def test_a_module_in_the_working_folder_is_not_imported_by_workers(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('wrong json')")
    (tmp_path / "yaml.py").write_text("raise SystemExit('wrong yaml')")
    monkeypatch.chdir(tmp_path)
    with Studio(home) as studio:
        run = studio.runs.submit(plan_of(2), kind="count")
        assert studio.runs.wait(run, 60).status is Status.FINISHED


def test_unknown_kinds_and_kinds_from_elsewhere_are_refused(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BERTLOOM_TEST_KINDS", "evil=os:system,train=tests.unit.runs.work:count")
    for kind in ("evil", "count"):
        with pytest.raises(RunError, match="no kind"):
            studio.runs.submit(plan_of(), kind=kind)
    from core.runs.kinds import known

    assert known().keys() == {
        "train", "graph", "probe", "link", "claim", "stats", "distil", "structure", "joint", "compare",
    }  # fmt: skip
