"""Folders with an ONNX model: told apart, vetted, and run by onnxruntime. Nothing here needs torch to be imported."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import ModelError
from core.models.sources import ResolvedModel, read_config, vet_code, vet_config

if TYPE_CHECKING:
    from core.models.folders import Finished

__all__ = [
    "ABOUT", "DATA", "FORMATS", "ONNX", "Graph", "OnnxModel", "is_onnx", "load_onnx", "open_session", "read_about",
    "read_graph", "runtime",
]  # fmt: skip

ONNX, DATA, ABOUT = "model.onnx", "model.onnx.data", "onnx.json"
#: What a model can be exported as.
FORMATS = ("safetensors", "onnx", "onnx-int8")
_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_FLOATS = (1, 10, 11, 16)  # FLOAT, FLOAT16, DOUBLE, BFLOAT16 of onnx.TensorProto.DataType
_BYTES = (2, 3)  # UINT8, INT8


@dataclass(frozen=True)
class Graph:
    """What an ONNX file says of itself.

    Parameters
    ----------
    inputs
        Names of its inputs.
    weights
        Numbers that it holds as weights (also those of 8 bits), scales and zero points left out.
    quantised
        Whether most of them have 8 bits.
    bytes
        Size of the file, with weights beside it.
    head
        Whether it answers with ``logits``.
    """

    inputs: tuple[str, ...]
    weights: int
    quantised: bool
    bytes: int
    head: bool


def is_onnx(folder: Path) -> bool:
    """Whether a folder holds an ONNX model and no weights for torch."""
    return (folder / ONNX).is_file() and not any(folder.glob("*.safetensors"))


def read_about(folder: Path) -> dict[str, Any]:
    """Return what the export noted down beside the model (``onnx.json``); empty where it is missing or damaged."""
    try:
        found = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def read_graph(folder: Path) -> Graph:
    """Read inputs, outputs and sizes of a folder's ONNX file, without its weights where they stand beside it.

    Raises
    ------
    ModelError
        If the file is damaged, is no text encoder, or names weights outside of the folder.
    """
    import onnx

    file = folder / ONNX
    try:
        model = onnx.load(str(file), load_external_data=False)
    except FileNotFoundError:
        raise ModelError(f"The folder has no {ONNX}.", where=str(folder), expected="an ONNX export") from None
    except Exception as error:  # protobuf's own
        raise ModelError(
            f"The ONNX file cannot be read: {_short(error)}.", where=str(file),
            advice="Export or copy it again: it is incomplete or damaged.",
        ) from error  # fmt: skip
    inputs = [one.name for one in model.graph.input]
    if not inputs or "input_ids" not in inputs or set(inputs) - set(_INPUTS):
        raise ModelError(
            f"The ONNX file asks for {', '.join(inputs[:6]) or 'nothing'}, so it is no encoder of texts.",
            where=str(file), expected=f"inputs among {', '.join(_INPUTS)}",
        )  # fmt: skip
    size = file.stat().st_size
    for name in sorted(_beside(model.graph, file)):
        if not (folder / name).is_file():
            raise ModelError("The weights of the ONNX file are missing.", where=str(folder / name))
        size += (folder / name).stat().st_size
    floats, small = _weights(model.graph)
    return Graph(tuple(inputs), floats + small, small > floats, size, model.graph.output[0].name == "logits")


def _beside(graph: Any, file: Path) -> set[str]:
    """Return the names of files that hold weights; a path out of the folder is refused."""
    names = set()
    for tensor in graph.initializer:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        if "location" in entries:
            name = entries["location"]
            if Path(name).name != name or name.startswith("."):
                raise ModelError(
                    "The ONNX file names weights outside of its folder.", where=f"{file}: {name[:100]!r}",
                    expected="plain names of files beside it",
                )  # fmt: skip
            names.add(name)
    return names


def _weights(graph: Any) -> tuple[int, int]:
    floats = small = 0
    for tensor in graph.initializer:
        if tensor.name.endswith(("_scale", "_zero_point")):
            continue
        size = int(np.prod(tuple(tensor.dims), dtype=np.int64))
        floats += size if tensor.data_type in _FLOATS else 0
        small += size if tensor.data_type in _BYTES else 0
    return floats, small


def runtime() -> Any:
    """Import onnxruntime with its telemetry off.

    Builds from 1.29 on send events to their maker unless this variable is set before they are loaded (their
    Privacy.md); those that Bertloom asks for have no uploader, and on Windows hand events to the system's tracing,
    which the call below ends.

    Raises
    ------
    ModelError
        If it is not installed.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    try:
        import onnxruntime
    except ImportError as error:
        raise ModelError(
            f"onnxruntime cannot be imported: {error}.", expected="the packages that Bertloom names",
            advice="Run `make env`.",
        ) from error  # fmt: skip
    onnxruntime.disable_telemetry_events()
    onnxruntime.set_default_logger_severity(3)
    return onnxruntime


