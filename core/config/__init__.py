"""Configs that form, YAML file, command line and run record share."""

from core.config.files import apply_sets, load_plan, plan_from_dict, plan_from_yaml, plan_to_yaml, problems
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
    "Backend", "Columns", "DataConfig", "EarlyStopping", "GuardConfig", "ModelConfig", "OptimizerConfig",
    "ParameterGroup", "Plan", "RuntimeConfig", "ScheduleConfig", "Stage", "TaskConfig", "apply_sets",
    "load_plan", "plan_from_dict", "plan_from_yaml", "plan_to_yaml", "problems",
]  # fmt: skip
