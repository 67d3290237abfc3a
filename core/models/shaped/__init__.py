"""Encoders whose layers differ in width, heads or FFN units.

Importing this is cheap: :mod:`core.models.shaped.modeling` is what needs torch.
"""

from core.models.shaped.count import Count, Memory, count, memory

__all__ = ["Count", "Memory", "count", "memory"]
