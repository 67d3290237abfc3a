"""Configs that form, YAML file, command line and run record share."""

from core.config.files import apply_sets, load_plan, plan_from_dict, plan_from_yaml, plan_to_yaml, problems
from core.config.graph import (
    EDGE_TYPES,
    AttnEdges,
    CoocEdges,
    CorpusConfig,
    DepEdges,
    EdgeConfig,
    EdgeType,
    GraphConfig,
    GraphRuntime,
    LinkConfig,
    ProbeConfig,
    SimEdges,
    VectorConfig,
)
from core.config.kinds import RunConfig, config_from_dict, kind_of, load_config, title_of_kind
from core.config.plan import (
    Backend,
    Columns,
    DataConfig,
    EarlyStopping,
    GuardConfig,
    ModelConfig,
    OptimizerConfig,
    ParameterGroup,
    Plan,
    RuntimeConfig,
    ScheduleConfig,
    Stage,
    TaskConfig,
)

__all__ = [
    "EDGE_TYPES", "AttnEdges", "Backend", "Columns", "CoocEdges", "CorpusConfig", "DataConfig", "DepEdges",
    "EarlyStopping", "EdgeConfig", "EdgeType", "GraphConfig", "GraphRuntime", "GuardConfig", "LinkConfig",
    "ModelConfig", "OptimizerConfig", "ParameterGroup", "Plan", "ProbeConfig", "RunConfig", "RuntimeConfig",
    "ScheduleConfig", "SimEdges", "Stage", "TaskConfig", "VectorConfig", "apply_sets", "config_from_dict", "kind_of",
    "load_config", "load_plan", "plan_from_dict", "plan_from_yaml", "plan_to_yaml", "problems", "title_of_kind",
]  # fmt: skip
