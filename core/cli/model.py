"""``bertloom model …``: encoders of a shape of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from pydantic import ValidationError
from rich.table import Table

from core.cli.output import JsonOption, answer, errors, note
from core.config import CorpusConfig, DataConfig, problems
from core.config.files import mapping_from_yaml, read_text, validated
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


@app.command("layers")
def layers(
    source: Annotated[str, typer.Argument(metavar="ID|DIR", help="A run, bundled, a model folder, or hub:NAME.")],
    keep: Annotated[int, typer.Option(min=1, help="How many layers a student shall have.")],
    data: Annotated[str, typer.Option(help="Texts to measure on: a bundled sample, a file, or hub:NAME.")] = "reviews",
    as_json: bool = JsonOption,
) -> None:
    """Choose layers that a student may begin as: those that stand for neighbours that are much alike (linear CKA)."""
    with errors(as_json):
        from core.config import TaskConfig
        from core.data.samples import samples
        from core.search.keeping import layers_to_keep
        from core.settings import home

        kinds = next((one.tasks for one in samples() if one.name == data), ())
        model, cache = _anywhere(source), home().cache
        task = TaskConfig.model_validate({"kind": kinds[0]}) if kinds else None
        found = layers_to_keep(model, keep, DataConfig(source=data), cache=cache, task=task)
        answer(found, as_json=as_json, text=_kept(found))


@app.command("inherit")
def inherit(
    out: Annotated[Path, typer.Option(help="Folder to write; new or empty.")],
    layers: Annotated[str | None, typer.Option(help="Width of each layer, lowest first, e.g. 256,192,256,384.")] = None,
    shape: Annotated[
        Path | None, typer.Option(help="YAML or JSON file of a shape, instead of --layers.", exists=False)
    ] = None,
    parent: Annotated[str, typer.Option(help="bundled, a folder of a plain BERT, or hub:NAME.")] = "bundled",
    corpus: Annotated[str, typer.Option(help="Calibration texts: a bundled sample, a file, or hub:NAME.")] = "reviews",
    mode: Annotated[str, typer.Option(help="bus or stepped, with --layers.")] = "bus",
    readout: Annotated[bool, typer.Option("--readout", help="A full-width readout on top, with --layers.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of what is initialised, and of the texts.")] = 0,
    as_json: bool = JsonOption,
) -> None:
    """Write an encoder of a shape with weights inherited from a parent, and how far it is from it."""
    with errors(as_json):
        if (layers is None) == (shape is None):
            raise ConfigError("Give --layers or --shape.", expected="one of the two")
        if mode not in ("bus", "stepped"):
            raise ConfigError(f"There is no mode {mode!r}.", where="--mode", expected="bus or stepped")
        wanted = _widths(layers) if layers is not None else None
        given = _shape_file(shape) if shape is not None else None
        from core.models.shaped.files import describe_shape
        from core.models.shaped.inherit import default_segments
        from core.search.inheriting import calibrate, inherit_folder, shape_of_parent

        # Before the texts are read: this takes no time.
        default_segments(len(describe_shape(parent)["layers"]), len(wanted or (given.layers if given else [])))
        texts = CorpusConfig(source=corpus, max_sentences=1500, min_count=1, seed=seed)
        calibration = calibrate(parent, texts, seed=seed)
        if given is None:
            try:
                given = shape_of_parent(calibration, wanted or [], mode=mode, readout=readout)
            except ValidationError as error:
                raise _unfit(error) from error
        found = inherit_folder(calibration, given, out, seed=seed)
        answer(found, as_json=as_json, text=_inherited(found))
        for notice in found["notices"]:
            note(notice)


def _shape_file(path: Path) -> EncoderShape:
    """Read a shape from a YAML or JSON file; an unknown key or a wrong value is named with its line."""
    where = str(path)
    data, lines = mapping_from_yaml(read_text(path), where)
    found: EncoderShape = validated(EncoderShape, data, where=where, lines=lines)
    return found


def _inherited(found: dict[str, Any]) -> Table:
    distance, body = found["distance"], found["body"]
    table = Table(
        "layer", "from", "basis", "heads", "units", "distance", box=None, header_style="bold", pad_edge=False,
        title_justify="left",
        title=f"{found['out']} · {body['student']:,} of {body['parent']:,} parameters between embeddings and pooler · "
        f"distance {distance['loss']:.3f} on texts not fitted to (the mean scores 2, projection alone "
        f"{found['projected']['loss']:.3f})",
    )  # fmt: skip
    for index, (layer, far) in enumerate(zip(found["layers"], distance["layers"], strict=True)):
        counts = [
            f"{part['copied']} kept" + (f", {part['initialised']} new" if part["initialised"] else "")
            for part in (layer["heads"], layer["units"])
        ]
        table.add_row(str(index), f"layer {layer['parent'] + 1}", layer["basis"], *counts, f"{far:.3f}")
    return table


def _anywhere(source: str) -> str:
    """Return what a run's id, or a source of a plan, stands for; runs are looked up only where it may be one."""
    if source == "bundled" or source.startswith("hub:") or Path(source).expanduser().is_dir():
        return source
    from core.api import Studio

    studio = Studio(watch=False)
    try:
        return _model_source(studio, source)
    finally:
        studio.close()


def _model_source(studio: Studio, source: str) -> str:
    """Return what a run's id, or a source of a plan, stands for."""
    if source == "bundled" or source.startswith("hub:") or Path(source).expanduser().is_dir():
        return source
    return str(studio.runs.model_folder(source))


def _kept(found: dict[str, Any]) -> str:
    lines = [
        f"{one:>4}  stands for {first} to {last}" if first < last else f"{one:>4}"
        for one, (first, last) in zip(found["keep"], found["segments"], strict=True)
    ]
    listed = ",".join(map(str, found["keep"]))
    told = f"Of {found['layers']} layers, compared on {found['tokens']:,} sub-words:"
    return "\n".join([told, *lines, f"In a plan: --set 'model.keep_layers=[{listed}]'"])


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
    widths = _widths(layers)
    if mode not in ("bus", "stepped"):
        raise ConfigError(f"There is no mode {mode!r}.", where="--mode", expected="bus or stepped")
    others: dict[str, object] = {"readout": readout, "positions": positions}
    if embedding is not None:
        others["embedding"] = embedding
    chosen: Literal["bus", "stepped"] = "bus" if mode == "bus" else "stepped"
    try:
        return EncoderShape.of_widths(widths, mode=chosen, head_size=head_size, ratio=ratio, **others)
    except ValidationError as error:
        raise _unfit(error) from error


def _widths(layers: str) -> list[int]:
    try:
        return [int(part) for part in layers.split(",")]
    except ValueError as error:
        raise ConfigError(
            f"{layers!r} is not a list of widths.", where="--layers", expected="whole numbers, e.g. 768,1024"
        ) from error


def _unfit(error: ValidationError) -> ConfigError:
    found = "; ".join(f"{key}: {message}" if key else message for key, message in problems(error).items())
    return ConfigError(f"These layers do not make an encoder: {found}.", where="--layers")


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
