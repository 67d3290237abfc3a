"""``bertloom plan check`` and ``bertloom plan curve``: what is wrong with a plan, and its learning rates."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.markup import escape
from rich.table import Table

from core.cli.output import DONE, FAILED, JsonOption, answer, console, errors, note, plain_json, visible
from core.config import Plan, apply_sets, load_plan, problems
from core.config.files import line_of, mapping_from_yaml, read_text
from core.config.joint import JointPlan
from core.errors import ConfigError, StorageError

__all__ = ["check", "curve", "register"]

PlanArgument = Annotated[Path, typer.Argument(metavar="PLAN.yaml", help="The plan.")]
SetsOption = Annotated[
    list[str] | None, typer.Option("--set", help="Change a field first: key.path=value. May be repeated.")
]
_LOOKS = {"error": "bold red", "warning": "yellow", "note": "cyan"}
#: Messages about several stages begin with the key that they concern.
_KEY = re.compile(r"^(stages\.\d+(?:\.\w+)+)\s+(.*)", re.DOTALL)
_SAME_NAME = re.compile(r"^two stages are called '(.*)'; ", re.DOTALL)


def register(app: typer.Typer) -> None:
    """Add the commands to ``bertloom plan``."""
    app.command("check")(check)
    app.command("curve")(curve)


def check(plan: PlanArgument, sets: SetsOption = None, as_json: bool = JsonOption) -> None:
    """Check a plan, of one task or a joint one, without training: the file, then rows and model.

    Exit status 1 if it cannot run as it is.
    """
    with errors(as_json, status=FAILED):
        try:
            data, lines = mapping_from_yaml(read_text(plan), str(plan))
            data = apply_sets(data, sets or [])
            model: type[Plan] | type[JointPlan] = JointPlan if data.get("kind") == "joint" else Plan
            valid = model.model_validate(data)
        except ValidationError as error:
            found = {"findings": [_placed(key, message, data) for key, message in problems(error).items()]}
        else:
            found = _against_the_world(valid)
        findings = [
            {"level": one["level"], "key": one["key"], "line": line_of(one["key"], lines), "message": one["message"],
             "advice": one.get("advice")}
            for one in found["findings"]
        ]  # fmt: skip
        ok = not any(one["level"] == "error" for one in findings)
        value = {"ok": ok, "file": str(plan), **found, "findings": findings}
        answer(value, as_json=as_json, text=_summary(value))
        if not as_json:
            for one in findings:
                _tell(one)
        raise typer.Exit(DONE if ok else FAILED)


def _against_the_world(plan: Plan | JointPlan) -> dict[str, Any]:
    from core.api import Studio

    studio = Studio(watch=False, warm=False)
    try:
        return studio.joint.check(plan) if isinstance(plan, JointPlan) else studio.check_plan(plan)
    finally:
        studio.close()


def _placed(key: str, message: str, data: dict[str, Any]) -> dict[str, Any]:
    """Return an error of the file under the key that it concerns, also where it is about several stages."""
    if not key and (match := _KEY.match(message)):
        key, message = match[1], match[2]
    if not key and (match := _SAME_NAME.match(message)):
        names = [stage.get("name") for stage in data.get("stages") or [] if isinstance(stage, dict)]
        same = [index for index, name in enumerate(names) if name == match[1]]
        key = f"stages.{same[1]}.name" if len(same) > 1 else "stages"
    return {"level": "error", "key": key, "message": message, "advice": None}


def _summary(value: dict[str, Any]) -> str:
    counts = {level: sum(one["level"] == level for one in value["findings"]) for level in _LOOKS}
    told = ", ".join(f"{count} {level}{'s' if count > 1 else ''}" for level, count in counts.items() if count)
    words = f"{value['file']}: {'can run' if value['ok'] else 'cannot run'}{f' ({told})' if told else ''}."
    if value.get("stages"):
        words += f" {value['steps']:,} optimiser steps in {len(value['stages'])} stage"
        words += "s." if len(value["stages"]) > 1 else "."
    elif value.get("steps") is not None:
        shares = ", ".join(f"{one['name']} {one['steps']:,}" for one in value["tasks"])
        words += f" {value['steps']:,} optimiser steps; batches of each task: {shares}."
    return words


def _tell(finding: dict[str, Any]) -> None:
    where = finding["key"] + (f" (line {finding['line']})" if finding["line"] else "")
    text = f"{f'{where}: ' if where else ''}{finding['message']}" + (
        f" {finding['advice']}" if finding["advice"] else ""
    )
    look = _LOOKS[finding["level"]]
    console.print(f"[{look}]{finding['level'].capitalize()}[/] {escape(visible(text))}")


def curve(
    plan: PlanArgument,
    out: Annotated[
        Path | None, typer.Option(help="File to write: .svg for a picture, .json for every step of every group.")
    ] = None,
    log: Annotated[bool, typer.Option("--log", help="Picture: logarithmic learning rate.")] = False,
    dark: Annotated[bool, typer.Option("--dark", help="Picture: on a dark ground.")] = False,
    sets: SetsOption = None,
    as_json: bool = JsonOption,
) -> None:
    """Draw the learning rate of every group over all stages, from the real number of steps, before the start."""
    from core.api import Studio

    with errors(as_json):
        kind = out.suffix.lower() if out is not None else ""
        if out is not None and kind not in (".svg", ".json"):
            raise ConfigError(f"Curves are not written as {kind or 'files without an ending'}.", where="--out",
                              expected="a file that ends in .svg or .json")  # fmt: skip
        valid = load_plan(plan, sets or [])
        studio = Studio(watch=False, warm=False)
        try:
            steps = studio.steps(valid)
            whole = studio.plan_curve(valid, steps, points=400 if kind == ".svg" else None)
        finally:
            studio.close()
        if out is None:
            answer(whole, as_json=as_json, text=_table(whole))
            return
        if kind == ".svg":
            from core.render.curve_svg import plan_curve_svg

            _write(out, plan_curve_svg(whole, title=valid.name, log_y=log, dark=dark))
        else:
            _write(out, json.dumps(plain_json(whole), ensure_ascii=False, allow_nan=False) + "\n")
        stages = [{key: one[key] for key in ("name", "kind", "steps", "first_step", "last_step", "certain")}
                  for one in whole["stages"]]  # fmt: skip
        value = {"file": str(out), "steps": whole["steps"], "certain": whole["certain"], "stages": stages}
        answer(value, as_json=as_json, text=f"Wrote {out}.")
        if not whole["certain"] and not as_json:
            note("Some rates depend on results: they are given with the range that they stay in.")


def _write(out: Path, text: str) -> None:
    try:
        out.expanduser().write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"The file cannot be written: {error.strerror or error}.", where=str(out)) from error


def _table(whole: dict[str, Any]) -> Table:
    table = Table("stage", "steps", "group", "highest rate", "may be", box=None, header_style="bold", pad_edge=False)
    for stage in whole["stages"]:
        span = f"{stage['first_step']:,} – {stage['last_step']:,}"
        for number, (group, part) in enumerate(stage["groups"].items()):
            low, high = max(part["low"]), max(part["high"])
            name = escape(visible(str(stage["name"]))) if number == 0 else ""
            table.add_row(
                name, span if number == 0 else "", escape(visible(group)), f"{max(part['lr']):.3g}",
                "" if part["low"] == part["high"] else f"{low:.2g} to {high:.2g}",
            )  # fmt: skip
    return table
