"""The helper process: short requests that need torch or datasets, so that the dashboard's process imports neither.

It starts with the first request, ends when nothing was asked for a while, and is started again when it died.
Requests and answers are JSON lines over pipes.
"""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import subprocess
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from core import errors
from core.errors import BertloomError, RunError
from core.runs import trouble
from core.runs.backends.process import worker_command, worker_environment
from core.settings import Home

__all__ = ["IDLE_SECONDS", "Helper"]

_log = logging.getLogger(__name__)
#: Seconds without a request after which the helper process ends; one that served a long request aside ends sooner.
IDLE_SECONDS = 120.0
_ASIDE_SECONDS = 5.0
_REMEMBERED = 64
#: A process that is gone so soon after it was asked had died before.
_DYING_SECONDS = 0.3


class Helper:
    """Asks the helper process. Several threads may ask; they are served one after another.

    Parameters
    ----------
    home
        The home folder; what the process prints goes to ``logs/helper.log``.
    idle
        Seconds without a request after which the process ends.
    """

    def __init__(self, home: Home, *, idle: float = IDLE_SECONDS) -> None:
        # requests that name a hub source need a process that may go online; all others stay offline
        self._channels = {
            (hub, aside): _Channel(home, hub=hub, idle=min(idle, _ASIDE_SECONDS) if aside else idle)
            for hub in (False, True)
            for aside in (False, True)
        }
        self._answers: OrderedDict[tuple[Any, ...], Any] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def pids(self) -> list[int]:
        """Ids of the helper processes that live now."""
        return [pid for channel in self._channels.values() if (pid := channel.pid) is not None]

    def call(
        self,
        name: str,
        arguments: Mapping[str, Any],
        *,
        timeout: float,
        hub: bool = False,
        remember: tuple[Any, ...] | None = None,
        cancel: threading.Event | None = None,
        aside: bool = False,
        tell: Callable[[float, str], None] | None = None,
    ) -> Any:
        """Ask for something and wait for the answer.

        Parameters
        ----------
        name
            Which request, see :data:`core.runs.helper_main.REQUESTS`.
        arguments
            Plain data.
        timeout
            Seconds that the answer may take, from when the request is served; then the process is stopped.
        hub
            Whether the process may go online.
        remember
            If given, an answer to the same question with the same value here is given again without asking.
        cancel
            An event that ends the waiting.
        aside
            Whether a process of its own serves it, so that short requests need not wait for a long one.
        tell
            Called with the share that is done (0 to 1) and what is being done, by requests that tell it.

        Raises
        ------
        BertloomError
            The same error that the request raised in the helper process; or :class:`~core.errors.RunError` if that
            died, took too long, or was cancelled.
        """
        key = (name, json.dumps(arguments, sort_keys=True), remember)
        if remember is not None:
            with self._lock:
                if key in self._answers:
                    self._answers.move_to_end(key)
                    return json.loads(self._answers[key])
        answer = self._channels[hub, aside].ask(name, arguments, timeout, cancel, tell)
        if remember is not None:
            with self._lock:
                self._answers[key] = json.dumps(answer)  # callers may change what they get
                while len(self._answers) > _REMEMBERED:
                    self._answers.popitem(last=False)
        return answer

    def close(self) -> None:
        """End the processes; whoever waits gets an error."""
        for channel in self._channels.values():
            channel.close()


class _Died(Exception):
    def __init__(self, code: int | None) -> None:
        super().__init__(code)
        self.code = code


