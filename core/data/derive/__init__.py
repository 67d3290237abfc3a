"""Finetuning sets: made from a chosen part of development data by recorded steps."""

from core.data.derive.run import Derived, derive
from core.data.derive.write import provenance_path, read_provenance, write_derived

__all__ = ["Derived", "derive", "provenance_path", "read_provenance", "write_derived"]
