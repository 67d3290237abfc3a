"""Headers of safetensors files: names, types and shapes of all tensors without reading a weight, and without torch."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import ModelError

__all__ = ["INDEX", "WEIGHTS", "TensorHeader", "read_headers", "weight_files"]

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
_LONGEST_HEADER = 100_000_000
_ADVICE = "Copy or download the file again: it is incomplete or damaged."


@dataclass(frozen=True)
class TensorHeader:
    """Type (as safetensors names it, e.g. ``F32``) and shape of one tensor."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


def weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files of a model folder: the one file, or the shards that the index names.

    Raises
    ------
    ModelError
        If the index is not readable, names a file outside the folder, or one that is missing. An empty list means that
        the folder has no safetensors weights.
    """
    index = folder / INDEX
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if not index.is_file():
        return []
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise ModelError(
            f"The index of the weights cannot be read: {error}.", where=str(index), advice=_ADVICE
        ) from error
    for name in names:
        if not isinstance(name, str) or Path(name).name != name or not name.endswith(".safetensors"):
            raise ModelError(
                "The index of the weights names a file that is not a safetensors file of the folder.",
                where=f"{index}: {str(name)[:100]!r}",
                expected="plain names that end in .safetensors",
            )
        if not (folder / name).is_file():
            raise ModelError("A part of the weights is missing.", where=str(folder / name), advice=_ADVICE)
    return [folder / name for name in names]


def read_headers(file: Path) -> dict[str, TensorHeader]:
    """Return the tensors of a safetensors file by name.

    Raises
    ------
    ModelError
        If the header is not valid or the file is shorter or longer than the header says.

    References
    ----------
    The format: 8 bytes with the header's length (little endian), the header as JSON, the tensors' bytes.
    """
    try:
        total = file.stat().st_size
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if total < 8 or not 0 < length <= min(_LONGEST_HEADER, total - 8):
                raise ModelError(
                    "The weights are not a complete safetensors file: its header does not fit into it.",
                    where=f"{file} ({total} bytes)",
                    advice=_ADVICE,
                )
            header = json.loads(stream.read(length))
    except OSError as error:
        raise ModelError(f"The weights cannot be read: {error.strerror or error}.", where=str(file)) from error
    except (ValueError, RecursionError) as error:
        raise ModelError(
            "The header of the safetensors file is not valid JSON.", where=str(file), advice=_ADVICE
        ) from error
    try:
        found, end = _tensors(header)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError("The header of the safetensors file is not valid.", where=str(file), advice=_ADVICE) from error
    if 8 + length + end != total:
        raise ModelError(
            f"The weights are cut or damaged: the header speaks of {8 + length + end} bytes, the file has {total}.",
            where=str(file),
            advice=_ADVICE,
        )
    return found


def _tensors(header: Any) -> tuple[dict[str, TensorHeader], int]:
    found: dict[str, TensorHeader] = {}
    end = 0
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        start, stop = (int(offset) for offset in entry["data_offsets"])
        shape = tuple(int(size) for size in entry["shape"])
        if not 0 <= start <= stop or any(size < 0 for size in shape):
            raise ValueError(name)
        found[name] = TensorHeader(str(entry["dtype"]), shape)
        end = max(end, stop)
    return found, end
