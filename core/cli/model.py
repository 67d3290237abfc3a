"""``bertloom model …``: encoders of a shape of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from pydantic import ValidationError
from rich.table import Table

from core.cli.output import JsonOption, answer, errors, note
from core.config import DataConfig
from core.config.shape import EncoderShape
from core.errors import ConfigError

if TYPE_CHECKING:
    from core.api import Studio

__all__ = ["app"]

app = typer.Typer(help="Encoders of a shape of one's own.", no_args_is_help=True)


@app.command("new")
def new(
    layers: Annotated[str, typer.Option(help="Width of each layer, lowest first, e.g. 768,1024.")],
    out: Annotated[Path, typer.Option(help="Folder to write; new or empty.")],
    mode: Annotated[
        str, typer.Option(help="bus: one residual stream that layers read and write; stepped: its width changes.")
    ] = "bus",
    head_size: Annotated[int, typer.Option(min=1, help="Width of a head; the nearest divisor of each width.")] = 64,
    ratio: Annotated[float, typer.Option(min=0.01, help="FFN units by width.")] = 4.0,
    embedding: Annotated[
        int | None,
        typer.Option(min=1, help="Width of embeddings and bus.", show_default="the widest; stepped: the first"),
    ] = None,
    readout: Annotated[bool, typer.Option("--readout", help="bus only: a full-width readout on top.")] = False,
    positions: Annotated[int, typer.Option(min=2, help="Longest input in sub-words.")] = 512,
    tokenizer: Annotated[str, typer.Option(help="Model whose tokenizer it takes.")] = "bundled",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the weights.")] = 0,
    as_json: bool = JsonOption,
) -> None:
    """Write an encoder with random weights whose layers have these widths."""
    with errors(as_json):
        shape = read_shape(layers, mode, head_size, ratio, embedding, readout, positions)
        from core.models.shaped.files import describe_shape, new_encoder

        place = new_encoder(shape, out, tokenizer=tokenizer, seed=seed)
        found = {"out": str(place), "weights": "random", **describe_shape(str(place))}
        answer(found, as_json=as_json, text=_table(found))
        note(f"{place} holds random weights: it has to be trained, or to inherit, before it knows anything.")


@app.command("describe")
def describe(
    source: Annotated[str, typer.Argument(help="bundled, a model folder, or hub:NAME.")],
    tokens: Annotated[int, typer.Option(min=1, help="Length of the text that operations are counted for.")] = 128,
    as_json: bool = JsonOption,
) -> None:
    """Print width, heads, FFN units and cost of every layer, from the config alone."""
    with errors(as_json):
        from core.models.shaped.files import describe_shape

        found = describe_shape(source, tokens=tokens)
        answer(found, as_json=as_json, text=_table(found))


@app.command("prune")
def prune(
    source: Annotated[str, typer.Argument(metavar="ID|DIR", help="A run, bundled, a model folder, or hub:NAME.")],
    out: Annotated[Path, typer.Option(help="Folder to write; new or empty.")],
    heads: Annotated[float, typer.Option(help="Share of attention heads to keep.")] = 1.0,
    units: Annotated[float, typer.Option(help="Share of FFN units to keep.")] = 1.0,
    data: Annotated[str, typer.Option(help="Texts to measure on: a bundled sample, a file, or hub:NAME.")] = "reviews",
    rows: Annotated[int, typer.Option(min=1, help="Texts that importance is measured on.")] = 256,
    spread: Annotated[
        str, typer.Option(help="layer: the same share in each layer; global: the best of all.")
    ] = "layer",
    measure: Annotated[str, typer.Option(help="gradient (trained models, needs labels), energy, or auto.")] = "auto",
    as_json: bool = JsonOption,
) -> None:
    """Write a copy with fewer heads and FFN units: the most important ones, in really smaller tensors."""
    with errors(as_json):
        if spread not in ("layer", "global"):
            raise ConfigError(f"There is no spread {spread!r}.", where="--spread", expected="layer or global")
        if measure not in ("auto", "gradient", "energy"):
            raise ConfigError(
                f"There is no measure {measure!r}.", where="--measure", expected="auto, gradient or energy"
            )
        from core.api import Studio

        studio = Studio(watch=False)
        try:
            model = _model_source(studio, source)
            asked: dict[str, Any] = {"heads": heads, "units": units, "spread": spread, "measure": measure, "rows": rows}
            found = studio.models.prune(model, out.expanduser().absolute(), data=DataConfig(source=data), **asked)
        finally:
            studio.close()
        answer(found, as_json=as_json, text=_pruned(found))


def _model_source(studio: Studio, source: str) -> str:
    """Return what a run's id, or a source of a plan, stands for."""
    if source == "bundled" or source.startswith("hub:") or Path(source).expanduser().is_dir():
        return source
    return str(studio.runs.model_folder(source))


def _pruned(found: dict[str, Any]) -> str:
    lost, seconds, body = found["lost"], found["seconds"], found["body"]
    what = (
        f"test/{lost['metric']} {lost['before']:.4f} → {lost['after']:.4f}"
        if found["trained"]
        else f"hidden states keep a mean cosine of {lost['similarity']:.3f} with those before"
    )
    layers = ", ".join(f"{one['heads']} heads/{one['intermediate']} units" for one in found["layers"])
    return (
        f"{found['out']}\n{body['before']:,} → {body['after']:,} parameters between embeddings and pooler "
        f"({body['after'] / body['before']:.0%}); a batch takes {seconds['ratio']:.2f} of the time\n{what}, on "
        f"{found['rows']['test']} rows, before any further training\nlayers: {layers}"
    )


def read_shape(
    layers: str, mode: str, head_size: int, ratio: float, embedding: int | None, readout: bool, positions: int
) -> EncoderShape:
    """Return the shape that options describe.

    Raises
    ------
    ConfigError
        If a width is no number, or they do not fit together.
    """
    try:
        widths = [int(part) for part in layers.split(",")]
    except ValueError as error:
        raise ConfigError(
            f"{layers!r} is not a list of widths.", where="--layers", expected="whole numbers, e.g. 768,1024"
        ) from error
    if mode not in ("bus", "stepped"):
        raise ConfigError(f"There is no mode {mode!r}.", where="--mode", expected="bus or stepped")
    others: dict[str, object] = {"readout": readout, "positions": positions}
    if embedding is not None:
        others["embedding"] = embedding
    chosen: Literal["bus", "stepped"] = "bus" if mode == "bus" else "stepped"
    try:
        return EncoderShape.of_widths(widths, mode=chosen, head_size=head_size, ratio=ratio, **others)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"These layers do not make an encoder: {place + ': ' if place else ''}{first['msg']}.", where="--layers"
        ) from error


def _table(found: dict[str, object]) -> Table:
    table = Table(
        "layer", "width", "heads", "head size", "FFN", "parameters", box=None, header_style="bold", pad_edge=False,
        title=f"{found['source']} · {found['mode']} · {found['parameters']:,} parameters · "
        f"{found['flops'] / 1e9:.2f} GFLOPs for {found['tokens']} sub-words",  # type: ignore[operator]
        title_justify="left",
    )  # fmt: skip
    layers = found["layers"]
    assert isinstance(layers, list)
    for index, layer in enumerate(layers):
        cells = (layer["width"], layer["heads"], layer["head_size"], layer["intermediate"], f"{layer['parameters']:,}")
        table.add_row(str(index), *map(str, cells))
    return table
