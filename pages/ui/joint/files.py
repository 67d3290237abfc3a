"""Plans of either form, one task or several together, as YAML files that fill the form which they belong to."""

from __future__ import annotations

from core.config import Plan
from core.config.files import apply_sets, mapping_from_yaml, validated
from core.config.joint import JointPlan
from core.config.kinds import title_of_kind
from core.errors import ConfigError
from pages.ui.joint import session
from pages.ui.joint.mode import choose_mode
from pages.ui.planner_draft import load, using

__all__ = ["plan_of_text", "show_plan"]


def plan_of_text(text: str, where: str) -> Plan | JointPlan:
    """Read a plan of training; ``kind: joint`` at its top says that it has several tasks.

    Raises
    ------
    ConfigError
        If it is no YAML, the config of another kind of run, or not valid; keys and lines are named.
    """
    data, lines = mapping_from_yaml(text, where)
    kind = str(data.get("kind", "train"))
    if kind == "joint":
        return validated(JointPlan, data, where=where, lines=lines)
    if kind != "train":
        raise ConfigError(
            f"This file is for a run of another kind: {title_of_kind(kind)[:60].lower()}.", where=where,
            expected="a plan of training, with the key stages, or with kind: joint and tasks",
            advice=f"`bertloom run {where}` starts it.",
        )  # fmt: skip
    data.pop("kind", None)
    return validated(Plan, apply_sets(data, ()), where=where, lines=lines)


def show_plan(plan: Plan | JointPlan, *, origin: str = "", parent: str | None = None) -> None:
    """Fill the form that a plan belongs to, and show it."""
    if isinstance(plan, JointPlan):
        session.load(plan, origin=origin, parent=parent)
    else:
        with using(""):
            load(plan, origin=origin, parent=parent)
    choose_mode(isinstance(plan, JointPlan))
