"""``bertloom claim …``: the shelf of sentences about training, tested on a person's own data."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from core.cli.output import CANCELLED, DONE, FAILED, JsonOption, answer, console, errors, note, visible
from core.cli.runs import follow
from core.config import ClaimConfig, apply_sets
from core.config.files import validated
from core.runs.records import Status
from core.studies import claim_named
from core.studies.desk import describe
from core.studies.verdicts import Judged, amount

__all__ = ["app"]

app = typer.Typer(help="Test sentences about training on your own data.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A claim: `bertloom claim list` names them.")]
_LOOKS = {"holds": "bold green", "does not hold": "bold red", "holds in part": "yellow"}


@app.command("list")
def list_claims(as_json: bool = JsonOption) -> None:
    """List the shelf: what is claimed, and what the last test on this home said."""
    from core.api import Studio

    with errors(as_json):
        studio = Studio(watch=False)
        try:
            found = studio.claims.list()
        finally:
            studio.close()
        table = Table("name", "sentence", "last test", "verdict", box=None, header_style="bold", pad_edge=False)
        for one in found:
            last = one["last"]
            when = datetime.fromtimestamp(last["time"]).strftime("%Y-%m-%d %H:%M") if last else ""
            said = ", ".join(f"{part}: {verdict}" for part, verdict in last["verdicts"].items()) if last else ""
            table.add_row(one["name"], one["sentence"], when, said or (last["status"] if last else "not tested yet"))
        answer({"claims": found}, as_json=as_json, text=table)


@app.command("run")
def run(
    name: NameArgument,
    data: Annotated[str, typer.Option(help="A bundled sample, a file, or hub:NAME.")] = "reviews",
    task: Annotated[
        str | None, typer.Option(help="classification or tagging.", show_default="what the sample is for")
    ] = None,
    model: Annotated[str, typer.Option(help="bundled, a model folder, or hub:NAME.")] = "bundled",
    part: Annotated[
        Literal["both", "head", "full"], typer.Option(help="What is trained: the head alone, everything, or both.")
    ] = "both",
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Seeds of each arm; 5 are the least for a verdict.")] = 5,
    steps: Annotated[
        int | None, typer.Option(min=10, help="Optimiser steps of each run.", show_default="as the claim says")
    ] = None,
    rows: Annotated[int | None, typer.Option(min=1, help="Training rows, at most.")] = 1000,
    delta: Annotated[float, typer.Option(help="Differences of scores below this do not matter.")] = 0.01,
    sets: Annotated[
        list[str] | None, typer.Option("--set", help="Change a field: key.path=value. May be repeated.")
    ] = None,
    dry: Annotated[bool, typer.Option("--dry", help="Only say how long it would take.")] = False,
    now: Annotated[bool, typer.Option("--now", help="Do not wait for the queue of this home.")] = False,
    as_json: bool = JsonOption,
) -> None:
    """Test a claim and wait for the verdict. Ctrl-C cancels it; `bertloom resume ID` goes on from there."""
    from core.api import Studio

    with errors(as_json):
        claim = claim_named(name)
        config = config_of(name, data, task, model, sets or [], {
            "parts": ["head", "full"] if part == "both" else [part], "seeds": seeds, "steps": steps, "delta": delta,
        }, rows)  # fmt: skip
        studio = Studio(watch=not dry)
        try:
            if dry:
                found = studio.claims.estimate(config)
                answer({"claim": name, **found}, as_json=as_json, text=_estimate(found))
                return
            run_id = studio.claims.submit(config, now=now)
            if not as_json:
                note(f"“{claim.sentence}”\n{claim.tested}\n{claim.decided}")
                note(f"Run {run_id}: {studio.claims.count(config)} runs")
            record = follow(studio, run_id, quiet=as_json)
            judged = studio.claims.verdicts(run_id)
        finally:
            studio.close()
        value = {
            "id": record.id, "status": record.status.value, **_shown(name), "seeds": config.seeds,
            "verdicts": [one.as_dict() for one in judged], "metrics": record.metrics,
        }  # fmt: skip
        if record.error:
            value["error"] = record.error
        answer(value, as_json=as_json, text=verdict_text(name, judged))
        if record.status is Status.FINISHED:
            raise typer.Exit(DONE)
        if record.error:
            console.print(f"[bold red]Failed[/] {escape(visible(str(record.error.get('message'))))}")
        note(f"The claim is {record.status.value}. `bertloom resume {record.id}` goes on with the runs that are left.")
        raise typer.Exit(CANCELLED if record.status in (Status.CANCELLED, Status.CANCELLING) else FAILED)


@app.command("show")
def show(
    run_id: Annotated[str, typer.Argument(metavar="ID", help="A claim's run: its id, the start of it, or its name.")],
    as_json: bool = JsonOption,
) -> None:
    """Show what a claim's run has shown so far: verdicts, arms, differences with their intervals."""
    from core.api import Studio

    with errors(as_json):
        studio = Studio(watch=False)
        try:
            record = studio.runs.find(run_id)
            config = studio.claims.config(record.id)
            judged = studio.claims.verdicts(record.id)
            runs = studio.claims.runs_of(record.id)
        finally:
            studio.close()
        value = {
            "id": record.id, "status": record.status.value, **_shown(config.claim), "seeds": config.seeds,
            "verdicts": [one.as_dict() for one in judged],
            "runs": [{**one.as_dict(), "documents": {}} for one in runs],
        }  # fmt: skip
        answer(value, as_json=as_json, text=verdict_text(config.claim, judged))


