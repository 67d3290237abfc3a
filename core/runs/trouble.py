"""Why a run ended without saying so: exit codes, signals, and memory that ran out."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from core.errors import BertloomError, DeviceError, RunError
from core.runs.records import Status

__all__ = ["error_of", "is_out_of_memory", "judge", "oom_kills", "out_of_memory"]

_MEMORY_ADVICE = (
    "Use a smaller batch size with accumulation, a shorter maximum length, bf16, or freeze lower layers; close "
    "other programs. "
    "Then resume or duplicate the run."
)
_CRASHES = {signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE}


def error_of(error: BaseException, doing: str | None = None) -> dict[str, Any]:
    """Return what is told about an exception that ended a run (or `doing` something): its parts and the message."""
    if is_out_of_memory(error):
        known: BertloomError = out_of_memory(str(error))
    elif isinstance(error, BertloomError):
        known = error
    else:
        known = RunError(
            f"{'The run' if doing is None else doing[0].upper() + doing[1:]} stopped with an unexpected error:"
            f" {type(error).__name__}: {str(error)[:500]}.",
            advice="The run's log has the trace. Its metrics and checkpoints are kept; it can be resumed."
            if doing is None
            else "The trace stands in logs/helper.log in the home folder.",
        )
    return {**known.as_dict(), "message": known.message(), "type": type(error).__name__}


def out_of_memory(detail: str = "") -> DeviceError:
    """Return the error of a run for which the memory was not enough."""
    told = f" ({detail.strip()[:200]})" if detail.strip() else ""
    return DeviceError(f"The memory was not enough for this run{told}.", where="memory", advice=_MEMORY_ADVICE)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out (Python's, torch's on the CPU or a device)."""
    if isinstance(error, MemoryError) or type(error).__name__ in ("OutOfMemoryError", "AcceleratorOutOfMemoryError"):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)


def oom_kills() -> int | None:
    """Return how many processes the kernel has killed for memory so far, ``None`` where it does not tell."""
    for path, name in ((Path("/sys/fs/cgroup/memory.events"), "oom_kill"), (Path("/proc/vmstat"), "oom_kill")):
        try:
            lines = path.read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            if line.split()[0] == name:
                return int(line.split()[1])
    return None


def judge(code: int | None, *, cancelled: bool, oom: bool, log: str) -> tuple[Status, dict[str, Any] | None, str]:
    """Say how a run ended whose worker is gone and recorded nothing.

    Parameters
    ----------
    code
        Exit code (negative: the signal), ``None`` if this process was not its parent.
    cancelled
        Whether it had been asked to cancel.
    oom
        Whether the kernel killed something for memory while it ran.
    log
        The last lines of its log.

    Returns
    -------
    tuple
        Status, stored error or ``None``, and one sentence for the events.
    """
    if cancelled:
        return Status.CANCELLED, None, "Cancelled: the worker was stopped. It can be resumed from its last checkpoint."
    number = -code if code is not None and code < 0 else (code - 128 if code is not None and code > 128 else None)
    name = _signal_name(number)
    if name == "SIGKILL" and oom:
        error = error_of(out_of_memory("the system stopped the worker"))
        return Status.FAILED, error, error["message"]
    if number is not None and name and signal.Signals(number) in _CRASHES:
        error = error_of(
            RunError(
                f"The worker crashed ({name}).",
                advice="The run's log may say where. It can be resumed from its last checkpoint.",
            )
        )
        return Status.FAILED, error, error["message"]
    if name:
        hint = " If nobody did that, the memory may have run out." if name == "SIGKILL" and oom_kills() is None else ""
        return Status.INTERRUPTED, None, f"Interrupted: the worker was killed ({name}). It can be resumed.{hint}"
    if code is None:
        return (
            Status.INTERRUPTED,
            None,
            "Interrupted: the worker was gone when Bertloom looked again. It can be resumed.",
        )
    last = next((line for line in reversed(log.splitlines()) if line.strip()), "")
    if is_out_of_memory(RuntimeError(last)) or last.startswith("MemoryError"):
        error = error_of(out_of_memory(last))
    else:
        error = error_of(
            RunError(
                f"The worker ended with exit status {code} before the run was done"
                + (f": {last[:300]}" if last else "")
                + ".",
                advice="The run's log may say more. It can be resumed from its last checkpoint.",
            )
        )
    return Status.FAILED, error, error["message"]


def _signal_name(number: int | None) -> str | None:
    try:
        return signal.Signals(number).name if number is not None else None
    except ValueError:
        return None
