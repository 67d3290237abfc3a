"""Which config belongs to which kind of run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeAlias

from core.config.claims import ClaimConfig
from core.config.comparison import Comparison
from core.config.distil import DistilConfig
from core.config.files import apply_sets, mapping_from_yaml, read_text, validated
from core.config.graph import GraphConfig, LinkConfig, ProbeConfig
from core.config.joint import JointPlan
from core.config.plan import Plan
from core.config.statistics import StatisticsConfig
from core.config.structure import StructureConfig
from core.errors import ConfigError

__all__ = ["RunConfig", "config_from_dict", "kind_of", "load_config", "title_of_kind"]

RunConfig: TypeAlias = (
    Plan | GraphConfig | ProbeConfig | LinkConfig | ClaimConfig | StatisticsConfig | DistilConfig | StructureConfig
    | Comparison
    | JointPlan
)  # fmt: skip

_CONFIGS: dict[str, type[RunConfig]] = {
    "train": Plan,
    "graph": GraphConfig,
    "probe": ProbeConfig,
    "link": LinkConfig,
    "claim": ClaimConfig,
    "compare": Comparison,
    "stats": StatisticsConfig,
    "distil": DistilConfig,
    "structure": StructureConfig,
    "joint": JointPlan,
}
_TITLES = {
    "train": "Training", "graph": "Word graph", "probe": "Structural probe", "link": "Graph network",
    "claim": "Claim", "stats": "Statistics of layers", "distil": "Distilled student",
    "structure": "Structure search", "compare": "Comparison",
    "joint": "Joint training",
}  # fmt: skip


def config_from_dict(kind: str, data: dict[str, Any], *, where: str) -> RunConfig:
    """Validate the config of a run of some kind; a kind without a config of its own has a plan.

    Raises
    ------
    ConfigError
        If it is not valid.
    """
    return validated(_CONFIGS.get(kind, Plan), data, where=where)


def kind_of(config: RunConfig) -> str:
    """Return the kind of run that a config is for."""
    return "train" if isinstance(config, Plan) else config.kind


def load_config(path: str | Path, sets: Iterable[str] = ()) -> RunConfig:
    """Read the config of a run from a YAML file; ``kind`` at its top says which, a plan of training has none.

    Raises
    ------
    ConfigError
        If the file cannot be read, names an unknown kind, or is not valid; the key and its line are named.
    """
    where = str(path)
    data, lines = mapping_from_yaml(read_text(path), where)
    data = apply_sets(data, sets)
    kind = data.get("kind", "train")
    if kind not in _CONFIGS:
        raise ConfigError(
            f"There is no kind of run {str(kind)[:60]!r}.", where=f"{where}, key kind",
            expected=f"{_listed()}; a plan of training has no key kind",
        )  # fmt: skip
    if kind == "train":
        data.pop("kind", None)
    return validated(_CONFIGS[kind], data, where=where, lines=lines)


def _listed() -> str:
    *first, last = (kind for kind in _CONFIGS if kind != "train")
    return f"{', '.join(first)} or {last}"


def title_of_kind(kind: str) -> str:
    """Return what people call a kind of run."""
    return _TITLES.get(kind, kind)
