"""The class that loads a task's model: one of stock transformers, or one of a head that points."""

from __future__ import annotations

from typing import Any

__all__ = ["model_class"]


def model_class(name: str) -> Any:
    """Return the class by its name.

    Parameters
    ----------
    name
        ``auto_class`` of a task.
    """
    if name == "AutoModelForDependency":
        from core.models.pointer.dependency import AutoModelForDependency

        return AutoModelForDependency
    if name == "AutoModelForPointers":
        from core.models.pointer.model import AutoModelForPointers

        return AutoModelForPointers
    import transformers

    return getattr(transformers, name)
