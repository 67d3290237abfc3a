"""How tasks share the steps, and how they are trained: two cards of a joint plan's form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from pages.ui.format import metric_name, plain
from pages.ui.forms_fields import SECTIONS, STAGE_FIELDS, STAGE_MORE
from pages.ui.forms_relevant import relevant
from pages.ui.joint.held import SHARED, STAGE, Joint, draft_of, problem_key, slot
from pages.ui.joint.parts import TRAINING
from pages.ui.joint.widgets import own_field
from pages.ui.joint.words import metrics
from pages.ui.planner_draft import Draft, using
from pages.ui.planner_widgets import field, fields, folded, section

__all__ = ["MAIN", "MORE", "STOPPING", "mixing_section", "runtime_section", "training_section"]

STOPPING = ("early_stopping.patience", "early_stopping.min_delta")


def _trained(name: str) -> bool:
    return name.partition(".")[0] in TRAINING


#: Fields that are always shown.
MAIN: tuple[str, ...] = tuple(name for name in STAGE_FIELDS["train"] if _trained(name))
#: Heading → fields that are folded away.
MORE: dict[str, tuple[str, ...]] = {
    title: kept for title, names in STAGE_MORE.items()
    if (kept := tuple(name for name in names if _trained(name) and name not in (*MAIN, *STOPPING)))
}  # fmt: skip


def mixing_section(now: Joint, hints: Mapping[str, str]) -> None:
    """Draw whose step it is, how losses are weighed, and what is done about conflicts."""
    with section(
        3, "Together", "Whose turn a step is, how the losses are weighed, and what happens where tasks disagree.",
        key="joint_mixing",
    ):  # fmt: skip
        _row(now, ("mixing_alpha", "mixing_alpha_end", "mixing_monitor_every"), hints)
        own_field(now, "mixing_weights", hint=hints.get("mixing.weights", ""))
        with st.container():
            if now.mixing["weights"] == "uncertainty":
                own_field(now, "mixing_weights_lr")
        own_field(now, "mixing_pcgrad", hint=hints.get("mixing.pcgrad", ""))
        for name, title, shown in (
            ("quota", "Quotas: examples to train on", len(now.order) > 1),
            ("weight", "Weights: what each loss is multiplied by", now.mixing["weights"] == "fixed"),
        ):
            with st.container():
                wrong = any(problem_key(now, f"{number}_{name}") in now.problems for number in now.order)
                if shown or wrong or any(own[name] not in (None, 1.0) for own in now.own.values()):
                    st.markdown(f"**{title}**")
                    _of_tasks(now, name, hints)


def training_section(now: Joint, shared: Draft, hints: Mapping[str, str]) -> None:
    """Draw the fields of the training, and which combination of scores decides."""
    with using(SHARED), section(
        4, "Training", "One optimiser for all. An epoch is one pass over the rows of every task.", key="joint_training"
    ):  # fmt: skip
        fields(shared, [f"{STAGE}{name}" for name in MAIN])
        st.markdown(
            "**Best checkpoint and early stopping**",
            help="The mean of the tasks' scores on their gate rows (gate/combined) picks the best checkpoint.",
        )
        for number in now.order:
            _decides(now, number, hints)
        fields(shared, [f"{STAGE}{name}" for name in STOPPING], columns=2)
        paths = [f"{STAGE}{name}" for names in MORE.values() for name in names]
        wrong = sum(path in shared.beside for path in paths)
        label = f"Advanced · {wrong} to mend" if wrong else "Advanced"
        with st.expander(label, expanded=bool(wrong), key="joint_more_training"):
            for title, names in MORE.items():
                kept = [f"{STAGE}{name}" for name in names if relevant(f"{STAGE}{name}", shared.state)]
                if kept:
                    st.markdown(f"**{title}**")
                    fields(shared, kept)


def runtime_section(shared: Draft) -> None:
    """Draw where the run executes."""
    with using(SHARED), section(
        5, "Runtime", "Where the run executes. The defaults fit most machines.", key="joint_runtime"
    ):  # fmt: skip
        fields(shared, SECTIONS["runtime"][0], columns=2)
        if shared.state.get("runtime.backend") == "thread":
            st.caption(":material/info: A run in this process shares its time with the dashboard and stops with it.")
        folded(shared, "runtime")


def _decides(now: Joint, number: int, hints: Mapping[str, str]) -> None:
    """Draw which metric of a task counts, and how much."""
    row = st.columns([3, 1], gap="medium")
    with row[0], using(slot(number)) as one:
        field(
            one, f"{STAGE}metric", options=metrics(draft_of(number)), format_func=metric_name, free=False,
            placeholder="the task's own", label=f"Score of {plain(now.name(number), 40)}",
        )  # fmt: skip
    with row[1]:
        path = f"{number}_share"
        own_field(now, path, hint=hints.get(problem_key(now, path), ""))


def _of_tasks(now: Joint, name: str, hints: Mapping[str, str], columns: int = 3) -> None:
    """Draw one field of every task, called after the task."""
    for start in range(0, len(now.order), columns):
        row = st.columns(columns, gap="medium")
        for column, number in zip(row, now.order[start : start + columns], strict=False):
            path = f"{number}_{name}"
            with column:
                own_field(now, path, hint=hints.get(problem_key(now, path), ""), label=plain(now.name(number), 40))


def _row(now: Joint, paths: Sequence[str], hints: Mapping[str, str]) -> None:
    for column, path in zip(st.columns(len(paths), gap="medium"), paths, strict=True):
        with column:
            own_field(now, path, hint=hints.get(path.replace("_", ".", 1), ""))
