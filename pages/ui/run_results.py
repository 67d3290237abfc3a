"""The Results tab of a run: scores with intervals, what it confuses, its worst predictions, and the data it read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from core.runs.records import RunRecord, Status
from pages.ui.components import Card, card_row, empty_state
from pages.ui.format import count, interval, metric_name, metric_value, number, percent, plain
from pages.ui.run_answers import answer_cards, answers_part
from pages.ui.run_report import report_part
from pages.ui.run_sets import sets_part
from pages.ui.run_stages import estimate_part, stages_part
from pages.ui.run_trees import tree_cards, trees_part

__all__ = ["circumstances", "results_tab", "scores_part"]

#: Metrics in the order in which they are shown; others follow.
_ORDER = (
    "las", "uas", "labelled_accuracy", "strict_f1", "span_f1", "pointer_accuracy", "tree_share", "accuracy", "f1", "em",
    "macro_f1", "micro_f1", "mcc", "precision", "recall", "span_precision",
    "span_recall", "loss",
)  # fmt: skip
_LEVELS = {
    "error": (":material/error:", "red"),
    "warning": (":material/warning:", "orange"),
    "info": (":material/info:", "gray"),
}


def results_tab(run: RunRecord) -> None:
    """Show the results of a run, or why there are none."""
    from pages.ui.studio import studio

    results, report = studio().runs.results(run.id), studio().runs.data_report(run.id)
    sets_part(run, report or {})
    if not results:
        words = (
            "Scores are computed on the test rows, once, after the last step."
            if _goes_on(run)
            else "This run did not get to the test rows."
        )
        with empty_state(
            "No results yet" if _goes_on(run) else "No results", words, icon=":material/analytics:", key="no_results"
        ):
            pass
    else:
        scores_part(results.get("metrics") or {}, results.get("details") or {}, lambda: stages_part(results))
        estimate_part(run)
    left, right = st.columns(2, gap="large") if results and report else (st.container(), st.container())
    if report:
        with left:
            _data(report)
    if results:
        with right:
            circumstances(results)
        if run.kind == "train":
            report_part(run)


def scores_part(
    metrics: Mapping[str, float], details: Mapping[str, Any], between: Callable[[], None] = lambda: None
) -> None:
    """Show the scores of a task, what it confuses and its worst predictions; something may stand between them."""
    role = "test" if details.get("test") else "gate"
    _scores(metrics, details, role)
    between()
    part = details.get(role) or {}
    if part.get("breakdown"):
        answers_part(part, role)
    elif part.get("arcs"):
        trees_part(part, role)
    else:
        _confusions(part, role)
        _worst(part, role)


def _goes_on(run: RunRecord) -> bool:
    return run.status.active or run.status in (Status.QUEUED, Status.PAUSED)


# -- scores ----------------------------------------------------------------------------------------------------------
def _rank(name: str) -> tuple[int, str]:
    return (_ORDER.index(name) if name in _ORDER else len(_ORDER), name)


def _scores(metrics: Mapping[str, float], details: Mapping[str, Any], role: str) -> None:
    st.markdown(f"##### Scores on {role}")
    part = details.get(role) or {}
    rows = count(part["n"]) if part.get("n") else None
    said = [
        "Scored once, by the best checkpoint."
        if role == "test"
        else "These rows picked the checkpoint, so the scores are optimistic."
    ]
    if rows:
        said.append(f"{rows} rows.")
    if part.get("intervals"):
        said.append("Intervals: 95 %, bootstrap over rows. They say nothing about another seed.")
    st.caption(plain(" ".join(said)))
    cards = []
    for name in sorted((key.removeprefix(f"{role}/") for key in metrics if key.startswith(f"{role}/")), key=_rank):
        spread = interval(name, (part.get("intervals") or {}).get(name))
        cards.append(
            Card(metric_name(name), metric_value(name, metrics[f"{role}/{name}"]), f"95 %: {spread}" if spread else "")
        )
    majority = part.get("majority")
    if isinstance(majority, int | float):
        cards.append(Card("Majority label", metric_value("accuracy", majority), "always the most frequent label"))
    for name, value in (part.get("baseline") or {}).items():
        if f"{role}/{name}" in metrics and name == "strict_f1":
            cards.append(Card("Most frequent tag", metric_value(name, value), "a word's usual tag, no model"))
        if f"{role}/{name}" in metrics and name == "span_f1":
            cards.append(Card("Known entities", metric_value(name, value), "looked up in training, no model"))
    cards += answer_cards(part) + tree_cards(part)
    if cards:
        card_row(cards, key="run_cards_scores")


def _confusions(part: Mapping[str, Any], role: str) -> None:
    from core.render.look import CONFIG
    from core.render.run_figures import confusion_matrix, entity_scores
    from pages.ui.planner_look import look

    confusion, entities, by_label = part.get("confusion"), part.get("entities"), part.get("per_label")
    if isinstance(confusion, dict) and confusion.get("matrix"):
        figure = confusion_matrix([str(label) for label in confusion["labels"]], confusion["matrix"], look(), role=role)
        few = len(confusion["labels"]) <= 6
        left, right = st.columns(2, gap="medium") if few and by_label else (st.container(), st.container())
        with left.container(border=True, key="run_confusion"):
            st.plotly_chart(figure, theme=None, config=CONFIG, key="confusion_figure")
        if by_label:
            with right:
                _table(by_label, "label", key="label_table")
    elif by_label:
        _table(by_label, "label", key="label_table")
    if entities:
        with st.container(border=True, key="run_entities"):
            st.plotly_chart(entity_scores(entities, look(), role=role), theme=None, config=CONFIG, key="entity_figure")
        _table(entities, "type", key="entity_table")
    if part.get("stretches"):
        _stretches(part["stretches"])


_GROUPS = {"nesting": "Entity", "words": "Words"}


def _stretches(items: Sequence[Mapping[str, Any]]) -> None:
    """Show how well entities are found that share words with another one, and those of each length."""
    named = [{**item, "entities": f"{_GROUPS.get(str(item['by']), item['by'])}: {item['value']}"} for item in items]
    _table(named, "entities", key="stretch_table")
    st.caption(
        "Whether an entity overlaps another one is asked of the gold; a wrong answer overlaps if it shares a word with "
        "another answer."
    )


def _table(items: Sequence[Mapping[str, Any]], name: str, *, key: str) -> None:
    """Show precision, recall and F1 by label or entity type."""
    st.dataframe([_scored(item, name) for item in items], hide_index=True, width="stretch", key=key)


def _scored(item: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {
        name: str(item.get(name)),
        "F1": percent(item.get("f1")),
        "95 % of F1": interval("f1", item.get("interval")),
        "precision": percent(item.get("precision")),
        "recall": percent(item.get("recall")),
        "support": item.get("support"),
    }


def _worst(part: Mapping[str, Any], role: str) -> None:
    worst = part.get("worst")
    if not worst:
        return
    st.markdown(f"##### Worst predictions on {role}")
    st.caption("The rows with the highest loss. Wrong gold labels often show up here first.")
    rows = [
        {
            "row": item.get("row"),
            "text": str(item.get("text", "")),
            "gold": _words(item.get("gold")),
            "predicted": _words(item.get("predicted")),
            "confidence": _percent(item.get("confidence")),
            "loss": item.get("loss"),
        }
        for item in worst
    ]
    st.dataframe(
        rows,
        hide_index=True,
        width="stretch",
        height=min(38 + 35 * len(rows), 420),
        key="worst_table",
        column_config={
            "row": st.column_config.NumberColumn("Row", width="small", help="Number of the row in its source, from 1."),
            "text": st.column_config.TextColumn("Text", width="large"),
            "gold": "Gold",
            "predicted": "Predicted",
            "confidence": st.column_config.NumberColumn(
                "Confidence", format="%.1f %%", help="Probability of the predicted label."
            ),
            "loss": st.column_config.NumberColumn("Loss", format="%.3f"),
        },
    )


def _percent(share: Any) -> float | None:
    return 100 * share if isinstance(share, int | float) else None


def _words(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


# -- circumstances ---------------------------------------------------------------------------------------------------
def circumstances(results: Mapping[str, Any]) -> None:
    """Show what was chosen for a run, and where it ran."""
    rows = [(name, value) for part in ("choices", "environment") for name, value in (results.get(part) or {}).items()]
    if not rows:
        return
    st.markdown("##### What was chosen, and where it ran")
    st.dataframe(
        [{"setting": name.replace("_", " "), "value": _value(value)} for name, value in rows],
        hide_index=True,
        width="stretch",
    )


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number(value, 4) if isinstance(value, float) else str(value)
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_value(part)}" for name, part in value.items())
    return _words(value)


def _data(report: Mapping[str, Any]) -> None:
    from core.render.curve_figures import class_balance
    from core.render.look import CONFIG
    from pages.ui.planner_look import look

    st.markdown("##### Data that was read")
    findings = report.get("findings") or []
    for finding in findings:
        icon, colour = _LEVELS.get(str(finding.get("level")), _LEVELS["info"])
        where = f" :gray[({plain(finding['where'], 120)})]" if finding.get("where") else ""
        st.markdown(f":{colour}[{icon}] {plain(finding.get('message', ''), 400)}{where}")
    balance = {role: dict(labels) for role, labels in (report.get("balance") or {}).items() if labels}
    if balance:
        with st.container(border=True, key="run_balance"):
            st.plotly_chart(class_balance(balance, look()), theme=None, config=CONFIG, key="balance_figure")
    if not findings and not balance:
        st.caption("The check before training found nothing to report.")
