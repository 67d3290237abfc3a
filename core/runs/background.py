"""Work that a person waits for but no page: it goes on when the page is left, and every page of the server sees it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from core.errors import BertloomError, RunError

__all__ = ["Background", "Going"]

_log = logging.getLogger(__name__)
#: Ended pieces of work that are remembered, for whoever looks again.
_REMEMBERED = 64


@dataclass
class Going:
    """A piece of work.

    Parameters
    ----------
    cancel
        An event that ends it.
    share
        How much is done, 0 to 1.
    doing
        What is being done.
    done
        Whether it has ended, well or not.
    answer, error
        What came of it.
    hear
        Called with share and words whenever they are told.
    """

    cancel: threading.Event = field(default_factory=threading.Event)
    share: float = 0.0
    doing: str = ""
    done: bool = False
    answer: Any = None
    error: BertloomError | None = None
    hear: Callable[[float, str], None] | None = None
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.started

    def tell(self, share: float, doing: str) -> None:
        """Note down how far it has come."""
        self.share, self.doing = share, doing
        if self.hear is not None:
            self.hear(share, doing)


class Background:
    """Pieces of work by name, each in a thread of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._going: dict[str, Going] = {}

    def start(self, name: str, work: Callable[[Going], Any]) -> Going:
        """Begin a piece of work, or return the one of this name that is going on.

        Parameters
        ----------
        name
            Its name.
        work
            Does it; it is given what it should tell its progress to.
        """
        with self._lock:
            going = self._going.get(name)
            if going is not None and not going.done:
                return going
            self._going.pop(name, None)
            going = self._going[name] = Going()
            for old in [key for key, one in self._going.items() if one.done][: max(0, len(self._going) - _REMEMBERED)]:
                del self._going[old]
        threading.Thread(target=_run, args=(name, going, work), name=f"bertloom-{name[:40]}", daemon=True).start()
        return going

    def get(self, name: str) -> Going | None:
        """Return the work of a name, also when it has ended; None where there was none, or it is forgotten."""
        with self._lock:
            return self._going.get(name)

    def forget(self, name: str) -> None:
        """Forget work that has ended, so that its error is shown no more."""
        with self._lock:
            if name in self._going and self._going[name].done:
                del self._going[name]

    def close(self) -> None:
        """Ask everything to end."""
        with self._lock:
            for going in self._going.values():
                going.cancel.set()


def _run(name: str, going: Going, work: Callable[[Going], Any]) -> None:
    try:
        going.answer = work(going)
    except BertloomError as error:
        going.error = error
    except Exception as error:
        _log.exception("the work %s failed", name)
        going.error = RunError(f"Something unforeseen went wrong: {type(error).__name__}: {str(error)[:300]}")
    finally:
        going.done = True
