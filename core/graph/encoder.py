"""Encoders without a head, and the states of a corpus' tokens at every layer from one forward pass.

Only workers import this module: it loads torch and transformers.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import transformers

from core.config.plan import ModelConfig
from core.data.fetch import sha256_of
from core.errors import ConfigError, ModelError
from core.graph.pieces import Aligned, align
from core.models.loading import load_tokenizer, quiet
from core.models.sources import ResolvedModel, longest_input, read_config, resolve
from core.models.weights import weight_files
from core.training.batches import evaluation_batches
from core.training.choices import product_seconds, usable_cores
from core.training.device import pick_device, set_threads

__all__ = ["Encoder", "StateBatch", "load_encoder"]

#: Sub-words a forward pass, padding included: enough to keep two cores busy, few enough for their caches.
BATCH_TOKENS = 512
#: The same on an accelerator.
ACCELERATOR_TOKENS = 32 * BATCH_TOKENS
#: Longest sentence whose attention is taken, in sub-words: attention grows with the square of the length.
ATTENTION_LENGTH = 512


@dataclass
class StateBatch:
    """What one forward pass says about some sentences.

    Parameters
    ----------
    sentences
        Their indices, shape (sentences,).
    starts
        Rows of the i-th of them: ``starts[i]`` up to ``starts[i + 1]``, one row a token; shape (sentences + 1,).
    found
        Whether a token has a vector (it has sub-words, and all of them fit); shape (rows,).
    states
        Layer → mean of each token's sub-word vectors, float32 of shape (rows, width); zeros where `found` is false.
    attentions
        Layer (from 1) → one matrix a sentence, float32 of shape (tokens, tokens): mean over heads and over the row
        token's sub-words of the attention to the column token's sub-words, summed. Empty unless asked for.
    """

    sentences: np.ndarray
    starts: np.ndarray
    found: np.ndarray
    states: dict[int, np.ndarray]
    attentions: dict[int, list[np.ndarray]] = field(default_factory=dict)


class Encoder:
    """A stock encoder in evaluation mode with its tokenizer; made by :func:`load_encoder`.

    Parameters
    ----------
    model, tokenizer
        From transformers.
    source
        As the config names it.
    max_length
        Sub-words that a sentence may have, special pieces included.
    device, threads
        Where it runs; threads count on the CPU only.
    fingerprint
        Hash of everything that its states depend on.
    random
        Whether the weights are random.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        source: str,
        max_length: int,
        device: torch.device,
        threads: int,
        fingerprint: str,
        random: bool = False,
    ):
        self.model = model
        self.tokenizer = tokenizer
        self.source = source
        self.max_length = max_length
        self.device = device
        self.threads = threads
        self.fingerprint = fingerprint
        self.random = random
        #: Vector size of every layer; layer 0 is what the first transformer layer reads.
        self.widths: list[int] = []
        #: Heads of every layer from 1 on; empty where the model was not loaded with eager attention.
        self.heads: list[int] = []

    @property
    def num_layers(self) -> int:
        """Transformer layers; with the embeddings there are ``num_layers + 1`` layers of states."""
        return len(self.widths) - 1

    @property
    def width(self) -> int:
        """Vector size of the last layer."""
        return self.widths[-1]

    def describe(self) -> dict[str, Any]:
        """Return what it is as plain data, for a graph's record."""
        return {
            "source": self.source,
            "family": str(self.model.config.model_type),
            "layers": self.num_layers,
            "width": self.width,
            "widths": list(self.widths),
            "max_length": self.max_length,
            "random": self.random,
            "fingerprint": self.fingerprint,
        }

    def pick_layers(self, layers: Literal["all"] | Sequence[int]) -> list[int]:
        """Return layers in ascending order, each once.

        Raises
        ------
        ConfigError
            If the encoder does not have one of them, or none is named.
        """
        wanted = range(self.num_layers + 1) if isinstance(layers, str) else sorted(set(layers))
        if not wanted or wanted[0] < 0 or wanted[-1] > self.num_layers:
            raise ConfigError(
                f"The encoder {self.source} has no layer {wanted[-1]}." if wanted else "No layer is named.",
                where="layers",
                expected=f"all, or numbers from 0 (embeddings) to {self.num_layers}",
            )
        return list(wanted)

    def align(
        self,
        sentences: Sequence[list[str]],
        *,
        unit: str = "word",
        max_length: int | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> Aligned:
        """Cut tokens into sub-words; see :func:`core.graph.pieces.align`."""
        return align(self.tokenizer, sentences, unit=unit, max_length=max_length or self.max_length, check=check)

    def states(
        self,
        sentences: Sequence[list[str]] | Aligned,
        layers: Literal["all"] | Sequence[int] = "all",
        *,
        check: Callable[[], None] = lambda: None,
        progress: Callable[[int, int], None] = lambda done, total: None,
        attentions: Sequence[int] = (),
        heads: Sequence[int] = (),
        only: np.ndarray | None = None,
        unit: str = "word",
    ) -> Iterator[StateBatch]:
        """Yield the states of all tokens, some sentences at a time, the longest first.

        Every sentence goes through the model once, whatever layers are wanted; nothing is kept between batches.

        Parameters
        ----------
        sentences
            Tokens of each sentence, or what :meth:`align` made of them.
        layers
            Layers whose states are wanted; may be empty if only attention is wanted.
        check
            Called before every batch; may raise to stop.
        progress
            Called after every batch with sentences done and sentences in all.
        attentions
            Layers, from 1 on, whose attention from token to token is wanted.
        heads
            Heads that it is averaged over; empty: all.
        only
            Indices of the sentences to run; None: all.
        unit
            ``subword``: tokens are pieces of the encoder's own vocabulary. Does not count for aligned sentences.

        Raises
        ------
        ConfigError
            If there is no such layer or head.
        ModelError
            If attention is asked of a model that was not loaded with ``eager=True``.
        """
        wanted = self.pick_layers(layers) if isinstance(layers, str) or len(layers) else []
        attended = [layer for layer in self.pick_layers(attentions) if layer] if len(attentions) else []
        chosen = self.pick_heads(attended, heads)
        longest = min(self.max_length, ATTENTION_LENGTH) if attended else self.max_length
        aligned = sentences if isinstance(sentences, Aligned) else self.align(sentences, unit=unit, max_length=longest)
        run = np.arange(len(aligned)) if only is None else np.asarray(only, dtype=np.int64)
        run = run[aligned.sizes[run] > 0]
        lengths = aligned.sizes[run] + len(aligned.prefix) + len(aligned.suffix)
        done = 0
        # Attention takes memory by the square of the length: its batches stay small everywhere.
        budget = BATCH_TOKENS if self.device.type == "cpu" or attended else ACCELERATOR_TOKENS
        for part in evaluation_batches(lengths, budget):
            check()
            if self.device.type == "cpu":
                set_threads(self.threads)
            yield self._forward(aligned, run[part], wanted, attended, chosen)
            done += len(part)
            progress(done, len(run))

    def pick_heads(self, layers: Sequence[int], heads: Sequence[int]) -> list[int]:
        """Return heads in ascending order; empty, for all heads, if none is named or no layer's attention is wanted.

        Raises
        ------
        ConfigError
            If one of the layers does not have one of them.
        ModelError
            If the encoder gives no attention weights.
        """
        if not layers:
            return []
        if not self.heads:
            raise ModelError(
                f"The encoder {self.source} gives no attention weights.",
                expected="an encoder that was loaded with eager attention",
            )
        fewest = min(self.heads[layer - 1] for layer in layers)
        if len(heads) and not (min(heads) >= 0 and max(heads) < fewest):
            raise ConfigError(
                f"The encoder {self.source} has no head {max(heads) if min(heads) >= 0 else min(heads)}.",
                where="settings.attn.heads",
                expected=f"numbers from 0 to {fewest - 1}",
            )
        return sorted(set(heads))

    def _forward(
        self, aligned: Aligned, sentences: np.ndarray, layers: list[int], attended: list[int], heads: list[int]
    ) -> StateBatch:
        ids, mask, places, rows, starts = aligned.batch(sentences, int(self.tokenizer.pad_token_id))
        total = int(starts[-1])
        found = np.concatenate([aligned.found[aligned.tokens[one] : aligned.tokens[one + 1]] for one in sentences])
        # Not around the yield: what asks for the batches shall not be in inference mode.
        with torch.inference_mode():
            output = self.model(
                input_ids=torch.from_numpy(ids).to(self.device),
                attention_mask=torch.from_numpy(mask).to(self.device),
                output_hidden_states=bool(layers),
                output_attentions=bool(attended),
                return_dict=True,
            )
            place, row = torch.from_numpy(places).to(self.device), torch.from_numpy(rows).to(self.device)
            counts = torch.bincount(row, minlength=total).clamp_(min=1).to(torch.float32).unsqueeze(1)
            alone = len(rows) == int(found.sum())  # one sub-word a token: nothing to average
            states = {}
            for layer in layers:
                hidden = output.hidden_states[layer].flatten(0, 1).index_select(0, place)
                pooled = hidden.new_zeros(total, hidden.shape[1]).index_add_(0, row, hidden)
                states[layer] = (pooled if alone else pooled.div_(counts)).cpu().numpy()
            attentions = self._attentions(output, attended, heads, places, rows, starts, ids.shape[1])
        return StateBatch(sentences, starts, found, states, attentions)

    def _attentions(
        self,
        output: Any,
        layers: list[int],
        heads: list[int],
        places: np.ndarray,
        rows: np.ndarray,
        starts: np.ndarray,
        length: int,
    ) -> dict[int, list[np.ndarray]]:
        if not layers:
            return {}
        sizes = np.diff(starts)
        sentence, position = np.divmod(places, length)
        summed = torch.zeros(len(sizes), int(sizes.max()), length, device=self.device)
        summed[torch.from_numpy(sentence), torch.from_numpy(rows - starts[sentence]), torch.from_numpy(position)] = 1.0
        mean = summed / summed.sum(dim=2, keepdim=True).clamp(min=1.0)
        found = {}
        for layer in layers:
            attention = output.attentions[layer - 1]
            attention = (attention[:, heads] if heads else attention).mean(dim=1)
            words = (mean @ attention @ summed.transpose(1, 2)).cpu().numpy()
            found[layer] = [words[index, :size, :size] for index, size in enumerate(sizes)]
        return found


def load_encoder(
    model: ModelConfig,
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
    longest = longest_input(settings)
    if longest is not None and model.max_length > longest:
        raise ModelError(
            f"The model reads at most {longest} sub-words, and {model.max_length} are asked for.",
            where="model.max_length",
            expected=f"at most {longest}",
        )
    where = pick_device(device)
    net = _load(resolved, eager=eager, random=random, seed=seed)
    tokenizer = load_tokenizer(resolved, words=True)
    if len(tokenizer) > net.get_input_embeddings().num_embeddings:
        raise ModelError(
            f"The tokenizer has {len(tokenizer)} pieces, the model only {net.get_input_embeddings().num_embeddings}.",
            where=str(resolved.folder),
            expected="tokenizer and weights of one model",
        )
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
