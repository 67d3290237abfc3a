from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

from core.errors import BertloomError, DataError, RunError
from core.runs import helper as module
from core.runs.helper import Helper
from core.settings import Home


@pytest.fixture
def make(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Helper]]:
    command = module.worker_command
    monkeypatch.setattr(module, "worker_command", lambda _, *rest: command("tests.unit.runs.helpers", *rest))
    made: list[Helper] = []

    def build(**options: Any) -> Helper:
        made.append(Helper(home, **options))
        return made[-1]

    yield build
    for helper in made:
        helper.close()


def test_answers_are_plain_data_and_prints_do_no_harm(make: Callable[..., Helper], home: Home) -> None:
    helper = make()
    assert helper.pids == []
    answer = helper.call("chatter", {}, timeout=60)
    assert (answer["nan"], answer["text"]) == (None, "ä\u2028<b>")
    assert helper.call("chatter", {}, timeout=60)["pid"] == answer["pid"]
    assert helper.pids == [answer["pid"]]
    assert "noise on standard output" in (home.logs / "helper.log").read_text()


def test_errors_come_back_as_what_they_were(make: Callable[..., Helper]) -> None:
    helper = make()
    with pytest.raises(DataError) as caught:
        helper.call("fail", {}, timeout=60)
    assert caught.value.as_dict() == {
        "error": "DataError", "what": "The file is empty.", "where": "rows.csv", "expected": "rows",
        "advice": "Add some.",
    }  # fmt: skip
    with pytest.raises(RunError, match="ZeroDivisionError: nobody foresaw this"):
        helper.call("stumble", {}, timeout=60)
    assert helper.call("slow", {"seconds": 0}, timeout=60) == "late"


@pytest.mark.parametrize("code", [-9, -11, 3, 0])
def test_a_helper_that_dies_is_told_and_started_again(make: Callable[..., Helper], code: int) -> None:
    helper = make()
    helper.call("slow", {"seconds": 0}, timeout=60)
    with pytest.raises(BertloomError) as caught:
        helper.call("die", {"code": code}, timeout=60)
    assert "died" in caught.value.message()
    assert caught.value.advice
    assert helper.call("slow", {"seconds": 0}, timeout=60) == "late"


def test_an_answer_that_takes_too_long_is_given_up(make: Callable[..., Helper]) -> None:
    helper = make()
    helper.call("slow", {"seconds": 0}, timeout=60)
    pid = helper.pids[0]
    begun = time.monotonic()
    with pytest.raises(RunError, match=r"took longer than 0\.3 seconds"):
        helper.call("slow", {"seconds": 60}, timeout=0.3)
    assert time.monotonic() - begun < 50  # it would have come after a minute
    assert not psutil.pid_exists(pid)
    assert helper.call("slow", {"seconds": 0}, timeout=60) == "late"


def test_a_request_can_be_cancelled_also_while_it_waits_for_its_turn(make: Callable[..., Helper]) -> None:
    helper = make()
    helper.call("slow", {"seconds": 0}, timeout=60)
    cancel, errors = threading.Event(), list[str]()

    def ask() -> None:
        try:
            helper.call("slow", {"seconds": 60}, timeout=100, cancel=cancel)
        except RunError as error:
            errors.append(error.message())

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    cancel.set()
    for thread in threads:
        thread.join(60)
    assert len(errors) == 3
    assert all("cancelled" in error for error in errors)


def test_callers_are_served_one_after_another(make: Callable[..., Helper]) -> None:
    helper = make()
    answers: list[Any] = []
    threads = [
        threading.Thread(target=lambda: answers.append(helper.call("chatter", {}, timeout=60)["pid"])) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(answers) == 4
    assert len(set(answers)) == 1


def test_a_long_request_tells_how_far_it_has_come_and_can_be_cancelled_meanwhile(make: Callable[..., Helper]) -> None:
    helper, told, cancel = make(), list[tuple[float, str]](), threading.Event()
    brief, long = {"seconds": 1.2, "pause": 0}, {"seconds": 60, "pause": 6}
    assert helper.call("count", brief, timeout=60, tell=lambda *now: told.append(now)) == "counted"
    assert told == [(at / 10, f"part {at}") for at in (0, 2, 4, 6, 8)]  # a part takes 0.12 s, and 0.2 s pass in between
    with pytest.raises(RunError, match="cancelled"):
        helper.call("count", long, timeout=100, cancel=cancel, tell=lambda *_: cancel.set())


def test_a_request_aside_keeps_no_other_waiting(make: Callable[..., Helper]) -> None:
    helper, cancel = make(), threading.Event()

    def ask() -> None:
        with contextlib.suppress(RunError):
            helper.call("slow", {"seconds": 60}, timeout=100, cancel=cancel, aside=True)

    thread = threading.Thread(target=ask)
    thread.start()
    while not helper.pids:
        time.sleep(0.02)
    assert helper.call("slow", {"seconds": 0}, timeout=60) == "late"
    assert len(helper.pids) == 2
    cancel.set()
    thread.join(60)
    assert not thread.is_alive()


def test_an_idle_helper_ends_and_the_next_request_starts_another(make: Callable[..., Helper]) -> None:
    helper = make(idle=0.3)
    first = helper.call("chatter", {}, timeout=60)["pid"]
    end = time.monotonic() + 60
    while helper.pids:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert helper.call("chatter", {}, timeout=60)["pid"] != first


def test_what_is_remembered_is_not_asked_again_until_its_stamp_changes(make: Callable[..., Helper]) -> None:
    helper = make()
    first = helper.call("chatter", {}, timeout=60, remember=("a", 1))
    first["pid"] = "changed by the caller"
    psutil.Process(helper.pids[0]).kill()
    again = helper.call("chatter", {}, timeout=60, remember=("a", 1))
    assert isinstance(again["pid"], int)
    other = helper.call("chatter", {}, timeout=60, remember=("a", 2))
    assert other["pid"] != again["pid"]


def test_the_helper_ends_with_its_owner(make: Callable[..., Helper]) -> None:
    helper = make()
    pid = helper.call("chatter", {}, timeout=60)["pid"]
    errors: list[str] = []

    def ask() -> None:
        try:
            helper.call("slow", {"seconds": 60}, timeout=100)
        except RunError as error:
            errors.append(error.message())

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.3)
    helper.close()
    thread.join(60)
    assert errors == ["Bertloom is closing; the request was not answered."]
    assert not psutil.pid_exists(pid)
    with pytest.raises(RunError, match="closing"):
        helper.call("chatter", {}, timeout=60)
