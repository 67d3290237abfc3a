"""Students on disk: as they were before training (so that a run goes on without inheriting again), and as they end.

A student's folder is a model folder with tokenizer; ``student.json`` and ``bases.safetensors`` beside the weights say
what its streams stand for.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from core.config.shape import EncoderShape
from core.errors import ConfigError, ModelError
from core.models.origin import DISTILLED, write_origin
from core.models.shaped.files import shape_of
from core.models.shaped.inherit import Inherited, LayerReport, default_segments
from core.models.sources import read_config, resolve, vet_folder
from core.models.weights import read_headers, weight_files
from core.search.inheriting import Calibration
from core.training.files import atomic_folder

__all__ = ["keep_student", "kept_student", "same_embeddings", "shape_of_folder", "student_of_folder", "write_model"]

_ABOUT, _BASES = "student.json", "bases.safetensors"


def write_model(folder: Path, model: Any, tokenizer: Any, card: str, report: dict[str, Any]) -> None:
    """Write a model folder with tokenizer, card and the note of how it was made, whole or not at all.

    Raises
    ------
    StorageError
        If the disk is too full or cannot be written.
    """
    from core.models.loading import quiet

    need = sum(one.numel() * one.element_size() for one in model.parameters())
    with atomic_folder(folder, need=need) as partial, quiet():
        model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        (partial / "README.md").write_text(card, encoding="utf-8")
        write_origin(partial, DISTILLED, report)


def keep_student(folder: Path, student: Inherited) -> None:
    """Write a student with everything that training needs of it.

    Raises
    ------
    StorageError
        If the disk is too full or cannot be written.
    """
    about = {
        "layers": [asdict(layer) for layer in student.layers], "copied": student.copied,
        "initialised": student.initialised, "segments": [list(pair) for pair in student.segments],
    }  # fmt: skip
    from core.models.loading import quiet

    need = sum(one.numel() * one.element_size() for one in student.model.parameters())
    with atomic_folder(folder, need=need) as partial, quiet():
        student.model.save_pretrained(partial)
        bases = {f"{at:03d}": basis.contiguous().clone() for at, basis in enumerate(student.bases)}
        save_file(bases, partial / _BASES)
        (partial / _ABOUT).write_text(json.dumps(about), encoding="utf-8")


def kept_student(folder: Path) -> Inherited | None:
    """Return the student that :func:`keep_student` wrote, bit for bit; None if there is none."""
    if not (folder / _ABOUT).is_file():
        return None
    about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
    bases = load_file(folder / _BASES)
    return Inherited(
        _load(folder), [LayerReport(**layer) for layer in about["layers"]], about["copied"], about["initialised"],
        [(source, reaches) for source, reaches in about["segments"]], [bases[name] for name in sorted(bases)],
    )  # fmt: skip


def _load(folder: Path) -> Any:
    from transformers import AutoModel

    from core.models.loading import quiet
    from core.models.shaped.register import register

    register()
    with quiet():
        return AutoModel.from_pretrained(
            str(folder), trust_remote_code=False, local_files_only=True, use_safetensors=True, dtype=torch.float32,
            add_pooling_layer=_has_pooler(folder),
        ).eval()  # fmt: skip


def _has_pooler(folder: Path) -> bool:
    return any("pooler." in name for file in weight_files(folder) for name in read_headers(file))


def shape_of_folder(source: str) -> EncoderShape:
    """Return the shape of a student's folder, from its config alone.

    Raises
    ------
    ModelError
        If there is no such folder, or its family has no shape.
    """
    folder = resolve(source).folder
    return shape_of(read_config(folder), where=str(folder), pooler=_has_pooler(folder))


def student_of_folder(
    calibration: Calibration, source: str, segments: list[tuple[int, int]] | None = None
) -> Inherited:
    """Return a student that has its weights. What a narrower stream stands for is fitted by least squares.

    Parameters
    ----------
    calibration
        The parent; its texts of the fit are used.
    source
        Folder of the student.
    segments
        See :func:`core.models.shaped.inherit.inherit`.

    Raises
    ------
    ConfigError
        If its embeddings are not the parent's, or it has more layers.
    ModelError
        If there is no such folder, or it cannot be loaded.
    """
    folder = resolve(source).folder
    vet_folder(folder)
    shape = shape_of_folder(source)
    parent = calibration.fit
    plan = segments or default_segments(parent.layers, len(shape.layers))
    if len(plan) != len(shape.layers):
        raise ConfigError(
            f"There are {len(plan)} segments for {len(shape.layers)} layers.", where="segments",
            expected="one for each layer",
        )  # fmt: skip
    try:
        model = _load(folder)
    except (OSError, RuntimeError, ValueError) as error:
        raise ModelError(f"The student cannot be loaded: {error}", where=str(folder)) from error
    if not same_embeddings(model, parent.encoder):
        raise ConfigError(
            "The student's embeddings are not those of the parent, on which its hidden states are compared.",
            where="student", expected="a student whose embeddings are the parent's, as inherited ones are",
            advice="Give its shape instead: weights are then inherited.",
        )  # fmt: skip
    bases, stream = [], parent.states[0]
    with torch.inference_mode():
        for layer, (_, reaches) in zip(model.encoder.layer, plan, strict=True):
            stream = layer(stream, parent.bias)
            if stream.shape[-1] == parent.width:
                bases.append(torch.eye(parent.width))
                continue
            own, wanted = stream[parent.mask].double(), parent.states[reaches + 1][parent.mask].double()
            gram = own.T @ own
            gram.diagonal().add_(1e-6 * gram.diagonal().mean())
            bases.append(torch.linalg.solve(gram, own.T @ wanted).T.float())
    return Inherited(model, [], ["all weights, as the folder has them"], [], plan, [one.clone() for one in bases])


def same_embeddings(student: Any, parent: Any) -> bool:
    """Whether a student's embeddings are its parent's, bit for bit."""
    own, theirs = student.embeddings.state_dict(), parent.embeddings.state_dict()
    return own.keys() == theirs.keys() and all(torch.equal(own[name], theirs[name]) for name in own)