class _Channel:
    """One helper process and its pipes."""

    def __init__(self, home: Home, *, hub: bool, idle: float) -> None:
        self._home = home
        self._hub = hub
        self._idle = idle
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._replies: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._number = 0
        self._closed = False

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def ask(
        self,
        name: str,
        arguments: Mapping[str, Any],
        timeout: float,
        cancel: threading.Event | None,
        tell: Callable[[float, str], None] | None,
    ) -> Any:
        while not self._turn.acquire(timeout=0.1):
            if cancel is not None and cancel.is_set():
                raise _cancelled(name)
            if self._closed:
                raise _closing()
        try:
            kills = trouble.oom_kills()
            for last in (False, True):
                started, begun = self._ensure(), time.monotonic()
                try:
                    return self._exchange(name, arguments, timeout, cancel, tell)
                except _Died as death:
                    self._end()
                    if self._closed:
                        raise _closing() from None
                    # One that had ended, or was just ending, when it was asked is started again.
                    if not started and not last and (death.code == 0 or time.monotonic() - begun < _DYING_SECONDS):
                        continue
                    raise _death(name, death.code, kills, str(self._home.logs / "helper.log")) from None
            raise AssertionError("unreachable")
        finally:
            self._turn.release()

    def close(self) -> None:
        self._closed = True
        self._end()

    def _ensure(self) -> bool:
        """Start the process if there is none; returns whether it was started."""
        if self._closed:
            raise _closing()
        if self._process is not None and self._process.poll() is None:
            return False
        self._end()
        try:
            with (self._home.logs / "helper.log").open("ab") as log:
                process = subprocess.Popen(
                    worker_command(
                        "core.runs.helper_main", "--home", str(self._home.root), "--idle", str(self._idle),
                    ),
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True,
                    env=worker_environment(hub=self._hub),
                )  # fmt: skip
        except OSError as error:
            raise RunError(
                f"The helper process could not be started: {error}.", advice="Close other programs and try again."
            ) from error
        self._process = process
        self._replies = queue.SimpleQueue()
        threading.Thread(target=_read, args=(process, self._replies), name="bertloom-helper", daemon=True).start()
        return True

    def _exchange(
        self,
        name: str,
        arguments: Mapping[str, Any],
        timeout: float,
        cancel: threading.Event | None,
        tell: Callable[[float, str], None] | None,
    ) -> Any:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        self._number += 1
        try:
            process.stdin.write(json.dumps({"id": self._number, "name": name, "arguments": arguments}).encode() + b"\n")
            process.stdin.flush()
        except (OSError, ValueError):
            raise _Died(_code(process)) from None
        until = time.monotonic() + timeout
        while True:
            try:
                line = self._replies.get(timeout=0.1)
            except queue.Empty:
                line = b""
            if line is None:
                raise _Died(_code(process))
            reply = json.loads(line) if line else {}
            if reply.get("id") == self._number:
                if "error" in reply:
                    raise _revive(reply["error"])
                if "progress" not in reply:
                    return reply["answer"]
                if tell is not None:
                    tell(*reply["progress"])
            if cancel is not None and cancel.is_set():
                self._end()
                raise _cancelled(name)
            if time.monotonic() >= until:
                self._end()
                raise RunError(
                    f"The answer to {name!r} took longer than {timeout:g} seconds and was given up.",
                    advice="Try a smaller input; while a run trains, such requests are slower.",
                )

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(OSError):
            process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(2)
        if process.stdin is not None:  # the reading thread closes the other pipe
            with contextlib.suppress(OSError):
                process.stdin.close()


def _read(process: subprocess.Popen[bytes], replies: queue.SimpleQueue[bytes | None]) -> None:
    assert process.stdout is not None
    with process.stdout as pipe:
        for line in pipe:
            replies.put(line)
    replies.put(None)


def _code(process: subprocess.Popen[bytes]) -> int | None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        return process.wait(2)
    return None


def _revive(stored: Mapping[str, Any]) -> BertloomError:
    """Make the error again that was raised in the helper process."""
    kind = (
        getattr(errors, str(stored.get("error")), RunError) if str(stored.get("error")) in errors.__all__ else RunError
    )
    return kind(
        str(stored.get("what")), where=stored.get("where"), expected=stored.get("expected"), advice=stored.get("advice")
    )


def _death(name: str, code: int | None, kills: int | None, log: str) -> BertloomError:
    now = trouble.oom_kills()
    if code == -9 and kills is not None and now is not None and now > kills:
        return trouble.out_of_memory(f"while answering {name!r}")
    return RunError(
        f"The helper process died while answering {name!r} (exit status {code}).", where=log,
        advice="Ask again: it is started anew. If it happens again, its log says more; it may need more memory "
        "than there is.",
    )  # fmt: skip


def _cancelled(name: str) -> RunError:
    return RunError(f"The request {name!r} was cancelled.")


def _closing() -> RunError:
    return RunError("Bertloom is closing; the request was not answered.")
