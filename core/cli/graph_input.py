"""Options of ``bertloom graph …``, and what they say as configs and questions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.config import GraphConfig, LinkConfig, ProbeConfig, apply_sets, config_from_dict
from core.errors import ConfigError

if TYPE_CHECKING:
    from core.graph.types import WordGraph

__all__ = [
    "ColumnOption", "CorpusOption", "FileArgument", "FromOption", "LanguageOption", "LayerOption", "LayersOption",
    "ModelOption", "SeedOption", "SentencesOption", "SetOption", "ToOption", "config_of", "corpus_of", "layer_of",
    "layers_of", "load", "names_of", "query_of", "weights_of",
]  # fmt: skip

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A graph that `bertloom graph build` wrote.")]
CorpusOption = Annotated[
    str,
    typer.Option(help="A bundled sample, a file (text, CSV, TSV, JSON lines, Parquet, CoNLL-U), or hub:NAME."),
]
ModelOption = Annotated[str, typer.Option(help="bundled, a model folder, or hub:NAME.")]
LayersOption = Annotated[str, typer.Option(help="all, or numbers such as 0,3,6 (0: embeddings).")]
LanguageOption = Annotated[str | None, typer.Option(help="en is parsed, zh is segmented.", show_default="auto")]
ColumnOption = Annotated[str | None, typer.Option(help="Column with the text.", show_default="the usual names")]
SentencesOption = Annotated[
    int | None, typer.Option(min=1, help="Most sentences, drawn evenly from the whole corpus.", show_default="2000")
]
SeedOption = Annotated[int, typer.Option(min=0, help="Seed of everything that is drawn.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="Change any field of the config: key.path=value. May be repeated.")
]
LayerOption = Annotated[int | None, typer.Option(min=0, help="Layer.", show_default="the middle one")]
FromOption = Annotated[str | None, typer.Option("--from", help="Word that paths start from.")]
ToOption = Annotated[str | None, typer.Option("--to", help="Word that they lead to.")]


def load(file: Path) -> WordGraph:
    """Read a graph."""
    from core.graph.file import load_graph

    return load_graph(file)


def query_of(data: dict[str, Any]) -> Any:
    """Return the question about paths (:class:`core.graph.query.PathQuery`) that options make."""
    from pydantic import ValidationError

    from core.config.files import problems
    from core.graph.query import PathQuery

    try:
        return PathQuery.model_validate(data)
    except ValidationError as error:
        wrong = "; ".join(f"{key}: {message}" for key, message in problems(error).items())
        raise ConfigError(
            f"The question is not valid: {wrong}.", where="graph path", advice="`bertloom graph path --help` says more."
        ) from error


def config_of(kind: str, data: dict[str, Any], sets: list[str] | None) -> GraphConfig | ProbeConfig | LinkConfig:
    """Return the config of a kind of run that options and ``--set`` make."""
    from core.runs.sources import absolute_sources

    config = config_from_dict(kind, apply_sets(data, sets or []), where=f"graph {'build' if kind == 'graph' else kind}")
    assert isinstance(config, GraphConfig | ProbeConfig | LinkConfig)
    return absolute_sources(config)  # the graph's file says what it was made from, wherever it is opened


def corpus_of(
    source: str, language: str | None, max_sentences: int | None, column: str | None, seed: int
) -> dict[str, Any]:
    """Return what options say of a corpus; what is not given is left to the schema."""
    given = {"source": source, "language": language, "max_sentences": max_sentences, "seed": seed}
    found = {name: value for name, value in given.items() if value is not None}
    return found if column is None else {**found, "columns": {"text": column}}


def layers_of(text: str) -> str | list[int]:
    """Return ``all``, or the layers that are named."""
    if text.strip() == "all":
        return "all"
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise ConfigError(
            f"The layers {text[:80]!r} are not numbers.", where="--layers", expected="all, or for example 0,3,6"
        ) from error


def layer_of(text: str | None) -> int | None:
    """Return the layer that is named; None: the middle one."""
    if text is None:
        return None
    try:
        return int(text)
    except ValueError as error:
        raise ConfigError(
            f"The layer {text[:80]!r} is not a number.", where="--layer", expected="a layer of the graph, or all"
        ) from error


def names_of(text: str, option: str) -> list[str]:
    """Return the names between commas; at least one."""
    found = [part.strip() for part in text.split(",") if part.strip()]
    if not found:
        raise ConfigError(f"--{option} names nothing.", expected="for example dep,sim,cooc")
    return found


def weights_of(text: str | None) -> dict[str, float] | None:
    """Return the weights of ``dep=1,sim=0.5``; None: all types alike."""
    if text is None:
        return None
    found: dict[str, float] = {}
    for part in names_of(text, "weights"):
        name, separator, value = part.partition("=")
        try:
            if not separator:
                raise ValueError
            found[name.strip()] = float(value)
        except ValueError as error:
            raise ConfigError(
                f"The weight {part[:80]!r} is not of the form TYPE=NUMBER.", where="--weights",
                expected="for example dep=1,sim=0.5",
            ) from error  # fmt: skip
    return found
