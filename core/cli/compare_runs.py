"""``bertloom compare new``, ``run``, ``more``, ``show``, ``report``: strategies trained and judged on your own data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from core.cli.output import CANCELLED, DONE, FAILED, JsonOption, answer, console, errors, note, visible
from core.cli.report import HtmlOption, MarkdownOption, written
from core.cli.runs import follow
from core.config import Comparison, apply_sets
from core.config.comparison_file import comparison_yaml, preset, presets
from core.config.files import mapping_from_yaml, read_text, validated
from core.errors import ConfigError
from core.runs.records import RunRecord, Status

__all__ = ["new_comparison", "register"]

_LOOKS = {"a": "bold green", "b": "bold green", "equivalent": "bold cyan"}
#: Rows of a task that a comparison of a few minutes takes.
_ROWS = {"train_rows": 1000, "gate_rows": 300, "test_rows": 1000}
_HEADER = """\
# A comparison: every strategy learns every task with every seed, all with the same budget.
# bertloom compare run COMPARE.yaml      trains and judges; Ctrl-C stops it, `bertloom resume ID` goes on
"""


def register(app: typer.Typer) -> None:
    """Add the commands to the group ``compare``."""
    for name, command in (("new", new), ("run", run), ("more", more), ("show", show), ("report", report)):
        app.command(name)(command)


def new(
    strategies: Annotated[
        str, typer.Option(metavar="A,B", help=f"Strategies to compare: {', '.join(presets())}.")
    ] = "single,single-frozen",
    tasks: Annotated[
        str,
        typer.Option(metavar="DATA,…", help="Bundled samples, files or hub:NAME; DATA=KIND says what is learnt there."),
    ] = "reviews",
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Seeds; with fewer than 5 there is no verdict.")] = 5,
    budget: Annotated[
        Literal["steps", "examples"], typer.Option(help="What is the same for all: optimiser steps, or examples.")
    ] = "steps",
    model: Annotated[str, typer.Option(help="bundled, a model folder, or hub:NAME.")] = "bundled",
    margin: Annotated[float, typer.Option(help="Differences of scores below this do not matter.")] = 0.01,
    sets: Annotated[
        list[str] | None, typer.Option("--set", help="Change a field: key.path=value. May be repeated.")
    ] = None,
) -> None:
    """Print a comparison as YAML, to look at, change and run."""
    with errors():
        config = new_comparison(
            strategies.split(","), tasks.split(","), seeds=seeds, rule=budget, model=model, margin=margin,
            sets=sets or [],
        )  # fmt: skip
        typer.echo(_HEADER + comparison_yaml(config), nl=False)


def new_comparison(
    strategies: list[str],
    tasks: list[str],
    *,
    seeds: int = 5,
    rule: str = "steps",
    model: str = "bundled",
    margin: float = 0.01,
    sets: list[str],
) -> Comparison:
    """Return a comparison of ready strategies on some data.

    Raises
    ------
    ConfigError
        If there is no such strategy, or the data cannot be used.
    """
    chosen = []
    for name in (one.strip() for one in strategies):
        if name not in presets():
            raise ConfigError(
                f"There is no ready strategy {name!r}.", where="--strategies", expected=", ".join(presets()),
                advice="Others can be written into the file: sharing, head, encoder, and fields of the stage.",
            )  # fmt: skip
        chosen.append(preset(name).model_dump(mode="json", exclude_defaults=True))
    learnt = [_task(one) for one in tasks]
    if len(learnt) > 1 and any(one.get("sharing") == "joint" for one in chosen):
        for one in learnt:  # one task may be judged on texts that another one trains on: those are dropped
            one["data"]["drop_duplicates"] = True
    fields: dict[str, Any] = {
        "name": f"{', '.join(strategies)}"[:120], "strategies": chosen, "tasks": learnt,
        "seeds": seeds, "budget": {"rule": rule}, "model": {"source": model}, "margin": margin,
    }  # fmt: skip
    return validated(Comparison, apply_sets(fields, sets), where="compare new")


def _task(given: str) -> dict[str, Any]:
    """Return the task for ``DATA`` or ``DATA=KIND``."""
    from core.data.samples import samples

    data, _, kind = given.strip().partition("=")
    sample = {one.name: one for one in samples()}.get(data)
    if not kind:
        kind = sample.tasks[0] if sample and sample.tasks else "classification"
    name = data if sample else Path(data.removeprefix("hub:")).stem
    settings = sample.settings if sample and kind in sample.tasks else {}
    return {"name": name[:40], "task": {"kind": kind, **settings}, "data": {"source": data, **_ROWS}}


def run(
    file: Annotated[Path, typer.Argument(metavar="COMPARE.yaml", help="What `bertloom compare new` prints.")],
    sets: Annotated[
        list[str] | None, typer.Option("--set", help="Change a field: key.path=value. May be repeated.")
    ] = None,
    dry: Annotated[bool, typer.Option("--dry", help="Only say how long it would take.")] = False,
    now: Annotated[bool, typer.Option("--now", help="Do not wait for the queue of this home.")] = False,
    as_json: bool = JsonOption,
) -> None:
    """Train every strategy on every task with every seed, and judge. Ctrl-C stops; `bertloom resume ID` goes on."""
    with errors(as_json):
        data, lines = mapping_from_yaml(read_text(file), str(file))
        if data.get("kind", "compare") != "compare":
            raise ConfigError(
                f"This file is for a run of another kind: {str(data['kind'])[:60]!r}.", where=f"{file}, key kind",
                expected="compare", advice="`bertloom run` starts runs of any kind.",
            )  # fmt: skip
        config = validated(Comparison, apply_sets(data, sets or []), where=str(file), lines=lines)
        _start(config, dry=dry, now=now, as_json=as_json)


def more(
    run_id: Annotated[str, typer.Argument(metavar="ID", help="A finished comparison: its id, or the start of it.")],
    seeds: Annotated[int, typer.Option(min=2, max=100, help="Seeds that it shall have altogether.")],
    dry: Annotated[bool, typer.Option("--dry", help="Only say how long it would take.")] = False,
    now: Annotated[bool, typer.Option("--now", help="Do not wait for the queue of this home.")] = False,
    as_json: bool = JsonOption,
) -> None:
    """Add seeds to a comparison: the runs that are there are taken over, all is judged anew."""
    from core.api import Studio

    with errors(as_json):
        studio = Studio(watch=False)
        try:
            config = studio.comparisons.with_seeds(studio.runs.find(run_id).id, seeds)
        finally:
            studio.close()
        if not as_json:
            note("Adding seeds until somebody wins finds winners where there are none: say beforehand how many.")
        _start(config, dry=dry, now=now, as_json=as_json)


def _start(config: Comparison, *, dry: bool, now: bool, as_json: bool) -> None:
    from core.api import Studio

    studio = Studio(watch=not dry)
    try:
        if dry:
            found = studio.comparisons.estimate(config)
            low, high = (f"{found[key] / 60:.1f}" for key in ("seconds_low", "seconds_high"))
            answer(found, as_json=as_json, text=f"{found['runs']} runs, {low} to {high} minutes.")
            return
        run_id = studio.comparisons.submit(config, now=now)
        if not as_json:
            note(f"Run {run_id}: {studio.comparisons.count(config)} runs")
        record = follow(studio, run_id, quiet=as_json)
        view = studio.comparisons.view(run_id)
    finally:
        studio.close()
    _ended(record, view, as_json=as_json)


def _ended(record: RunRecord, view: dict[str, Any], *, as_json: bool) -> None:
    value = {name: view[name] for name in ("id", "status", "verdicts", "standings", "costs", "transfer", "runs")}
    if record.error:
        value["error"] = record.error
    answer(value, as_json=as_json, text=view_text(view))
    if record.status is Status.FINISHED:
        raise typer.Exit(DONE)
    if record.error:
        console.print(f"[bold red]Failed[/] {escape(visible(str(record.error.get('message'))))}")
    note(f"The comparison is {record.status.value}. `bertloom resume {record.id}` goes on with the runs that are left.")
    raise typer.Exit(CANCELLED if record.status in (Status.CANCELLED, Status.CANCELLING) else FAILED)


def show(
    run_id: Annotated[str, typer.Argument(metavar="ID", help="A comparison: its id, the start of it, or its name.")],
    as_json: bool = JsonOption,
) -> None:
    """Show what a comparison has shown so far. Nothing is judged before all its runs are there."""
    with errors(as_json):
        view, _ = _looked_up(run_id)
        answer(view, as_json=as_json, text=view_text(view))


def report(
    run_id: Annotated[str, typer.Argument(metavar="ID", help="A comparison: its id, the start of it, or its name.")],
    html: HtmlOption = None,
    markdown: MarkdownOption = None,
    as_json: bool = JsonOption,
) -> None:
    """Report a comparison: verdicts, figures, costs, where heads point, data, plan, environment, what repeats it."""
    from core.render.comparison_report import blocks

    with errors(as_json):
        view, config = _looked_up(run_id)
        if html is None and markdown is None and not as_json:
            expected = "--html FILE, --markdown FILE or --json"
            raise ConfigError("Say what to write.", where="compare report", expected=expected)
        found = blocks(view, comparison_yaml(config), _pointed(view["id"]))
        value = {**view, "files": written(found, html, markdown)}
        answer(value, as_json=as_json, text="\n".join(value["files"]))


def _looked_up(run_id: str) -> tuple[dict[str, Any], Comparison]:
    from core.api import Studio

    studio = Studio(watch=False)
    try:
        record = studio.runs.find(run_id)
        return studio.comparisons.view(record.id), studio.comparisons.config(record.id)
    finally:
        studio.close()


def _pointed(run_id: str) -> list[dict[str, Any]]:
    from core.api import Studio

    studio = Studio(watch=False)
    try:
        return studio.comparisons.pointed(run_id)
    finally:
        studio.close()


def view_text(view: dict[str, Any]) -> Group:
    """Return a comparison for a terminal: means, then each verdict in words."""
    table = Table("task", "strategy", "score", "mean on test", "seeds", "failed", box=None, header_style="bold",
                  pad_edge=False)  # fmt: skip
    for one in view["standings"]:
        spread = f" ± {100 * one['sd']:.1f}" if one["sd"] is not None else ""
        mean = f"{100 * one['mean']:.1f}{spread} %" if one["mean"] is not None else ""
        table.add_row(
            escape(visible(one["task"])), escape(visible(one["strategy"])), one["metric"], mean, str(one["seeds"]),
            str(one["failed"] or ""),
        )  # fmt: skip
    lines: list[Text | Table] = [table, Text("")]
    if not view["verdicts"]:
        lines.append(Text(f"{view['done']} of {view['total']} runs are there. Nothing is judged before all are."))
    for one in view["verdicts"]:
        lines.append(Text(visible(one["sentence"]), style=_LOOKS.get(one["verdict"], "")))
        if one["interval"] is not None:
            low, high = (f"{100 * bound:+.2f}" for bound in one["interval"])
            told = f"  {100 * one['difference']:+.2f} points, {low} to {high}, p {one['p']:.2g}, {one['seeds']} seeds"
            lines.append(Text(told, style="dim"))
    for one in view["transfer"]:
        if one["flag"] in ("negative", "suspected"):
            word = "Negative transfer" if one["flag"] == "negative" else "Suspected negative transfer"
            lines.append(Text(visible(f"{word}: {one['joint']} on {one['task']}."), style="yellow"))
    return Group(*lines)
