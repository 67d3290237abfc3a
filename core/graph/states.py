"""The states of a corpus' tokens at every layer of an encoder, from one forward pass.

Only workers import this module: it loads torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch

from core.errors import ConfigError, ModelError
from core.graph.pieces import Aligned, align
from core.graph.stack import layer_states, supports
from core.training.batches import evaluation_batches
from core.training.device import set_threads

__all__ = ["ATTENTION_LENGTH", "Encoder", "StateBatch"]

#: Sub-words a forward pass, padding included: enough to keep two cores busy, few enough for their caches.
BATCH_TOKENS = 1024
#: The same on an accelerator.
ACCELERATOR_TOKENS = 16 * BATCH_TOKENS
#: The same where attention is taken: it takes memory by the square of the length.
ATTENDED_TOKENS = BATCH_TOKENS // 2
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
    """A stock encoder in evaluation mode with its tokenizer; made by :func:`core.graph.encoder.load_encoder`.

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
        self._short = supports(model)
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
        keep: np.ndarray | None = None,
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
        keep
            Whether a token's states are wanted, shape (tokens of all sentences,); those of the others are zeros. None:
            of all. Not with `attentions`.
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
        everywhere = BATCH_TOKENS if self.device.type == "cpu" else ACCELERATOR_TOKENS
        budget = ATTENDED_TOKENS if attended else everywhere
        for part in evaluation_batches(lengths, budget):
            check()
            if self.device.type == "cpu":
                set_threads(self.threads)
            yield self._forward(aligned, run[part], wanted, attended, chosen, keep)
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
        self, aligned: Aligned, sentences: np.ndarray, layers: list[int], attended: list[int], heads: list[int],
        keep: np.ndarray | None,
    ) -> StateBatch:  # fmt: skip
        ids, mask, places, rows, starts = aligned.batch(sentences, int(self.tokenizer.pad_token_id))
        total = int(starts[-1])
        found = np.concatenate([aligned.found[aligned.tokens[one] : aligned.tokens[one + 1]] for one in sentences])
        if keep is not None:
            token = np.concatenate([np.arange(aligned.tokens[one], aligned.tokens[one + 1]) for one in sentences])
            used = keep[token[rows]]
            places, rows = places[used], rows[used]
        # Not around the yield: what asks for the batches shall not be in inference mode.
        with torch.inference_mode():
            place, row = torch.from_numpy(places).to(self.device), torch.from_numpy(rows).to(self.device)
            given = torch.from_numpy(ids).to(self.device), torch.from_numpy(mask).to(self.device)
            if layers and not attended and self._short:
                output, parts = None, layer_states(self.model, *given, layers, place)
            else:
                output = self.model(
                    input_ids=given[0],
                    attention_mask=given[1],
                    output_hidden_states=bool(layers),
                    output_attentions=bool(attended),
                    return_dict=True,
                )
                parts = {layer: output.hidden_states[layer].flatten(0, 1).index_select(0, place) for layer in layers}
            counts = torch.bincount(row, minlength=total).clamp_(min=1).to(torch.float32).unsqueeze(1)
            alone = len(rows) == len(np.unique(rows))  # one sub-word a token: nothing to average
            states = {}
            for layer, part in parts.items():
                pooled = part.new_zeros(total, part.shape[1]).index_add_(0, row, part)
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
