"""``bertloom data trees``: silver trees of the sentences of a source."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.cli.output import JsonOption, answer, errors

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("trees")(trees)


def trees(
    source: Annotated[str, typer.Argument(help="A bundled sample, a file, or hub:NAME, in English.")],
    out: Annotated[Path, typer.Option(help="File to write: NAME.conllu.")],
    sentences: Annotated[int, typer.Option(min=1, max=100_000, help="Sentences, at most.")] = 2000,
    text: Annotated[str | None, typer.Option(help="Column with the text.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the drawing.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
    as_json: bool = JsonOption,
) -> None:
    """Parse sentences by spaCy and write their trees as CoNLL-U, to try the task dependency on.

    The trees are silver: a model that learns from them learns what the parser thinks, errors included.
    """
    from core.data.silver_trees import write_silver_trees
    from core.errors import ConfigError

    with errors(as_json):
        if out.suffix.lower() != ".conllu":
            raise ConfigError("The file is not called NAME.conllu.", where=f"--out {out}", expected="a name in .conllu")
        if out.exists() and not overwrite:
            raise ConfigError("The file is there.", where=f"--out {out}", advice="Add --overwrite to replace it.")
        done = write_silver_trees(source, out, sentences=sentences, text=text, seed=seed)
        answer(
            {"file": done.file, "sentences": done.sentences, "words": done.words, "parser": done.parser},
            as_json=as_json,
            text=f"{done.sentences:,} sentences, {done.words:,} words: {done.file}\nSilver trees by {done.parser}.",
        )
