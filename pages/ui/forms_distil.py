"""Fields of a distillation in a form: which there are, and which have a meaning beside the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pages.ui.forms_stages import dig

__all__ = ["fields_within", "relevant_within"]


def fields_within(path: str, value: Any) -> list[str]:
    """Return the fields within a distillation: of its parts, and of each row of its lists."""
    if isinstance(value, Mapping) and not path.endswith(".labels"):  # a teacher's labels are one field
        return [found for name, one in value.items() for found in fields_within(f"{path}.{name}", one)]
    if path.endswith((".distil.teachers", ".distil.states")) and isinstance(value, list):
        return [found for number, row in enumerate(value) for found in fields_within(f"{path}.{number}", row)]
    return [] if path.endswith((".distil", ".distil.selection")) else [path]


def relevant_within(prefix: str, name: str, state: Mapping[str, Any]) -> bool:
    """Tell whether a field of a distillation has a meaning beside the others."""
    owner, _, last = name.rpartition(".")
    if owner.endswith("schedule") and last in ("to", "begin", "end"):
        shape = dig(state, f"{prefix}.{owner}.name")
        return shape != "constant" and not (last == "end" and shape == "step")
    match name:
        case "sharpness":
            return bool(dig(state, f"{prefix}.differences"))
        case "cache_limit_mb":
            return bool(dig(state, f"{prefix}.cache"))
        case "maps_lr":
            return any(one.get("kind") in ("hidden", "embedding") for one in dig(state, f"{prefix}.states") or ())
    if name.startswith("teachers.") and last == "weight":
        return len(dig(state, f"{prefix}.teachers") or ()) > 1
    if name.startswith("states.") and owner.count(".") == 1:
        kind = dig(state, f"{prefix}.{owner}.kind")
        match last:
            case "distance" | "map" | "positions":
                return kind in ("hidden", "embedding")
            case "layers":
                return kind != "embedding"
            case "heads":
                return kind == "relation"
    return True
