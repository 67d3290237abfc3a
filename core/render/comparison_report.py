"""The report of a comparison as blocks: headings, sentences, tables, figures, files; written as HTML or Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.render.arms_svg import ArmRow, Panel, arms_svg
from core.render.comparison_svg import curves_svg, differences_svg
from core.render.conflict_report import conflict_blocks
from core.render.pointer_report import pointer_blocks
from core.render.report_block import Block, percent, points

__all__ = ["answer_words", "blocks"]


def _bounds(bounds: Sequence[float] | None) -> str:
    return "" if not bounds else f"{points(bounds[0])} to {points(bounds[1])}"


def answer_words(value: Any, words: Sequence[str] | None = None, gold: Any = None) -> str:
    """Return gold or an answer as a person reads it: a label, labels, entities with their types, an answer's text.

    Parameters
    ----------
    value
        The answer. Heads of words are {"heads", "relations"}.
    words
        The words, where they have heads.
    gold
        What is right; heads are then told as far as they are wrong.
    """
    if isinstance(value, Mapping) and words is not None:
        return _heads_words(value, words, gold)
    if isinstance(value, list):
        told = [
            f"{one.get('text', '')} ({one.get('type', '')})" if isinstance(one, Mapping) else str(one) for one in value
        ]
        return ", ".join(told) or "none"
    return str(value) if value not in (None, "") else "(nothing)"


def _heads_words(value: Mapping[str, Any], words: Sequence[str], gold: Any) -> str:
    root = "root" if value.get("tree", True) else "none"
    relations = value.get("relations") or [""] * len(words)
    told = [
        f"{word} → {words[head - 1] if head else root}{f' ({name})' if name else ''}"
        for word, head, name in zip(words, value["heads"], relations, strict=False) if head <= len(words)
    ]  # fmt: skip
    if not isinstance(gold, Mapping):
        return ", ".join(told)
    known = gold.get("relations") or [""] * len(words)
    right = [
        head == wanted and str(name).split(":")[0] == str(other).split(":")[0]
        for head, wanted, name, other in zip(value["heads"], gold["heads"], relations, known, strict=False)
    ]
    wrong = [arc for arc, good in zip(told, right, strict=False) if not good]
    return f"{len(wrong)} wrong: {', '.join(wrong)}" if wrong else "all right"


def blocks(view: Mapping[str, Any], plan: str, pointed: Sequence[Mapping[str, Any]] = ()) -> list[Block]:
    """Return the report's blocks.

    Parameters
    ----------
    view
        As :meth:`core.studies.comparing.desk.ComparisonDesk.view` gives it.
    plan
        The comparison as YAML.
    pointed
        As :meth:`core.studies.comparing.desk.ComparisonDesk.pointed` gives it.
    """
    config = view["config"]
    found = [Block("title", f"Comparison: {view['name']}"), Block("words", _summary(view))]
    found += [Block("heading", "Verdict"), *_verdicts(view, float(config["margin"]))]
    found += [Block("heading", "Scores"), *_scores(view)]
    found += [Block("heading", "Learning curves"), *_curves(view)]
    found += [Block("heading", "Cost of one seed, all tasks together"), _costs(view)]
    found += [*_transfer(view), *conflict_blocks(view)]
    found += _breakdown(view)
    found += [*_disagreements(view), *pointer_blocks(pointed)]
    found += [Block("heading", "Data"), _data(view), Block("heading", "Runs"), _runs(view)]
    found += [Block("heading", "Environment"), _environment(view["environment"])]
    found += [Block("heading", "To repeat it"), *_commands(view, plan)]
    found = [one for one in found if one.kind != "table" or len(one.rows) > 1]
    empty = {
        at for at, one in enumerate(found)
        if one.kind == "heading" and (at + 1 == len(found) or found[at + 1].kind == "heading")
    }  # fmt: skip
    return [one for at, one in enumerate(found) if at not in empty]


def _summary(view: Mapping[str, Any]) -> str:
    config = view["config"]
    budget, margin = config["budget"], 100 * config["margin"]
    rule = (
        f"the same number of optimiser steps ({budget['steps']:,} a task)" if budget["rule"] == "steps"
        else f"the same number of examples of each task ({budget['examples']:,})"
    )  # fmt: skip
    told = [
        f"{len(config['strategies'])} strategies, {len(config['tasks'])} tasks, {config['seeds']} seeds: "
        f"{view['done']} of {view['total']} runs are there.",
        f"Every strategy has {rule}.",
        f"Differences below {margin:g} {'point' if margin == 1 else 'points'} do not matter.",
    ]
    if view["failed"]:
        told.append(f"{view['failed']} of them failed; their seeds are left out and counted.")
    return " ".join(told)


def _verdicts(view: Mapping[str, Any], margin: float) -> list[Block]:
    verdicts = view["verdicts"]
    if not verdicts:
        return [Block("words", "Nothing is judged before all runs are there.")]
    head = ("task", "score", "a", "b", "a − b, points", "95 % interval", "corrected (Holm)", "p (Holm)", "verdict",
            "seeds", "seeds needed")  # fmt: skip
    rows = [
        (
            str(one["task"]), one["metric"], one["a"], one["b"], points(one["difference"]), _bounds(one["interval"]),
            _bounds(one["interval_corrected"]), "" if one["p_corrected"] is None else f"{one['p_corrected']:.2g}",
            {"a": f"{one['a']} is better", "b": f"{one['b']} is better"}.get(one["verdict"], one["verdict"]),
            str(one["seeds"]), "" if one["seeds_needed"] is None else str(one["seeds_needed"]),
        )
        for one in verdicts
    ]  # fmt: skip
    return [
        *(Block("words", one["sentence"]) for one in verdicts),
        Block("figure", differences_svg(verdicts, title="Differences of scores on test", margin=margin),
              title="Differences of scores on test with intervals"),
        Block("table", rows=(head, *rows)),
        Block("words", "Intervals and p-values are over seeds and test rows at once where a score is known row by row, "
                       "else over seeds. Better: all corrected intervals exclude 0 and the difference is at least the "
                       "margin. Equivalent: all lie within the margin."),
    ]  # fmt: skip


def _scores(view: Mapping[str, Any]) -> list[Block]:
    found = []
    rows = [("task", "strategy", "score", "mean on test", "95 % interval", "seeds", "failed", "gate")]
    for task in view["config"]["tasks"]:
        stood = [one for one in view["standings"] if one["task"] == task["name"] and one["mean"] is not None]
        if not stood:
            continue
        arms = tuple(
            ArmRow(one["strategy"][:24], tuple(one["values"].values()), one["mean"],
                   tuple(one["interval"]) if one["interval"] else None)
            for one in stood
        )  # fmt: skip
        title = f"{task['name']}: {stood[0]['metric']} on test"
        found.append(Block("figure", arms_svg([Panel("", arms, percent=True)], title=title), title=title))
        for one in stood:
            interval = f"{percent(one['interval'][0])} to {percent(one['interval'][1])}" if one["interval"] else ""
            rows.append(
                (task["name"], one["strategy"], one["metric"], percent(one["mean"]), interval, str(one["seeds"]),
                 str(one["failed"]), percent(one["gate"]))
            )  # fmt: skip
    return [*found, Block("table", rows=tuple(rows))]


def _curves(view: Mapping[str, Any]) -> list[Block]:
    found = []
    for task, curves in view["curves"].items():
        stood = [one for one in view["standings"] if one["task"] == task]
        if not any(curves.values()):
            continue
        title = f"{task}: mean and range over the seeds"
        svg = curves_svg(
            curves, title=title, unit=stood[0]["metric"] if stood else "score",
            majority=stood[0]["majority"] if stood else None,
        )  # fmt: skip
        found.append(Block("figure", svg, title=title))
    return found


def _costs(view: Mapping[str, Any]) -> Block:
    head = ("strategy", "optimiser steps", "seconds", "memory (process), MB", "parameters", "of them shared",
            "examples seen", "runs", "failed")  # fmt: skip
    rows = [
        (
            one["strategy"], f"{one['steps']:,}", "" if one["seconds"] is None else f"{one['seconds']:,.1f}",
            "" if one["memory_mb"] is None else f"{one['memory_mb']:,.0f}",
            "" if one["parameters"] is None else f"{one['parameters']:,}",
            "" if one["shared_parameters"] is None else f"{one['shared_parameters']:,}",
            ", ".join(f"{task} {count:,}" for task, count in one["examples"].items()), str(one["runs"]),
            str(one["failed"]),
        )
        for one in view["costs"]
    ]  # fmt: skip
    return Block("table", rows=(head, *rows))


def _transfer(view: Mapping[str, Any]) -> list[Block]:
    if not view["transfer"]:
        return []
    words = {"negative": "negative transfer", "suspected": "suspected negative transfer", "positive": "gain"}
    rows = [
        (str(one["task"]), one["joint"], one["single"], points(one["difference"]), _bounds(one["interval"]),
         words.get(one["flag"] or "", ""))
        for one in view["transfer"]
    ]  # fmt: skip
    head = ("task", "joint", "single", "joint − single, points", "95 % interval", "flag")
    return [Block("heading", "What learning together gains or costs"), Block("table", rows=(head, *rows))]


def _breakdown(view: Mapping[str, Any]) -> list[Block]:
    found = []
    names = [one["name"] for one in view["config"]["strategies"]]
    for title, listed in (("Scores by class", view["classes"]), ("Scores by length", view["lengths"])):
        rows = [
            (one["task"], one["by"], one["value"], f"{one['support']:,}",
             *(percent(one["scores"].get(name)) for name in names))
            for one in listed
        ]  # fmt: skip
        if rows:
            found += [Block("heading", title), Block("table", rows=(("task", "by", "value", "rows", *names), *rows))]
    return found


def _disagreements(view: Mapping[str, Any]) -> list[Block]:
    rows = []
    for one in view["disagreements"]:
        scores = ", ".join(f"{name} {percent(one['scores'].get(name), 0)}" for name in (one["a"], one["b"]))
        answers = "; ".join(
            f"{name}: {answer_words(one['answers'][name], one.get('words'), one['gold'])}"
            for name in (one["a"], one["b"]) if name in one["answers"]
        )  # fmt: skip
        rows.append((one["task"], one["text"], answer_words(one["gold"], one.get("words")), scores, answers))
    if not rows:
        return []
    head = ("task", "text", "gold", "right, mean over seeds", "answers of the kept runs")
    return [Block("heading", "Test rows on which strategies disagree most"), Block("table", rows=(head, *rows))]


def _data(view: Mapping[str, Any]) -> Block:
    rows = [
        (name, str(one["source"]), ", ".join(f"{role} {count:,}" for role, count in one["rows"].items()),
         one["fingerprint"])
        for name, one in view["data"].items()
    ]  # fmt: skip
    return Block("table", rows=(("task", "source", "rows", "hash of rows and labels"), *rows))


def _runs(view: Mapping[str, Any]) -> Block:
    rows = []
    for one in view["runs"]:
        scores = ", ".join(f"{name} {percent(each['score'])}" for name, each in one["tasks"].items())
        rows.append(
            (one["strategy"], " + ".join(one["tasks"]), str(one["seed"]), one["failed"] or scores,
             f"{one['seconds']:,.1f}", one["run"])
        )  # fmt: skip
    return Block("table", rows=(("strategy", "task", "seed", "score on test", "seconds", "run"), *rows))


def _environment(environment: Mapping[str, Any]) -> Block:
    rows = []
    for name, value in environment.items():
        pairs = value.items() if isinstance(value, Mapping) else ((name, value),)
        rows += [(str(key), str(each)) for key, each in pairs if each is not None]
    return Block("table", rows=(("what", "value"), *rows))


def _commands(view: Mapping[str, Any], plan: str) -> list[Block]:
    return [
        Block("words", "The plan of the comparison; runs of the same plan and seed begin with the same weights."),
        Block("file", plan, title="comparison.yaml"),
        Block(
            "file", "bertloom compare run comparison.yaml --json\n"
            f"bertloom compare report {view['id']} --html report.html", title="commands",
        ),
    ]  # fmt: skip
