"""Trained probes in a file: a projection a layer, and what they were trained on. Nothing in it is pickled."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import DataError
from core.graph.atomic import whole_file

__all__ = ["NAME", "ProbeFile", "load_probe", "save_probe"]

#: Name of the file in a run's folder.
NAME = "probe.npz"
_FORMAT = 1
_MOST_LAYERS = 1000


@dataclass
class ProbeFile:
    """What a file holds.

    Parameters
    ----------
    projections
        Layer → B, float32 of shape (rank, width).
    about
        ``encoder`` (its description with fingerprint), ``best`` (the layer with the highest UUAS), and the result.
    """

    projections: dict[int, np.ndarray]
    about: dict[str, Any]

    @property
    def best(self) -> int:
        """The layer whose trees were best on held-out sentences."""
        return int(self.about["best"]["layer"])


def save_probe(path: Path, projections: dict[int, np.ndarray], about: dict[str, Any]) -> None:
    """Write probes; the file takes its name when it is complete.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    arrays = {f"projection_{layer}": np.asarray(one, dtype=np.float32) for layer, one in projections.items()}
    words = json.dumps({"format": _FORMAT, **about}, ensure_ascii=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path, "The probe", advice="Free some space.") as stream:
        np.savez(stream, about=np.frombuffer(words.encode(), dtype=np.uint8), **arrays)  # type: ignore[arg-type]


def load_probe(path: Path | str) -> ProbeFile:
    """Read probes.

    Raises
    ------
    DataError
        If there is no such file or it is none of probes.
    """
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as found:
            about = json.loads(bytes(found["about"]).decode())
            names = [name for name in found.files if name.startswith("projection_")][:_MOST_LAYERS]
            projections = {int(name.removeprefix("projection_")): found[name] for name in sorted(names)}
        if about.get("format") != _FORMAT or int(about["best"]["layer"]) not in projections:
            raise ValueError("another format")
        if any(one.ndim != 2 or one.dtype != np.float32 or not np.isfinite(one).all() for one in projections.values()):
            raise ValueError("projections that are no matrices of numbers")
    except FileNotFoundError as error:
        raise DataError(
            "There is no such probe.", where=str(path), advice="Train one: a run of kind probe writes it when it ends."
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"The file holds no probes: {str(error)[:200]}.", where=str(path), expected=f"the {NAME} of a probe's run",
            advice="Train the probe again.",
        ) from error  # fmt: skip
    return ProbeFile(dict(sorted(projections.items())), about)
