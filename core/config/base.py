"""The base of all configs."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

__all__ = ["ADVANCED", "Config"]

#: ``json_schema_extra`` of a field that forms fold away.
ADVANCED: dict[str, Any] = {"advanced": True}


class Config(BaseModel):
    """Base of all configs: unknown keys are refused, values are checked on assignment too."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, protected_namespaces=())
