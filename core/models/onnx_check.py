"""What an exported graph answers, held against the model that it was made from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from core.config import Plan
from core.errors import BertloomError, ExportError
from core.models.folders import Finished
from core.models.onnx_folder import OnnxModel

__all__ = ["TOLERANCE", "compare_batches", "compare_rows"]

#: Largest difference of a logit that an export in full precision may have.
TOLERANCE = 1e-4
#: Texts and sub-words of the batches that both answer; longer ones than the model reads are cut.
_BATCHES = ((1, 3), (1, 16), (3, 9), (4, 64), (2, 256))
_ROWS = 512


def compare_batches(finished: Finished, exported: OnnxModel, inputs: list[str], *, exact: bool) -> dict[str, Any]:
    """Let both answer batches of random pieces of several lengths, padded on the right.

    Parameters
    ----------
    finished
        The model by torch.
    exported
        The same as an ONNX session.
    inputs
        Names of the inputs.
    exact
        Whether a difference beyond :data:`TOLERANCE` is an error (full precision), or is only told (8 bits).

    Returns
    -------
    dict
        ``batches`` [[texts, sub-words]], ``max_difference`` and ``mean_difference`` of logits, ``largest`` (their
        largest absolute value, for scale), ``agreement`` (share of answers that are the same) and ``answers`` (their
        number: texts, words' pieces, or labels of texts); padding is left out.

    Raises
    ------
    ExportError
        If the answers differ by more, or one of them is no number.
    """
    import torch

    generator = np.random.default_rng(0)
    differences, same, total, largest = [], 0, 0, 0.0
    sizes = []
    for texts, length in dict.fromkeys((texts, min(length, finished.max_length)) for texts, length in _BATCHES):
        batch = _batch(finished, inputs, texts, length, generator)
        with torch.inference_mode():
            tensors = {name: torch.from_numpy(array) for name, array in batch.items()}
            wanted = finished.model(**tensors).logits.float().numpy()
        found = exported.run(batch)
        if found.shape != wanted.shape:
            raise ExportError(
                f"The exported model answers {texts} texts of {length} sub-words with shape {found.shape}, torch with "
                f"{wanted.shape}.", where=str(finished.folder),
            )  # fmt: skip
        if wanted.ndim == 3:
            here = batch["attention_mask"] > 0
            wanted, found = wanted[here], found[here]
        differences.append(np.abs(found.astype(np.float64) - wanted).ravel())
        largest = max(largest, float(np.abs(wanted).max()))
        own, other = _answers(finished, wanted), _answers(finished, found)
        same, total = same + int((own == other).sum()), total + own.size
        sizes.append([texts, length])
    every = np.concatenate(differences)
    worst = float(every.max())
    result = {
        "batches": sizes, "max_difference": worst, "mean_difference": float(every.mean()),
        "largest": largest, "agreement": same / total, "answers": total,
    }  # fmt: skip
    if not np.isfinite(every).all():
        raise ExportError(
            "The exported model gives logits that are no numbers.", where=str(finished.folder),
            advice="Look at the model itself: its weights may hold infinities.",
        )  # fmt: skip
    if exact and worst > TOLERANCE:
        raise ExportError(
            f"The exported model does not answer as torch does: a logit differs by {worst:.2g} "
            f"(logits reach {largest:.3g}).", where=str(finished.folder), expected=f"at most {TOLERANCE:g}",
            advice="Export it as safetensors, which is the model itself.",
        )  # fmt: skip
    return result


def _batch(
    finished: Finished, inputs: list[str], texts: int, length: int, generator: np.random.Generator
) -> dict[str, np.ndarray]:
    """Return random pieces; all texts but the first are shorter, the last by most."""
    pieces = int(finished.model.get_input_embeddings().num_embeddings)
    ids = generator.integers(0, pieces, (texts, length))
    lengths = np.linspace(length, max(1, length // 3), texts).astype(int)
    mask = np.arange(length) < lengths[:, None]
    padding = int(finished.tokenizer.pad_token_id or 0)
    ids[mask & (ids == padding)] = (padding + 1) % pieces  # some families read the mask from their padding piece
    ids[~mask] = padding
    batch = {"input_ids": ids, "attention_mask": mask.astype(np.int64)}
    if "token_type_ids" in inputs:
        batch["token_type_ids"] = ((np.arange(length) >= lengths[:, None] // 2) & mask).astype(np.int64)
    return batch


def _answers(finished: Finished, logits: np.ndarray) -> np.ndarray:
    """Return the chosen class of each position, or with several labels whether each is chosen."""
    config = finished.task.config
    if finished.task.kind == "classification" and config.multi_label:
        return 1.0 / (1.0 + np.exp(-logits.astype(np.float64))) >= config.threshold
    return logits.argmax(axis=-1)


def compare_rows(finished: Finished, exported: Finished, cache: Path) -> dict[str, Any]:
    """Let both answer the rows that judged the model: the run's ``test`` rows, or ``gate`` where there are none.

    Parameters
    ----------
    finished, exported
        The model by torch and by onnxruntime.
    cache
        The home's cache folder, where read data lies.

    Returns
    -------
    dict
        ``role``, ``rows``, ``of`` (rows of the role), ``metric``, ``torch`` and ``onnx`` (scores), ``agreement``
        (share of the texts, or words, with the same answer) and ``answers``; or ``why`` it was not done.
    """
    try:
        roles = _rows(finished, cache)
    except BertloomError as error:
        return {"why": error.what}
    if isinstance(roles, str):
        return {"why": roles}
    role, rows, of = roles
    from core.models.prediction import infer

    scores, labels = [], []
    for model in (finished, exported):
        encoded = finished.task.encode(rows, finished.tokenizer, finished.max_length)
        logits = infer(model, encoded)
        scores.append(finished.task.evaluate(logits, encoded, rows).metrics)
        labels.append(list(_labels(finished.task.decode(logits, encoded, rows))))
    metric = finished.task.primary_metric
    same = sum(one == other for one, other in zip(*labels, strict=True))
    return {
        "role": role, "rows": len(rows), "of": of, "metric": metric, "torch": float(scores[0][metric]),
        "onnx": float(scores[1][metric]), "agreement": same / max(1, len(labels[0])), "answers": len(labels[0]),
    }  # fmt: skip


def _rows(finished: Finished, cache: Path) -> tuple[str, Any, int] | str:
    from core.data.roles import load_roles

    if not isinstance(finished.info.get("plan"), dict):
        return "the model does not say which data it was trained on"
    try:
        plan = Plan.model_validate(finished.info["plan"])
    except ValueError:
        return "the model's plan cannot be read"
    roles = load_roles(plan.data, plan.task, cache=cache)
    if roles.labels != finished.task.labels:
        return "the data has other labels now"
    role = "test" if len(roles.test) else "gate"
    rows = getattr(roles, role)
    if not len(rows):
        return "the data has neither test nor gate rows"
    # rows of a file are often sorted by label: even steps over all of them
    chosen = np.unique(np.linspace(0, len(rows) - 1, min(_ROWS, len(rows))).astype(int))
    return role, rows.select(chosen), len(rows)


def _labels(predictions: list[Any]) -> Iterator[Any]:
    for one in predictions:
        if one.words is not None:
            yield from one.label
        else:
            yield one.label
