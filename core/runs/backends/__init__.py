"""Where a run executes. A backend starts a claimed run; what it returns can be watched and stopped."""

from core.runs.backends.base import Backend, Worker
from core.runs.backends.process import ProcessBackend
from core.runs.backends.thread import ThreadBackend

__all__ = ["Backend", "ProcessBackend", "ThreadBackend", "Worker"]
