"""Keep freed memory for the next step instead of giving it back to the system.

Activations and gradients of a step are tens of megabytes each. glibc gives such blocks back when they are freed and
asks for fresh ones a moment later, and the system must clear every page again: about a quarter of a training step.
"""

from __future__ import annotations

import ctypes
import gc
import sys

__all__ = ["give_back_freed_memory", "keep_freed_memory"]

_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4
_NEVER = 2**31 - 1
#: Objects that are not freed by a collection: so many only libraries have.
_MANY = 100_000
#: Whether this process is a worker's own: it was told to keep freed memory.
_alone = False


def keep_freed_memory() -> bool:
    """Tell glibc's allocator to keep freed memory in this process.

    For a process of its own only (a worker): the process then holds its peak until it ends.

    Returns
    -------
    bool
        Whether the allocator took it; False where the C library is another one.
    """
    global _alone
    _alone = True
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # musl has no mallopt
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, _NEVER))


def give_back_freed_memory() -> None:
    """Give what was freed back to the system, so that the next run's memory is its own.

    What is left then is mostly the libraries: looking through all of it takes a fifth of a second each time. Where it
    is that much, the collector leaves it alone from now on, but only in a process that keeps freed memory: what lives
    in a dashboard may die later, and would never be freed.
    """
    gc.collect()
    if _alone and len(gc.get_objects()) > _MANY:
        gc.freeze()
    if sys.platform.startswith("linux"):
        try:
            ctypes.CDLL(None).malloc_trim(0)
        except (OSError, AttributeError):  # another C library: the memory is then that of the largest run so far
            return
