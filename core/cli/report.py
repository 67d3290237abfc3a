"""``bertloom report ID``: a training run as one stand-alone page, or as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.cli.output import JsonOption, answer, errors
from core.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from core.render.report_block import Block

__all__ = ["HtmlOption", "MarkdownOption", "register", "written"]

HtmlOption = Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page that needs no other file.")]
MarkdownOption = Annotated[Path | None, typer.Option(metavar="FILE", help="Write Markdown.")]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("report")(report)


def report(
    run_id: Annotated[str, typer.Argument(metavar="ID", help="A run's id, the start of it, or its name.")],
    html: HtmlOption = None,
    markdown: MarkdownOption = None,
    as_json: bool = JsonOption,
) -> None:
    """Report a finished training run: scores, curve, where heads point, plan, environment, and what repeats it."""
    from core.api import Studio
    from core.render.run_report import run_blocks
    from core.runs.reported import reported

    with errors(as_json):
        studio = Studio(watch=False)
        try:
            told = reported(studio.runs, studio.home, studio.runs.find(run_id).id)
        finally:
            studio.close()
        if html is None and markdown is None:
            raise ConfigError("Say what to write.", where="report", expected="--html FILE or --markdown FILE")
        blocks = run_blocks(
            told["run"], told["results"], told["plan"], pointed=told["pointed"], curve=told["curve"]
        )  # fmt: skip
        files = written(blocks, html, markdown)
        answer({"id": told["run"].id, "files": files}, as_json=as_json, text="\n".join(files))


def written(blocks: Sequence[Block], html: Path | None, markdown: Path | None) -> list[str]:
    """Write a report's blocks, and return the files.

    Raises
    ------
    StorageError
        If one cannot be written.
    """
    from core.render.report_page import html_report, markdown_report

    found = []
    for path, text in ((html, html_report), (markdown, markdown_report)):
        if path is None:
            continue
        try:
            path.write_text(text(blocks), encoding="utf-8")
        except OSError as error:
            raise StorageError(f"The report cannot be written: {error.strerror}.", where=str(path)) from error
        found.append(str(path))
    return found