def config_of(
    name: str, data: str, task: str | None, model: str, sets: list[str], more: dict[str, Any], rows: int | None
) -> ClaimConfig:
    """Return the config of a claim with defaults that suit the data."""
    from core.data.samples import samples

    sample = {item.name: item for item in samples()}.get(data)
    kind = task or (sample.tasks[0] if sample and sample.tasks else "classification")
    fields: dict[str, Any] = {
        "name": f"{name} on {data if sample or data.startswith('hub:') else Path(data).stem}"[:120], "claim": name,
        "task": {"kind": kind}, "model": {"source": model},
        "data": {"source": data, "train_rows": rows, "gate_rows": 300, "test_rows": 1000},
        **{key: value for key, value in more.items() if value is not None},
    }  # fmt: skip
    return validated(ClaimConfig, apply_sets(fields, sets), where="claim run")


def _shown(name: str) -> dict[str, Any]:
    claim = describe(claim_named(name))
    return {"claim": name, **{key: claim[key] for key in ("sentence", "tested", "decided")}}


def _estimate(found: dict[str, Any]) -> str:
    low, high = (_minutes(found[key]) for key in ("seconds_low", "seconds_high"))
    return f"{found['runs']} runs, {low} to {high} minutes."


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f}" if seconds >= 600 else f"{seconds / 60:.1f}"


def verdict_text(name: str, judged: list[Judged]) -> Group:
    """Return a claim's verdicts for a terminal."""
    claim = claim_named(name)
    lines: list[Text | Table] = [Text(f"“{claim.sentence}”", style="bold")]
    for one in judged:
        what = "Head alone" if one.part == "head" else "Full training"
        lines.append(Text.assemble(f"\n{what}: ", (str(one.verdict), _LOOKS.get(str(one.verdict), "bold"))))
        lines.append(Text(visible(one.words)))
        table = Table("arm", "seeds", "failed", "score on test", "steps to target", "memory", box=None,
                      header_style="bold", pad_edge=False)  # fmt: skip
        for arm in one.standings:
            spread = f" ± {100 * arm.sd:.1f}" if arm.sd is not None else ""
            score = f"{100 * arm.mean:.1f}{spread} %" if arm.mean is not None else ""
            never = "never" if arm.never and one.target is not None else ""
            reached = f"{arm.steps:.0f}" if arm.steps is not None else never
            if arm.steps is not None and arm.never:
                reached += f" ({arm.never} never)"
            memory = amount("memory", arm.memory_mb) if arm.memory_mb is not None else ""
            table.add_row(arm.title, str(arm.seeds), str(arm.failed or ""), score, reached, memory)
        lines.append(table)
    return Group(*lines)
