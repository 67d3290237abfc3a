"""Activations of a frozen lower part: computed once in evaluation mode, kept memory-mapped, reused over epochs.

What is kept are the hidden states that enter the first trained layer; if the whole encoder is frozen, those that
leave its last layer (only the first position's, if that is all the head sees: this is tried out, not assumed). They
are stored in fp32, as the model hands them over, so that a run with the cache computes what a run without it computes.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from core.data.tasks.base import Encoded
from core.data.tasks.heads import head_logits
from core.errors import StorageError
from core.training.batches import evaluation_batches
from core.training.boundary import Boundary, Feed, NotReached
from core.training.engine import Engine
from core.training.evaluation import EVALUATION_TOKENS
from core.training.files import atomic_folder, remove, sweep

__all__ = ["prepare_feeds", "zero_feeds"]

_FILE = "hidden.f32"


def _inputs(engine: Engine, encoded: Encoded, indices: np.ndarray) -> dict[str, torch.Tensor]:
    prepared = engine.prepared
    batch = prepared.task.collate([encoded.features[index] for index in indices], prepared.tokenizer)
    inputs = {name: tensor.to(prepared.device) for name, tensor in batch.items() if name != "labels"}
    with torch.inference_mode():
        # Entries of a dictionary are no part of what is cached: given, so that nothing else passes the layers.
        return inputs | engine.entries("fp32")


def _try_out(engine: Engine, boundary: Boundary, encoded: Encoded) -> tuple[bool, bool]:
    """Feed a few long examples and compare the logits with those of the plain model.

    Returns
    -------
    usable
        Whether feeding gives the same logits: it does where the layers run in order and nothing else looks below.
    first_only
        Whether the first position's states alone do.
    """
    prepared = engine.prepared
    indices = np.argsort(np.asarray(encoded.lengths), kind="stable")[-4:]
    inputs = _inputs(engine, encoded, indices)
    with torch.inference_mode():
        plain = head_logits(prepared.model(**inputs))
        hidden = boundary.take(lambda: prepared.model(**inputs))

        def same(states: torch.Tensor) -> bool:
            cut = {
                name: tensor if name == "entries" else tensor[:, : states.shape[1]] for name, tensor in inputs.items()
            }
            try:
                with boundary.put(states):
                    logits = head_logits(prepared.model(**cut))
            except (RuntimeError, IndexError, ValueError):
                return False
            return logits.shape == plain.shape and bool(torch.allclose(logits, plain, rtol=1e-4, atol=1e-5))

        above = boundary.depth < len(boundary.layers)
        first_only = (
            not above and prepared.task.kind == "classification" and hidden.shape[1] > 1 and same(hidden[:, :1])
        )
        return same(hidden), first_only


def _key(
    engine: Engine, encoded: Encoded, boundary: Boundary, first_only: bool, precision: str, fingerprint: str
) -> str:
    found = hashlib.sha256()
    parts = {
        "format": 1, "frozen": fingerprint, "depth": boundary.depth, "first_only": first_only, "precision": precision,
        "path": engine.path,
        # A different number of threads or another build may round differently, and a resume promises equal bits.
        "threads": torch.get_num_threads(), "torch": torch.__version__, "device": engine.prepared.device.type,
        "tokens": EVALUATION_TOKENS,
    }  # fmt: skip
    found.update(json.dumps(parts, sort_keys=True).encode())
    for feature in encoded.features:
        found.update(np.asarray(feature["input_ids"], dtype=np.int64).tobytes())
        found.update(np.asarray(feature.get("token_type_ids", ()), dtype=np.int64).tobytes())
    return found.hexdigest()[:40]


def prepare_feeds(
    engine: Engine,
    cache: Path,
    *,
    check: Callable[[], None],
    event: Callable[..., None],
    fingerprint: str,
    roles: tuple[str, ...] = ("train", "gate"),
) -> None:
    """Compute or find the activations of the roles that are seen more than once, and let the engine use them.

    Parameters
    ----------
    engine
        The engine; its run has a frozen lower part.
    cache
        The home's cache folder; entries lie in ``activations/``.
    check
        Called between batches; may raise to stop.
    event
        Told the size before anything is written, and the reason if there is no cache.
    fingerprint
        Hash of the frozen weights.
    roles
        Which roles.
    """
    prepared = engine.prepared
    stage = prepared.stage
    if prepared.depth == 0 or not stage.cache_activations:
        return
    boundary = Boundary(prepared.layers, prepared.depth)
    wanted = {role: prepared.encoded[role] for role in roles if role in prepared.encoded}
    width = int(prepared.model.config.hidden_size)
    with engine.scoring():
        path = engine.path
        engine.use_path("stock")  # hidden states are taken from the stock model's layers
        try:
            usable, first_only = _try_out(engine, boundary, prepared.encoded["train"])
        except NotReached:
            usable, first_only = False, False
        finally:
            engine.use_path(path)
        if not usable:
            event(
                "decision",
                "This encoder's frozen layers cannot be fed from a cache: they are computed anew in every step.",
            )
            return
        rows = {role: len(one.features) if first_only else int(sum(one.lengths)) for role, one in wanted.items()}
        size = sum(rows.values()) * width * 4
        limit = stage.cache_limit_mb * 1_000_000
        if size > limit:
            event(
                "decision",
                f"The frozen layers' activations would take {size / 1e6:.0f} MB, more than the limit of "
                f"{stage.cache_limit_mb} MB: they are computed anew in every step.",
                data={"bytes": size, "limit": limit},
            )
            return
        folder = cache / "activations"
        sweep(folder)
        keys = {
            role: _key(engine, one, boundary, first_only, engine.precision if role == "train" else "fp32", fingerprint)
            for role, one in wanted.items()
        }
        missing = {role for role, key in keys.items() if not _whole(folder / key, rows[role] * width * 4)}
        kind = (
            "the first position's outputs of the encoder"
            if first_only
            else f"the activations of {prepared.depth} frozen layers"
        )
        if missing:
            _make_room(folder, limit - size, keep=set(keys.values()))
            event("info", f"Computing {kind} once: {size / 1e6:.1f} MB in the cache.", data={"bytes": size})
        else:
            event("info", f"Using {kind} from the cache: {size / 1e6:.1f} MB.", data={"bytes": size})
        try:
            for role in sorted(missing):
                precision = engine.precision if role == "train" else "fp32"
                _compute(
                    engine, boundary, wanted[role], folder / keys[role], rows[role], width, first_only, precision, check
                )
        except StorageError as error:
            event(
                "warning", f"The activations cannot be kept, so they are computed anew in every step. {error.message()}"
            )
            return
    try:
        for role, key in keys.items():
            os.utime(folder / key)  # what was used last is removed last
            data = np.memmap(folder / key / _FILE, dtype=np.float32, mode="r", shape=(rows[role], width))
            lengths = np.asarray(wanted[role].lengths)
            offsets = np.concatenate([[0], np.cumsum(np.ones_like(lengths) if first_only else lengths)])
            engine.feeds[role] = Feed(boundary, data, offsets, first_only, prepared.device)
    except FileNotFoundError:
        engine.feeds.clear()
        event("warning", "The cache was emptied meanwhile: the frozen layers are computed anew in every step.")


def _whole(folder: Path, size: int) -> bool:
    try:
        return (folder / _FILE).stat().st_size == size
    except OSError:
        return False


def _make_room(folder: Path, budget: int, keep: set[str]) -> None:
    """Remove the entries that were used longest ago until the rest fits."""
    if not folder.is_dir():
        return
    entries = sorted(
        (path for path in folder.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime, reverse=True
    )
    used = 0
    for path in entries:
        if path.name in keep:
            continue
        used += sum(item.stat().st_size for item in path.iterdir())
        if used > budget:
            remove(path)


def _compute(
    engine: Engine,
    boundary: Boundary,
    encoded: Encoded,
    target: Path,
    rows: int,
    width: int,
    first_only: bool,
    precision: str,
    check: Callable[[], None],
) -> None:
    lengths = np.asarray(encoded.lengths)
    offsets = np.concatenate([[0], np.cumsum(np.ones_like(lengths) if first_only else lengths)])
    model = engine.prepared.model
    with atomic_folder(target, need=rows * width * 4) as partial:
        data = np.memmap(partial / _FILE, dtype=np.float32, mode="w+", shape=(rows, width))
        for batch in evaluation_batches(lengths, EVALUATION_TOKENS):
            check()
            inputs = _inputs(engine, encoded, batch)
            with torch.inference_mode(), engine.autocast(precision):
                if engine.path == "packed":
                    hidden = engine.packed_states(inputs, boundary.depth, first_only=first_only)
                else:
                    padded = boundary.take(functools.partial(model, **inputs))
                    hidden = padded[:, 0] if first_only else padded[inputs["attention_mask"].bool()]
                states = hidden.float().cpu().numpy()
            at = 0
            for index in batch:
                start, end = offsets[index], offsets[index + 1]
                data[start:end] = states[at : at + end - start]
                at += end - start
        data.flush()
        del data


def zero_feeds(engine: Engine) -> int:
    """Feed zeros in place of activations, for a dry run.

    Returns
    -------
    int
        Bytes that the real activations of the training and gate rows would take; 0 if there would be no cache.
    """
    prepared = engine.prepared
    stage = prepared.stage
    if prepared.depth == 0 or not stage.cache_activations:
        return 0
    boundary = Boundary(prepared.layers, prepared.depth)
    path = engine.path
    engine.use_path("stock")
    try:
        with engine.scoring():
            usable, first_only = _try_out(engine, boundary, prepared.encoded["train"])
    except NotReached:
        usable, first_only = False, False
    finally:
        engine.use_path(path)
    width = int(prepared.model.config.hidden_size)
    size = 0
    for role in ("train", "gate"):
        if role in prepared.encoded:
            one = prepared.encoded[role]
            sizes = np.ones(len(one.features), dtype=np.int64) if first_only else np.asarray(one.lengths)
            size += int(sizes.sum()) * width * 4
    if not usable or size > stage.cache_limit_mb * 1_000_000:
        return 0
    train = prepared.encoded["train"]
    sizes = np.ones(len(train.features), dtype=np.int64) if first_only else np.asarray(train.lengths)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    data = np.zeros((int(sizes.sum()), width), dtype=np.float32)
    engine.feeds["train"] = Feed(boundary, data, offsets, first_only, prepared.device)
    return size
