"""torch's process-wide state during a run: device, threads, determinism, random numbers; and errors about memory.

Dropout draws from torch's global generator, which no thread has to itself. So only one run at a time executes in a
process
(:func:`exclusive` holds a lock), and every optimiser step starts from a seed that is a pure function of (seed, step):
whatever another thread draws between steps changes nothing.
"""

from __future__ import annotations

import contextlib
import os
import random
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from core.errors import BertloomError, DeviceError

__all__ = ["exclusive", "memory_mb", "memory_reader", "pick_device", "reading_errors", "seed_step", "set_threads"]

_RUNNING = threading.Lock()
#: Its one switch is set through the module's class, which type checkers do not see.
_filling: Any = torch.utils.deterministic


def pick_device(name: str) -> torch.device:
    """Return the device that a plan names; ``auto`` takes CUDA, then MPS, then the CPU.

    Raises
    ------
    DeviceError
        If the named device is missing.
    """
    have = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if have[kind])
    if not have[name]:
        found = ", ".join(kind for kind, there in have.items() if there)
        raise DeviceError(
            f"The device {name} is not there.",
            where="runtime.device",
            expected=found,
            advice="Choose auto or one of these.",
        )
    return torch.device(name)


def set_threads(count: int) -> None:
    """Set torch's threads for this thread's operations."""
    if torch.get_num_threads() != count:
        torch.set_num_threads(count)


def _set_deterministic(on: bool, warn_only: bool) -> None:
    # torch.use_deterministic_algorithms also imports the compiler (seconds, nothing here is compiled); its own
    # switch is this.
    torch._C._set_deterministic_algorithms(on, warn_only=warn_only)


@contextlib.contextmanager
def exclusive(*, deterministic: bool, threads: int | None = None) -> Iterator[None]:
    """Own torch's process-wide state for one run and put everything back afterwards.

    Raises
    ------
    DeviceError
        If another run executes in this process.
    """
    if not _RUNNING.acquire(blocking=False):
        raise DeviceError(
            "Another run is executing in this process.",
            expected="one run at a time in a process: torch's random numbers and threads belong to all of it",
            advice="Wait until it ends, or use the process backend.",
        )
    before_threads = torch.get_num_threads()
    flags = (torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled())
    fill = _filling.fill_uninitialized_memory
    cudnn = (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark)
    python_state, numpy_state, torch_state = random.getstate(), np.random.get_state(), torch.random.get_rng_state()
    cuda_states = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    try:
        if deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            _filling.fill_uninitialized_memory = False  # it costs a pass over every new tensor
            torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
        _set_deterministic(deterministic, False)
        if threads is not None:
            set_threads(threads)
        yield
    finally:
        _set_deterministic(*flags)
        _filling.fill_uninitialized_memory = fill
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn
        set_threads(before_threads)
        random.setstate(python_state)
        np.random.set_state(numpy_state)
        torch.random.set_rng_state(torch_state)
        if cuda_states:
            torch.cuda.set_rng_state_all(cuda_states)
        _RUNNING.release()


def seed_step(seed: int, step: int, part: int = 0) -> None:
    """Seed dropout for one micro-batch of one optimiser step: a pure function of (seed, step, part)."""
    mixed = int(np.random.SeedSequence([seed, step, part]).generate_state(1, np.uint64)[0]) >> 1
    # torch.manual_seed would also note a call stack for every accelerator that is not there, in every step.
    torch.default_generator.manual_seed(mixed)
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(mixed)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(mixed)


def memory_reader(device: torch.device) -> contextlib.AbstractContextManager[None]:
    """Reset the peak of accelerator memory, where there is one."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    return contextlib.nullcontext()


def memory_mb(device: torch.device) -> float:
    """Return memory in MB: the peak on CUDA, the process's resident set on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    import psutil

    return float(psutil.Process().memory_info().rss) / 1e6


@contextlib.contextmanager
def reading_errors(device: torch.device | None = None) -> Iterator[None]:
    """Turn "out of memory" in all its shapes into a :class:`~core.errors.DeviceError` with advice."""
    try:
        yield
    except BertloomError:
        raise
    except (RuntimeError, MemoryError) as error:
        text = str(error).lower()
        # Not torch.OutOfMemoryError alone: the CPU allocator and MPS raise plain RuntimeErrors.
        if not (
            isinstance(error, MemoryError)
            or "out of memory" in text
            or "can't allocate memory" in text
            or "not enough memory" in text
        ):
            raise
        if device is not None and device.type == "cuda":
            torch.cuda.empty_cache()
        print(f"out of memory: {error}", file=sys.stderr)
        raise DeviceError(
            "The training ran out of memory.",
            where=str(device) if device is not None else None,
            advice=(
                "Lower batch_tokens or batch_size, or raise accumulation (same result, smaller pieces); shorten "
                "max_length; "
                "freeze lower layers; or use bf16."
            ),
        ) from error
