"""The store of a home: everything that must survive the processes which write it."""

from __future__ import annotations

from core.runs.claims import ClaimTable
from core.runs.database import Database
from core.runs.events import EventTable
from core.runs.points import PointTable
from core.runs.table import RunTable
from core.settings import Home

__all__ = ["Store"]


class Store:
    """Runs, points, events, requests and claims in one SQLite file.

    Parameters
    ----------
    home
        The home folder, which must exist.

    Raises
    ------
    StorageError
        If the file is damaged, was written by a newer version, or cannot be written.
    """

    def __init__(self, home: Home) -> None:
        self.home = home
        self.db = Database(home.store)
        self.runs = RunTable(self.db, home)
        self.points = PointTable(self.db)
        self.events = EventTable(self.db)
        self.claims = ClaimTable(self.db)

    def close(self) -> None:
        """Close the connections."""
        self.db.close()
