"""``bertloom data derive``: making a finetuning set from a part of a source by recorded steps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from core.cli.output import JsonOption, answer, console, errors, note, visible
from core.config.derive import derive_config

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("derive")(derive)


def derive(
    source: Annotated[
        str | None,
        typer.Argument(help="A bundled sample, a file, or hub:NAME.", show_default="what the steps file says"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File to write: NAME.jsonl, or NAME.json for questions as SQuAD writes them.")
    ] = None,
    steps: Annotated[Path | None, typer.Option(help="YAML file with the steps (and part, seed, columns …).")] = None,
    step: Annotated[
        list[str] | None,
        typer.Option(help="One step, after those of the file: entity_questions, or 'sample: {rows: 100}'. Repeatable."),
    ] = None,
    share: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Take so much of the source only: a chosen part of it.")
    ] = None,
    rest: Annotated[
        Path | None, typer.Option(help="File for the rows outside of the part, for example as gate rows: NAME.jsonl.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the part and of samples.")] = None,
    sets: Annotated[
        list[str] | None, typer.Option("--set", help="Change a setting: key.path=value. May be repeated.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
    as_json: bool = JsonOption,
) -> None:
    """Make a finetuning set and, beside it, the record of how it was made (FILE.provenance.json).

    The same source and steps give the same bytes. Steps: titles, summaries, entity_questions, cloze_questions,
    sentence_label, relabel, filter, sample; docs/data.md lists their settings.
    """
    from core.data.derive import derive as make
    from core.data.derive import provenance_path, write_derived
    from core.errors import ConfigError

    with errors(as_json):
        changes = [*(sets or [])]
        if share is not None:
            changes.append(f"part.share={share}")
        if seed is not None:
            changes.append(f"seed={seed}")
        config = derive_config(source, str(steps) if steps else None, step or [], changes)
        if out is None:
            raise ConfigError("There is no file to write.", where="--out", expected="a name that ends in .jsonl")
        done = make(config)
        record = write_derived(done, out, rest, overwrite=overwrite)
        told = {**record, "record": str(provenance_path(out)), "file": str(out)}
        answer(told, as_json=as_json, text=_table(record))
        if not as_json:
            for entry in record["steps"]:
                for words in entry["notes"]:
                    note(f"{entry['step']}: {words}")
            rows = record["output"]["rows"]
            console.print(f"[green]{rows:,} rows[/] in {escape(visible(str(out)))}; how they were made stands beside.")
            if rest is not None:
                note(f"{record['left']['rows']:,} rows outside of the part in {rest}.")


def _table(record: dict[str, Any]) -> Table:
    table = Table("step", "before", "after", "left out", box=None, header_style="bold", pad_edge=False)
    for entry in record["steps"]:
        lost = ", ".join(
            f"{reason.replace('_', ' ')}: {about['count']:,}" for reason, about in entry["dropped"].items()
        )
        table.add_row(entry["step"], f"{entry['before']:,}", f"{entry['after']:,}", escape(visible(lost)))
    return table
