"""A trained model as an ONNX file, and that file with weights of 8 bits. Only commands and helpers get here."""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from core.errors import ExportError
from core.models.folders import Finished, load_finished
from core.models.onnx_check import compare_batches, compare_rows
from core.models.onnx_folder import ABOUT, ONNX, OnnxModel, open_session, read_graph, runtime

__all__ = ["OPSET", "quantise", "versions", "write_checked", "write_onnx"]

#: The operator set that is written: what onnxruntime has read since 1.14, and torch's exporter speaks by itself.
OPSET = 18
#: Bytes of a protobuf message at most.
_LARGE = 2**31 - 1
_AXES = {0: "batch", 1: "length"}
#: Bytes of free disk that an export needs for each parameter: the graph, and for 8 bits the full one beside it.
_NEED = {"onnx": 4.4, "onnx-int8": 6.0}


def write_checked(
    source: Path, folder: Path, format: str, *, cache: Path | None = None,
    tell: Callable[[float, str], None] = lambda share, doing: None,
) -> dict[str, Any]:  # fmt: skip
    """Write ``model.onnx`` and ``onnx.json`` into a folder, after the graph has answered as the model does.

    Parameters
    ----------
    source
        A trained model's folder.
    folder
        Where to write; it exists.
    format
        ``onnx`` or ``onnx-int8``.
    cache
        The home's cache folder: with it both also answer rows of the data that judged the model.
    tell
        Called with the share that is done and what is being done.

    Returns
    -------
    dict
        What ``onnx.json`` holds: ``format``, ``opset``, ``inputs``, ``padding``, ``parameters`` (the model's),
        ``file_bytes``, ``batches`` (:func:`~core.models.onnx_check.compare_batches`), ``rows``
        (:func:`~core.models.onnx_check.compare_rows`, or None), ``written`` (seconds since the epoch), ``versions``.

    Raises
    ------
    ExportError
        If the model cannot be written, or a graph in full precision does not answer as the model does.
    OSError
        If the disk is full.
    """
    tell(0.05, "loading the model")
    finished = load_finished(source)
    parameters = sum(one.numel() for one in finished.model.parameters())
    _room(folder, int(parameters * _NEED[format]))
    tell(0.2, "writing the graph")
    file, eight = folder / ONNX, format == "onnx-int8"
    inputs = write_onnx(finished, file)
    if eight:
        tell(0.5, "quantising the weights")
        whole = folder / "full"
        whole.mkdir()
        for part in sorted(folder.glob(f"{ONNX}*")):
            part.rename(whole / part.name)
        quantise(whole / ONNX, file)
        shutil.rmtree(whole)
    tell(0.6, "holding its answers against the model's")
    session = OnnxModel(open_session(file))
    about = {
        "format": format, "opset": OPSET, "inputs": inputs, "padding": int(finished.tokenizer.pad_token_id or 0),
        "parameters": parameters, "file_bytes": read_graph(folder).bytes,
        "batches": compare_batches(finished, session, inputs, exact=not eight), "rows": None,
        "written": round(time.time()), "versions": versions(),
    }  # fmt: skip
    if cache is not None:
        tell(0.75, "holding its answers on rows of its data against the model's")
        about["rows"] = compare_rows(finished, replace(finished, model=session), cache)
    (folder / ABOUT).write_text(json.dumps(about, indent=1), encoding="utf-8")
    return about


def _room(folder: Path, need: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < need:
        raise ExportError(
            f"The disk is nearly full: the export needs about {need / 1e6:.0f} MB.", where=str(folder),
            expected=f"{need / 1e6:.0f} MB free, not {free / 1e6:.0f}", advice="Free some space.",
        )  # fmt: skip


def write_onnx(finished: Finished, file: Path) -> list[str]:
    """Write a model's graph with its weights; batch and length stay open.

    Parameters
    ----------
    finished
        The model, loaded by torch.
    file
        The file to write; weights of more than 2 GB go into a file beside it.

    Returns
    -------
    list of str
        Its inputs, int64 of shape (batch, length): ``input_ids``, ``attention_mask``, and ``token_type_ids`` where the
        model tells two texts apart. Its output ``logits`` has the shape (batch, labels) or (batch, length, labels).

    Raises
    ------
    ExportError
        If torch's exporter does not know something in the model.
    OSError
        If the file cannot be written.
    """
    runtime()  # before torch's exporter asks whether there is one
    import torch

    names = [
        name for name in ("input_ids", "attention_mask", "token_type_ids")
        if name != "token_type_ids" or name in finished.tokenizer.model_input_names
    ]  # fmt: skip

    class Logits(torch.nn.Module):
        """The model with plain inputs and one output."""

        def __init__(self, model: Any) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any = None) -> Any:
            types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
            return self.model(input_ids=input_ids, attention_mask=attention_mask, **types).logits

    ids = torch.full((2, 7), int(finished.tokenizer.pad_token_id or 0), dtype=torch.int64)
    mask = torch.ones_like(ids)
    mask[1, 4:] = 0  # a mask of ones only would be left out of the graph
    given = (ids, mask, torch.zeros_like(ids))[: len(names)]
    try:
        with _quiet(), torch.inference_mode(False), torch.no_grad():
            program: Any = torch.onnx.export(
                Logits(finished.model).eval(), given, dynamo=True, dynamic_shapes=tuple(_AXES for _ in names),
                input_names=names, output_names=["logits"], opset_version=OPSET, verbose=False,
            )  # fmt: skip
    except Exception as error:  # the exporter has many of its own
        raise ExportError(
            f"A model of the family {finished.model.config.model_type} cannot be written as ONNX: {_short(error)}.",
            where=str(finished.folder), expected="a model that torch.onnx.export takes",
            advice="Export it as safetensors, which every model can.",
        ) from error  # fmt: skip
    program.save(str(file))
    return names


def quantise(source: Path, target: Path) -> None:
    """Write an ONNX model again with weights of 8 bits; activations are quantised while it runs.

    Weights of matrix products and embeddings become 8-bit integers with a scale for each column; 7 bits of them are
    used, so that products of processors without VNNI do not overflow and every processor answers alike.

    Raises
    ------
    ExportError
        If onnxruntime cannot do it.
    OSError
        If the file cannot be written.
    """
    runtime()
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    try:
        with _quiet():
            model = onnx.load(str(source))
            # the quantiser turns weights of Gemm round and stumbles over shapes that were noted down before
            del model.graph.value_info[:]
            large = model.ByteSize() > _LARGE
            quantize_dynamic(
                model, target, per_channel=True, reduce_range=True, weight_type=QuantType.QInt8,
                use_external_data_format=large,
            )  # fmt: skip
    except OSError:
        raise
    except Exception as error:
        raise ExportError(
            f"The model cannot be quantised: {_short(error)}.", where=str(target),
            advice="Export it as onnx without int8.",
        ) from error  # fmt: skip


def versions() -> dict[str, str]:
    """Return the versions of what writes and runs ONNX."""
    found = {}
    for name in ("torch", "transformers", "onnx", "onnxscript", "onnxruntime"):
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's remarks on its own parts off the log: what fails, raises."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    before = [logger.level for logger in loggers]
    root, level = logging.getLogger(), logging.getLogger().level
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    root.setLevel(max(level, logging.ERROR))  # onnxruntime's quantiser speaks through the root
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.setLevel(level)
        for logger, old in zip(loggers, before, strict=True):
            logger.setLevel(old)


def _short(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0][:300].rstrip(".")
