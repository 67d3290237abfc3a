"""The runs' desk of the facade: everything that pages and the command line do with runs."""

from core.runs.desk.desk import RunDesk

__all__ = ["RunDesk"]
