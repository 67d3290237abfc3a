"""What a run leaves: the best model folder, results.json, and the environment that it ran in."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import platform
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from core.training.files import atomic_folder, write_json
from core.training.material import Material
from core.training.prepare import Prepared
from core.training.rows import UsedRows

__all__ = ["environment", "fingerprint", "load_best", "save_best", "write_results"]


def fingerprint(prepared: Prepared) -> str:
    """Return a hash of what cached activations depend on: frozen weights as they are now, tokenised data."""
    found = hashlib.sha256(prepared.material.data_digest())
    parameters = prepared.parameters
    for name in prepared.frozen:
        found.update(name.encode())
        found.update(prepared.material.digest(name, parameters[name]))
    return found.hexdigest()


def save_best(material: Material, folder: Path, metrics: dict[str, float]) -> None:
    """Write the model as it is now into a folder that stock transformers loads, in place of the one before.

    The model must have its whole word embedding (:meth:`~core.training.material.Material.whole`).

    Raises
    ------
    StorageError
        If the disk is too full or cannot be written; the folder before stays.
    """
    from core.models import save_model

    kept = [one.model for _, one, _ in material.places(folder)]
    need = sum(parameter.numel() * parameter.element_size() for model in kept for parameter in model.parameters())
    with atomic_folder(folder, need=need) as partial:
        for name, one, place in material.places(partial):
            place.mkdir(exist_ok=True)
            save_model(
                place, one.model, one.tokenizer, one.task, max_length=one.plan.model.max_length,
                plan=one.plan.model_dump(mode="json"), metrics=_of_task(metrics, name),
            )  # fmt: skip


def load_best(material: Material, folder: Path) -> None:
    """Put the weights of the best folder into the model."""
    for _, one, place in material.places(folder):
        _load(one, place, material.rows)


def _load(material: Material, folder: Path, rows: UsedRows | None) -> None:
    tensors: dict[str, torch.Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        tensors.update(load_file(path))
    parameters = dict(material.model.named_parameters())
    if any(name not in tensors for name in parameters):  # written under other names: let transformers read it
        tensors = dict(type(material.model).from_pretrained(folder).state_dict())
    with torch.no_grad():
        for name, parameter in parameters.items():
            value = tensors[name]
            if rows is not None and parameter is rows.rows:
                value = value[rows.ids.cpu()]
            parameter.copy_(value)


def environment(device: torch.device, choices: dict[str, Any]) -> dict[str, Any]:
    """Return versions, machine, device and threads."""
    versions = {"python": platform.python_version()}
    for name in ("bertloom", "torch", "transformers", "tokenizers", "datasets", "numpy", "safetensors"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    named = (
        torch.cuda.get_device_name(device) if device.type == "cuda" else (platform.processor() or platform.machine())
    )
    return {
        "versions": versions,
        "platform": platform.platform(),
        "system": sys.platform,
        "device": str(device),
        "device_name": named,
        "threads": choices.get("threads"),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }


def write_results(folder: Path, results: dict[str, Any], material: Material | None = None) -> None:
    """Write results.json, and metrics and what tasks chose on gate into the best folder's bertloom.json."""
    for name, one, place in material.places(folder / "best") if material is not None else ():
        card = place / "bertloom.json"
        if card.exists():
            content = json.loads(card.read_text(encoding="utf-8"))
            content["metrics"] = _of_task(results["metrics"], name)
            content["task"] = one.task.config.model_dump(mode="json")
            write_json(card, content)
    write_json(folder / "results.json", results)


def _of_task(metrics: dict[str, float], name: str) -> dict[str, float]:
    """Return the metrics of one of several tasks, ``role/metric`` in place of ``role/task/metric``."""
    if not name:
        return metrics
    split = {key: key.split("/", 1) for key in metrics}
    return {
        f"{role}/{rest.removeprefix(f'{name}/')}": metrics[key]
        for key, (role, rest) in split.items() if rest.startswith(f"{name}/")
    }  # fmt: skip
