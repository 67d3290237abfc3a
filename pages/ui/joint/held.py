"""What the session keeps of a joint plan, and the names of its drafts and widgets."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from core.config.joint import JointPlan, JointTask, MixingConfig
from core.config.reference import Key, config_keys
from core.errors import BertloomError
from pages.ui.planner_draft import Draft, draft, using

__all__ = ["SHARED", "STAGE", "Before", "Joint", "draft_of", "key_of", "problem_key", "schema_of", "slot"]

#: Name of the draft that holds what all tasks share, and where its only stage lies.
SHARED, STAGE = "_joint_", "stages.0."


@dataclass
class Before:
    """What the form held before a ready plan took its place.

    Parameters
    ----------
    held
        The joint plan.
    drafts
        Its drafts, by name.
    taken
        The ready plan, as the form had it then: as long as the form has it, nothing newer can be lost.
    """

    held: Joint
    drafts: dict[str, Draft]
    taken: JointPlan | None = None


@dataclass
class Joint:
    """What the session keeps.

    Parameters
    ----------
    order
        The tasks' numbers, in order.
    own
        Number of a task → its values of :data:`pages.ui.joint.parts.OWN`.
    mixing
        The values of ``mixing``.
    rest
        Keys of the plan without a field.
    open
        The task whose fields are shown.
    fresh
        The number that the next task gets.
    generation
        Part of the keys of widgets that belong to no draft.
    called
        Number of a task → its source, and the name that it got by that.
    problems
        Messages by dotted key of the plan.
    loose
        Messages that stand beside no field.
    extra
        How many things keep a valid plan from being executed with this encoder or these tasks.
    before
        What a ready plan took the place of, if one did.
    """

    order: list[int] = field(default_factory=list)
    own: dict[int, dict[str, Any]] = field(default_factory=dict)
    mixing: dict[str, Any] = field(default_factory=dict)
    rest: dict[str, Any] = field(default_factory=dict)
    open: int | None = None
    fresh: int = 0
    generation: int = 0
    called: dict[int, tuple[str, str]] = field(default_factory=dict)
    turns: dict[str, int] = field(default_factory=dict)
    given: dict[str, Any] = field(default_factory=dict)
    request: str = field(default_factory=lambda: uuid.uuid4().hex)
    submitted: bool = False
    refused: BertloomError | None = None
    origin: str = ""
    parent: str | None = None
    plan: JointPlan | None = None
    problems: dict[str, str] = field(default_factory=dict)
    loose: list[str] = field(default_factory=list)
    extra: int = 0
    before: Before | None = None

    @property
    def wrong(self) -> int:
        """How many things need mending before this plan can be started."""
        return len(self.problems) + self.extra

    def name(self, number: int) -> str:
        """Return what a task is called, for people."""
        return str(self.own[number]["name"] or "task without a name")

    def wrong_in(self, number: int) -> int:
        """How many fields of a task need mending."""
        prefix = f"tasks.{self.order.index(number)}."
        return sum(key.startswith(prefix) for key in self.problems)


def slot(number: int) -> str:
    """Return the name of a task's draft."""
    return f"_joint{number}_"


def draft_of(number: int) -> Draft:
    """Return a task's draft."""
    with using(slot(number)):
        return draft()


def key_of(now: Joint, path: str) -> str:
    """Return the key of a widget outside of the drafts. Tests and the browser find it by this name."""
    turn = now.turns.get(path, 0)
    return f"joint{now.generation}_{path}{f'_{turn}' if turn else ''}"


def problem_key(now: Joint, path: str) -> str:
    """Return the key of the plan for such a widget's path."""
    owner, _, name = path.partition("_")
    return f"mixing.{name}" if owner == "mixing" else f"tasks.{now.order.index(int(owner))}.{name}"


def schema_of(path: str) -> Key:
    """Return the key of the schema for such a widget's path (``3_quota``, ``mixing_alpha``)."""
    owner, _, name = path.partition("_")
    return config_keys(MixingConfig if owner == "mixing" else JointTask)[name]
