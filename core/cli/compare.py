"""``bertloom compare …``: verdicts on strategies that were measured with several seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from core.cli import compare_runs
from core.cli.output import JsonOption, answer, errors, note, visible
from core.errors import ConfigError
from core.runs.compare.results import TableVerdict
from core.runs.compare.words import sentence

__all__ = ["app"]

app = typer.Typer(help="Compare strategies over seeds and test rows.", no_args_is_help=True)

compare_runs.register(app)

_LOOKS = {"a": "bold green", "b": "bold green", "equivalent": "bold cyan"}


@app.callback()
def _whole() -> None:
    """Compare strategies over seeds and test rows."""


@app.command("check")
def check(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="RESULTS", help="CSV, TSV, JSON lines or Parquet: strategy, seed, document, score, maybe task."
        ),
    ],
    margin: Annotated[float, typer.Option(help="Differences below this do not matter; in the scores' unit.")] = 0.01,
    seeds: Annotated[str | None, typer.Option(metavar="0-4,7", help="Only these seeds.", show_default="all")] = None,
    column: Annotated[
        list[str] | None,
        typer.Option("--column", metavar="WHAT=NAME", help="A column of another name: score=f1. May be repeated."),
    ] = None,
    reference: Annotated[
        str | None, typer.Option(metavar="STRATEGY", help="Compare with this one only.", show_default="every pair")
    ] = None,
    lower_is_better: Annotated[bool, typer.Option("--lower-is-better", help="Scores are losses.")] = False,
    unpaired: Annotated[
        bool, typer.Option("--unpaired", help="Runs of one seed have nothing in common (Welch).")
    ] = False,
    as_json: bool = JsonOption,
) -> None:
    """Say which strategy is better, from a table of scores that was measured anywhere, or that it cannot be told.

    A winner needs five seeds, a difference of at least the margin, and corrected intervals over seeds, over documents
    and over both that exclude 0.
    """
    from core.runs.compare.check import check_scores

    with errors(as_json):
        if not (0 < margin < float("inf")):
            raise ConfigError(f"The margin cannot be {margin:g}.", where="--margin", expected="a number above 0")
        found = check_scores(
            file, margin=margin, seeds=seeds, columns=_columns(column or []), lower_is_better=lower_is_better,
            unpaired=unpaired, reference=reference,
        )  # fmt: skip
        answer(found.as_dict(), as_json=as_json, text=verdicts_text(found.verdicts))
        if not as_json:
            for words in found.notices:
                note(words)


def _columns(given: list[str]) -> dict[str, str]:
    found = {}
    for one in given:
        what, sign, name = one.partition("=")
        if not sign or not what.strip() or not name:
            raise ConfigError(f"{one!r} names no column.", where="--column", expected="WHAT=NAME, like score=f1")
        found[what.strip()] = name
    return found


def verdicts_text(verdicts: tuple[TableVerdict, ...]) -> Group:
    """Return verdicts for a terminal: a table, then each in words with what it was made of."""
    tasks = any(one.task is not None for one in verdicts)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for head in ("task", "a", "b") if tasks else ("a", "b"):
        table.add_column(head, overflow="fold")
    for head in ("a − b", "95 % interval", "p (Holm)" if len(verdicts) > 1 else "p"):
        table.add_column(head, no_wrap=True)
    table.add_column("verdict", overflow="fold")
    words = {"a": "a is better", "b": "b is better"}
    for one in verdicts:
        found = one.comparison
        p = found.both_p_corrected if found.both_p_corrected is not None else found.p_corrected
        names = [one.task or "", one.a, one.b] if tasks else [one.a, one.b]
        table.add_row(
            *(escape(visible(name)) for name in names), "" if found.difference is None else f"{found.difference:+.3g}",
            _bounds(one.interval), "" if p is None else f"{p:.2g}",
            Text(words.get(one.winner, one.winner), style=_LOOKS.get(one.winner, "")),
        )  # fmt: skip
    lines = [Text(visible(f"{sentence(one)} {_made_of(one, several=len(verdicts) > 1)}".strip())) for one in verdicts]
    return Group(table, Text(""), *lines)


def _made_of(one: TableVerdict, *, several: bool) -> str:
    """Return the means and what they were taken over, with the interval that all comparisons share an error rate in."""
    found = one.comparison
    if found.arm_mean is None or found.reference_mean is None:
        return ""
    rows = f" of {found.documents:,} documents" if found.documents else ""
    over = f"{found.seeds} {'seeds' if found.seeds > 1 else 'seed'}{rows}"
    shared = f"; {_bounds(one.corrected)} corrected for all comparisons" if several and one.corrected else ""
    return f"({found.arm_mean:.4g} against {found.reference_mean:.4g}, {over}{shared})"


def _bounds(bounds: tuple[float, float] | None) -> str:
    return "" if bounds is None else f"{bounds[0]:+.3g} to {bounds[1]:+.3g}"
