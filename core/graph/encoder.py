"""Loading encoders without a head, for the states of their layers.

Only workers import this module: it loads torch and transformers.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import Any, Literal

import torch
import transformers

from core.config.plan import EncoderConfig
from core.data.fetch import sha256_of
from core.errors import ModelError
from core.graph.states import Encoder, StateBatch
from core.models.loading import check_length, check_pieces, load_tokenizer, quiet
from core.models.sources import ResolvedModel, read_config, resolve
from core.models.weights import weight_files
from core.training.choices import product_seconds, usable_cores
from core.training.device import pick_device

__all__ = ["Encoder", "StateBatch", "fingerprint_of", "load_encoder"]


def load_encoder(
    model: EncoderConfig,
    *,
    eager: bool = False,
    random: bool = False,
    seed: int = 0,
    device: str = "auto",
    threads: int | Literal["auto"] = "auto",
) -> Encoder:
    """Load an encoder without a head, in evaluation mode and fp32.

    Parameters
    ----------
    model
        Source, revision and longest input.
    eager
        Load it so that it hands out attention weights; slower.
    random
        Weights drawn anew by the family's own rule under `seed`, as a baseline. The ambient random state stays.
    seed
        Seed of the random weights.
    device, threads
        Where it runs. ``auto`` threads: all cores or one, whichever multiplies faster now.

    Raises
    ------
    ModelError
        If the model is refused, lacks weights of the encoder, does not read sentences as long as asked for, or, with
        `eager`, does not give attention weights.
    HubError
        If a hub model cannot be reached.
    """
    resolved = resolve(model.source, model.revision)
    settings = read_config(resolved.folder)
    check_length(settings, model.max_length)
    where = pick_device(device)
    net = _load(resolved, eager=eager, random=random, seed=seed)
    tokenizer = load_tokenizer(resolved, words=True)
    check_pieces(tokenizer, net, resolved.folder)
    encoder = Encoder(
        net.to(where),
        tokenizer,
        source=model.source,
        max_length=model.max_length,
        device=where,
        threads=_threads(threads, where, settings),
        fingerprint=_fingerprint(resolved, random, seed),
        random=random,
    )
    _try_out(encoder, eager)
    return encoder


def fingerprint_of(model: EncoderConfig) -> str:
    """Return a hash of the files that an encoder's states depend on, without loading it.

    Raises
    ------
    ModelError
        If the model is refused.
    HubError
        If a hub model cannot be reached.
    """
    return _fingerprint(resolve(model.source, model.revision), random=False, seed=0)


def _load(resolved: ResolvedModel, *, eager: bool, random: bool, seed: int) -> Any:
    options: dict[str, Any] = {"attn_implementation": "eager"} if eager else {}
    folder = str(resolved.folder)
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
            if random:
                net = transformers.AutoModel.from_config(config, trust_remote_code=False, **options)
                return net.float().eval()
            net, report = transformers.AutoModel.from_pretrained(
                folder,
                config=config,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                dtype=torch.float32,
                output_loading_info=True,
                **options,
            )
        except Exception as error:
            what = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
            if eager and "attention" in what.lower() and "eager" in what.lower():
                raise _no_attention(resolved.source, what) from error
            raise ModelError(
                f"The encoder cannot be loaded: {what}",
                where=folder,
                expected="an encoder that transformers has built in",
            ) from error
    missing = sorted(name for name in report["missing_keys"] if "pooler" not in name.split("."))
    if missing:
        raise ModelError(
            f"The weights do not fit config.json: {len(missing)} tensors of the encoder are missing "
            f"({', '.join(missing[:3])}).",
            where=folder,
            expected="weights and config of one model",
        )
    return net.eval()


def _try_out(encoder: Encoder, eager: bool) -> None:
    """Learn the layers' number and widths, and the heads, from one pass over one sub-word."""
    aligned = encoder.align([["a"]])
    start = list(aligned.prefix) + aligned.ids.tolist() + list(aligned.suffix)
    ids = torch.tensor([start], device=encoder.device)
    try:
        with torch.inference_mode(), quiet():
            output = encoder.model(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                output_hidden_states=True,
                output_attentions=eager,
                return_dict=True,
            )
    except (ValueError, NotImplementedError) as error:
        if eager:
            raise _no_attention(encoder.source, str(error)) from error
        raise
    hidden = getattr(output, "hidden_states", None)
    if not hidden or len(hidden) < 2:
        raise ModelError(
            f"The encoder {encoder.source} does not give the states of its layers.",
            expected="an encoder such as BERT, DistilBERT, RoBERTa, ELECTRA, DeBERTa or ModernBERT",
        )
    encoder.widths = [int(one.shape[-1]) for one in hidden]
    if eager:
        given = getattr(output, "attentions", None) or ()
        if len(given) != len(hidden) - 1 or any(one is None or one.ndim != 4 for one in given):
            raise _no_attention(encoder.source, "its layers return none")
        encoder.heads = [int(one.shape[1]) for one in given]


def _no_attention(source: str, reason: str) -> ModelError:
    return ModelError(
        f"The encoder {source} gives no attention weights: {reason.rstrip('.')}.",
        where="edges: attn",
        expected="an encoder whose class in transformers supports eager attention",
        advice="Leave the attn edges out.",
    )


def _threads(threads: int | Literal["auto"], device: torch.device, settings: dict[str, Any]) -> int:
    if threads != "auto":
        return threads
    cores = usable_cores()
    if device.type != "cpu" or cores == 1:
        return 1 if device.type == "cpu" else min(cores, 4)
    width = int(settings.get("hidden_size") or settings.get("dim") or 768)
    shape = (512, width, 4 * width)
    return min((cores, 1), key=lambda count: product_seconds(device, count, "fp32", shape))


@functools.lru_cache(maxsize=32)
def _file_hash(path: Path, size: int, changed_ns: int) -> str:
    """Hash a file; it is read again only if its size or time of change differ."""
    return sha256_of(path)


def _fingerprint(resolved: ResolvedModel, random: bool, seed: int) -> str:
    """Return a hash of the files that the states depend on."""
    folder = resolved.folder
    files = [folder / "config.json", folder / "tokenizer.json", folder / "tokenizer_config.json"]
    if not random:
        files += weight_files(folder)
    parts = [f"random {seed}" if random else "trained"]
    for file in files:
        if file.is_file():
            status = file.stat()
            parts.append(f"{file.name} {_file_hash(file, status.st_size, status.st_mtime_ns)}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
