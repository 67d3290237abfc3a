"""Runs: the store that remembers them, the manager that starts and watches them, the worker that executes them.

Importing this package imports neither torch nor transformers.
"""

from core.runs.records import EventRecord, RunRecord, SeriesBatch, Status

__all__ = ["EventRecord", "RunRecord", "SeriesBatch", "Status"]
