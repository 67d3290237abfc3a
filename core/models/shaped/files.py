"""Folders of shaped encoders: new ones with random weights, and what a folder's shape is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from core.config.shape import EncoderShape
from core.errors import ModelError, StorageError
from core.models.atomic import new_folder
from core.models.origin import write_origin
from core.models.shaped.count import count
from core.models.shaped.register import MODEL_TYPE
from core.models.sources import ResolvedModel, read_config, resolve

__all__ = ["describe_shape", "new_encoder", "shape_of"]


def shape_of(settings: dict[str, Any], *, where: str, pooler: bool = True) -> EncoderShape:
    """Return the shape that a config.json describes.

    Parameters
    ----------
    settings
        What config.json holds; of BERT or of a shaped encoder.
    where
        Named in errors.
    pooler
        Whether the encoder has a pooler.

    Raises
    ------
    ModelError
        If it is of another family, or its fields do not fit together.
    """
    family = settings.get("model_type")
    if family not in ("bert", MODEL_TYPE):
        raise ModelError(
            f"The shape of a model of family {family!r} is not known.", where=where,
            expected="BERT, or an encoder that Bertloom shaped",
        )  # fmt: skip
    common = {
        "vocabulary": settings.get("vocab_size", 30522), "positions": settings.get("max_position_embeddings", 512),
        "types": settings.get("type_vocab_size", 2), "pooler": pooler,
    }  # fmt: skip
    try:
        if family == MODEL_TYPE:
            return EncoderShape.model_validate(
                {
                    **common, "mode": settings.get("mode"), "layers": settings.get("layer_shapes"),
                    "embedding": settings.get("embedding_size"), "readout": settings.get("readout", False),
                }
            )  # fmt: skip
        width = settings.get("hidden_size", 768)
        layer = {
            "width": width, "heads": settings.get("num_attention_heads", 12),
            "intermediate": settings.get("intermediate_size", 3072),
        }  # fmt: skip
        layers = [layer] * int(settings.get("num_hidden_layers", 12))
        return EncoderShape.model_validate({**common, "mode": "bus", "layers": layers, "embedding": width})
    except (ValidationError, TypeError, ValueError) as error:
        text = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise ModelError(f"The config does not describe an encoder: {text}.", where=where) from error


def describe_shape(source: str, *, tokens: int = 128) -> dict[str, Any]:
    """Describe the shape of a model folder without loading its weights.

    Parameters
    ----------
    source
        ``bundled``, a folder, or ``hub:NAME``.
    tokens
        Length of the text for which operations are counted.

    Returns
    -------
    dict
        ``family``, ``mode``, ``embedding``, ``output``, ``readout``, ``parameters`` (whole number; encoder with
        pooler, without a task's head), ``parts`` (parameters of embeddings, each layer, readout, pooler), ``flops`` (of
        one forward pass over `tokens` sub-words), ``tokens``, ``layers``: [{``width``, ``heads``, ``intermediate``,
        ``head_size``, ``parameters``}].

    Raises
    ------
    ModelError
        If there is no such model or its family has no shape.
    """
    found = resolve(source)
    settings = read_config(found.folder)
    shape = shape_of(settings, where=str(found.folder / "config.json"))
    cost = count(shape)
    parts = {"embeddings": cost.embeddings, "layers": sum(cost.layers), "readout": cost.readout, "pooler": cost.pooler}
    return {
        "source": source, "family": settings.get("model_type"), "mode": shape.mode, "embedding": shape.embedding,
        "output": shape.output, "readout": shape.readout, "parameters": cost.total,
        "parts": parts, "flops": cost.flops(tokens), "tokens": tokens,
        "layers": [
            {
                "width": layer.width, "heads": layer.heads, "intermediate": layer.intermediate,
                "head_size": layer.size_of_head, "parameters": own,
            }
            for layer, own in zip(shape.layers, cost.layers, strict=True)
        ],
    }  # fmt: skip


def new_encoder(shape: EncoderShape, folder: str | Path, *, tokenizer: str = "bundled", seed: int = 0) -> Path:
    """Write an encoder of a shape with random weights.

    Parameters
    ----------
    shape
        The shape; its vocabulary is taken from the tokenizer.
    folder
        New or empty folder.
    tokenizer
        Model whose tokenizer it takes.
    seed
        Seed of the weights; the ambient random state neither counts nor changes.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ModelError
        If the tokenizer's model cannot be used.
    StorageError
        If the folder is not empty or cannot be written.
    """
    import torch
    from transformers import AutoModel

    from core.models.loading import load_tokenizer, quiet
    from core.models.shaped.configuration import config_of
    from core.models.shaped.register import register

    place = Path(folder).expanduser().absolute()
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise StorageError("The folder is not empty.", where=str(place), expected="a folder that is new or empty")
    donor: ResolvedModel = resolve(tokenizer)
    pieces = load_tokenizer(donor)
    rows = int(read_config(donor.folder).get("vocab_size") or len(pieces))
    shape = shape.model_copy(update={"vocabulary": max(rows, len(pieces))})
    register()
    try:
        with new_folder(place) as partial, quiet(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = AutoModel.from_config(config_of(shape, pad_token_id=pieces.pad_token_id))
            pieces.model_max_length = shape.positions
            model.save_pretrained(partial)
            pieces.save_pretrained(partial)
            write_origin(partial, "random", {"seed": seed, "tokenizer": tokenizer})
    except OSError as error:
        raise StorageError(f"The model cannot be written: {error.strerror or error}.", where=str(place)) from error
    return place
