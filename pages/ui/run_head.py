"""The top of a run's page: what it is, how it stands, what can be done with it, and its four figures."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.config import title_of_kind
from core.errors import BertloomError
from core.runs.records import RunRecord, Status
from pages.ui import keys
from pages.ui.components import Card, card_row, error_box, notice, page_header, run_url, share_done
from pages.ui.format import clock, count, duration, interval, metric_name, metric_value, number, plain, relative
from pages.ui.joint.export import tasks_with_models
from pages.ui.leaving import go
from pages.ui.planner_stage_words import metrics_of, settings_of
from pages.ui.run_dialogs import ask
from pages.ui.run_distilled import train_it
from pages.ui.studio import studio

__all__ = ["head", "primary_metric"]

_EVERY = 2.0
#: Kinds of runs that leave a word graph.
EXPLORED = ("graph", "link")


def head(run_id: str) -> None:
    """Show header and cards of a run and keep them up to date; a new status redraws the whole page."""
    run = studio().runs.get(run_id)
    seconds = _EVERY if run.status.active or run.status is Status.QUEUED else 5 * _EVERY
    st.fragment(_head, run_every=seconds)(run_id, str(run.status))


def _head(run_id: str, drawn: str) -> None:
    try:
        run = studio().runs.get(run_id)
    except BertloomError as error:
        error_box(error)
        return
    if run.status != drawn:
        st.rerun(scope="app")
    actions = page_header(run.name, _caption(run), status=run.status)
    with actions:
        _actions(run)
    done = share_done(run)
    if run.status.active:
        st.progress(done or 0.0, text=plain(_step_text(run)) or "&nbsp;")
    card_row(_cards(run), key="run_cards")


def _caption(run: RunRecord) -> str:
    plan = run.plan
    # A path says enough by its last name; the plan holds the rest.
    sources = [str((plan.get(part) or {}).get("source", "")) for part in ("data", "corpus", "model")]
    parts = [source.rstrip("/").rpartition("/")[2] for source in sources]
    if run.kind != "train":
        parts.insert(0, title_of_kind(run.kind))
    if run.started:
        parts.append(f"started {relative(run.started)}")
    else:
        parts.append(f"created {relative(run.created)}")
    if run.seconds:
        parts.append(f"{duration(run.seconds)} of work")
    if run.tags:
        parts.append(", ".join(run.tags))
    parts.append(run.id)
    return " · ".join(part for part in parts if part)


def _step_text(run: RunRecord) -> str:
    step, total, epoch = (run.progress.get(name) for name in ("step", "total_steps", "epoch"))
    phase = str(run.progress.get("phase") or run.status).replace("_", " ")
    parts = [phase]
    if step is not None and total:
        parts.append(f"step {count(step)} of {count(total)}")
    if isinstance(epoch, int | float) and epoch:
        parts.append(f"epoch {number(epoch, 3)}")
    return " · ".join(parts)


# -- actions ---------------------------------------------------------------------------------------------------------
def _actions(run: RunRecord) -> None:
    if run.child:
        _part_actions(run)
        return
    if run.kind == "structure":
        label, primary = "Open in Structure search", run.status is Status.FINISHED
        if st.button(
            label, icon=":material/architecture:", type="primary" if primary else "secondary",
            key=keys.PRIMARY if primary else "action_search",
        ):  # fmt: skip
            go("structure", {"tab": "search", "search": run.id})
    match run.status:
        case Status.STARTING | Status.RUNNING:
            _do("Pause", ":material/pause:", "pause", run, primary=True, said="Pausing: a checkpoint is written first.")
            _do("Cancel", ":material/stop:", "cancel", run, said="Cancelling: the run stops after this step.")
        case Status.QUEUED:
            _do("Cancel", ":material/stop:", "cancel", run, said="The run left the queue.")
        case Status.PAUSING | Status.CANCELLING:
            st.button("Stopping", icon=":material/hourglass_top:", disabled=True, key="action_stopping")
        case Status.FINISHED if run.kind in EXPLORED:
            if st.button("Explore", icon=":material/hub:", type="primary", key=keys.PRIMARY):
                go("explorer", {keys.GRAPH: run.id})
        case Status.FINISHED if run.kind == "stats":
            if st.button("Open in Structure search", icon=":material/architecture:", type="primary", key=keys.PRIMARY):
                go("structure", {"stats": run.id})
        case Status.FINISHED if run.kind == "distil":
            train_it(run)
        case Status.FINISHED if run.kind == "joint":
            if st.button(
                "Export", icon=":material/download:", type="primary", key=keys.PRIMARY,
                disabled=not tasks_with_models(run),
            ):  # fmt: skip
                ask("export", run.id)
            _distil(run, several=True)
        case Status.FINISHED if run.kind != "train":
            pass
        case Status.FINISHED:
            if st.button(
                "Export", icon=":material/download:", type="primary", key=keys.PRIMARY, disabled=not run.has_model
            ):
                ask("export", run.id)
            _distil(run, several=False)
        case _:
            _do("Resume", ":material/play_arrow:", "resume", run, primary=True, said="The run is back in the queue.")
    _more(run)


def _distil(run: RunRecord, *, several: bool) -> None:
    """Offer a student of the run, of a joint one a joint student with a teacher for each task."""
    kept = bool(tasks_with_models(run)) if several else run.has_model
    what = "model that learns each task from this run's model of it" if several else "model that learns from this one"
    if st.button(
        "Distil a student", icon=":material/school:", key="action_distil", disabled=not kept,
        help=f"Opens the planner with a smaller {what}, on the same rows." if kept else "Its weights were deleted.",
    ):  # fmt: skip
        go("planner", {"teacher": run.id})


def _part_actions(run: RunRecord) -> None:
    """Offer what can be done with a part of another run: that one is paused, cancelled and resumed as a whole."""
    if run.parent is not None:
        st.page_link(
            st.session_state[keys.PAGES]["run"], label="The whole run", icon=":material/arrow_upward:",
            query_params=run_url(run.parent),
        )  # fmt: skip
    if run.kind == "distil":
        train_it(run)
    elif not run.status.active and st.button(
        "Make it a plan", icon=":material/edit_note:", type="primary", key=keys.PRIMARY
    ):
        _duplicate(run)
    _more(run)


def _do(label: str, icon: str, action: str, run: RunRecord, *, said: str, primary: bool = False) -> None:
    key = keys.PRIMARY if primary else f"action_{action}"
    if st.button(label, icon=icon, type="primary" if primary else "secondary", key=key):
        try:
            getattr(studio().runs, action)(run.id)
        except BertloomError as error:
            notice(error.message())
        else:
            notice(said)
        st.rerun(scope="app")


def _more(run: RunRecord) -> None:
    options: dict[str, str] = {}
    training = run.kind in ("train", "joint")
    if run.status is Status.RUNNING and run.kind in ("train", "joint") and not run.child:
        options["save"] = ":material/save: Save a checkpoint now"
    if training:
        options["duplicate"] = ":material/content_copy: Duplicate with changes"
    options["rename"] = ":material/edit: Rename and tags"
    if run.status is not Status.FINISHED and (tasks_with_models(run) if run.kind == "joint" else run.has_model):
        options["export"] = ":material/download: Export the best weights so far"
    if not run.status.active:
        options["delete"] = ":material/delete: Delete"
    chosen = st.menu_button(
        "More", list(options), icon=":material/more_horiz:", format_func=options.__getitem__, key="action_more"
    )
    if chosen == "save":
        try:
            studio().runs.save(run.id)
            notice("A checkpoint will be written after this step.")
        except BertloomError as error:
            notice(error.message())
        st.rerun(scope="app")
    elif chosen == "duplicate":
        _duplicate(run)
    elif chosen:
        ask(chosen, run.id)


def _duplicate(run: RunRecord) -> None:
    from pages.ui.joint.files import show_plan

    plan: Any = studio().runs.config(run.id) if run.kind == "joint" else studio().runs.plan(run.id)
    copied = plan.model_copy(update={"name": f"{plan.name[:110]} (copy)"})
    show_plan(copied, origin=f"run:{run.id}", parent=run.id)
    go("planner")


# -- cards -----------------------------------------------------------------------------------------------------------
_METRICS = {"tagging": "strict_f1", "question_answering": "f1"}


def primary_metric(run: RunRecord) -> str | None:
    """Return the gate metric that picks the best checkpoint, without ``gate/``; None as long as nobody has said it."""
    if run.kind not in ("train", "joint"):
        return None
    best = run.progress.get("best")
    if isinstance(best, dict) and best.get("metric"):
        return str(best["metric"]).removeprefix("gate/")
    for stage in run.plan.get("stages", []):
        if stage.get("metric"):
            return str(stage["metric"]).removeprefix("gate/")
    if run.kind == "joint":
        return "combined"
    task = run.plan.get("task", {})
    if task.get("kind") == "dependency":
        return metrics_of("dependency", **settings_of({f"task.{name}": value for name, value in task.items()}))[0]
    if task.get("gold") == "spans":
        return "span_f1"
    if task.get("kind") in _METRICS:
        return _METRICS[task["kind"]]
    return "micro_f1" if task.get("multi_label") else "accuracy"


def _cards(run: RunRecord) -> list[Card]:
    if run.kind not in ("train", "joint"):
        cards = [
            Card(metric_name(name), number(value, 4) if isinstance(value, float) and value % 1 else count(value), "")
            for name, value in list(run.metrics.items())[:3]
        ]
        if not cards:
            cards = [Card("Now", plain(str(run.progress.get("phase") or run.status)), "")]
        return [*cards, _time_card(run)]
    batch = studio().runs.series(run.id, names=["train/loss"], max_points=200)
    return [_loss_card(batch.series.get("train/loss")), _best_card(run), _speed_card(run), _time_card(run)]


def _loss_card(series: dict[str, list[Any]] | None) -> Card:
    values = [value for value in (series or {}).get("values", []) if value is not None]
    shown = "–"
    note = "Not measured yet"
    if values:
        recent = values[-20:]
        shown = number(sum(recent) / len(recent), 3)
        note = f"began at {number(values[0], 3)}"
    return Card("Train loss", shown, note, help="Mean of the newest 20 logged values.")


def _best_card(run: RunRecord) -> Card:
    metric = primary_metric(run) or "metric"
    test = run.metrics.get(f"test/{metric}")
    if run.status is Status.FINISHED and test is not None:
        results = studio().runs.results(run.id) or {}
        bounds = results.get("details", {}).get("test", {}).get("intervals", {}).get(metric)
        spread = interval(metric, bounds)
        note = f"95 % interval {spread}" if spread else "scored once by the best checkpoint"
        return Card(metric_name(f"test/{metric}"), metric_value(metric, test), note)
    best = run.progress.get("best")
    if isinstance(best, dict) and best.get("value") is not None:
        return Card(
            metric_name(f"best gate/{metric}"),
            metric_value(metric, best["value"]),
            f"at step {count(best.get('step'))}",
        )
    return Card(metric_name(f"best gate/{metric}"), "–", "Measured at the first evaluation")


def _speed_card(run: RunRecord) -> Card:
    speed = run.progress.get("examples_per_s")
    choices = run.progress.get("choices")
    note = ""
    if isinstance(choices, dict):
        parts = [str(choices.get("precision") or ""), f"{choices['threads']} threads" if choices.get("threads") else ""]
        note = ", ".join(part for part in parts if part)
    return Card("Throughput", f"{number(speed, 3)} ex/s" if speed else "–", note or f"backend: {run.backend}")


def _time_card(run: RunRecord) -> Card:
    step, total = run.progress.get("step"), run.progress.get("total_steps")
    note = f"step {count(step)} of {count(total)}" if step is not None and total else ""
    if run.status.active or run.status is Status.QUEUED:
        return Card("Time left", clock(run.progress.get("eta_s")), note or "Known after the first steps")
    return Card("Time worked", duration(run.seconds) if run.seconds else "–", note)
