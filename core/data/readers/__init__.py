"""Readers: whatever a plan names as its source becomes a stream of raw rows."""

from core.data.readers.base import MAX_CELL, RawRow, Source, UnusableData, shown
from core.data.readers.open import open_source

__all__ = ["MAX_CELL", "RawRow", "Source", "UnusableData", "open_source", "shown"]