def open_session(file: Path, threads: int | None = None) -> Any:
    """Return an ``onnxruntime.InferenceSession`` of an ONNX file on the CPU.

    Parameters
    ----------
    file
        The file; see :func:`read_graph`, which vets it.
    threads
        Threads within an operator; onnxruntime's choice by default.

    Raises
    ------
    ModelError
        If onnxruntime does not take it.
    """
    onnxruntime = runtime()
    options = onnxruntime.SessionOptions()
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own, which share no base
        raise ModelError(
            f"onnxruntime does not run the model: {_short(error)}.", where=str(file),
            advice="Export it again; a newer onnxruntime may have written it.",
        ) from error  # fmt: skip


class OnnxModel:
    """A session that is called as a torch model is: tensors in, an object with ``logits`` out.

    Parameters
    ----------
    session
        An onnxruntime session.
    """

    def __init__(self, session: Any) -> None:
        self._session = session
        self._inputs = [one.name for one in session.get_inputs()]

    def run(self, batch: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the logits of a batch of int64 arrays; types of texts that are not given are 0."""
        ids = batch["input_ids"]
        given = {name: batch[name] if name in batch else np.zeros_like(ids) for name in self._inputs}
        return np.asarray(self._session.run(None, given)[0])

    def __call__(self, **batch: Any) -> SimpleNamespace:
        """Return the logits of a batch of tensors; others than the graph's inputs are left out."""
        import torch

        logits = self.run({name: tensor.numpy() for name, tensor in batch.items() if name in _INPUTS})
        return SimpleNamespace(logits=torch.from_numpy(logits))

    def to(self, device: Any) -> OnnxModel:
        """Return itself: a session computes where it was opened."""
        return self

    def eval(self) -> OnnxModel:
        """Return itself: an exported model has no dropout."""
        return self


def load_onnx(folder: str | Path) -> Finished:
    """Load an ONNX export for prediction; see :func:`core.models.folders.load_finished`.

    Raises
    ------
    ModelError
        If the folder has no ``bertloom.json``, is damaged, or onnxruntime does not take its model.
    """
    from core.models.folders import SIDE_FILE, Finished, described, read_side_file
    from core.models.loading import load_tokenizer

    place = Path(folder).expanduser().absolute()
    config = read_config(place)
    vet_config(config, str(place / "config.json"))
    vet_code(place, sorted(entry.name for entry in place.iterdir()))
    if not (place / "tokenizer.json").is_file():
        raise ModelError("The model folder has no tokenizer.json.", where=str(place), expected="a whole ONNX export")
    info = read_side_file(place)
    if not info:
        raise ModelError(
            f"The folder has an ONNX model but no {SIDE_FILE}, so nobody knows its task and labels.",
            where=str(place), expected="a folder that Bertloom exported",
        )  # fmt: skip
    task, max_length = described(info, place)
    read_graph(place)
    tokenizer = load_tokenizer(ResolvedModel(str(place), place, "folder"), words=task.kind in ("tagging", "dependency"))
    return Finished(OnnxModel(open_session(place / ONNX)), tokenizer, task, max_length, info, place)


def _short(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300].rstrip(".")
