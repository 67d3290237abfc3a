"""The states of a corpus' tokens at several layers, computed once and kept in half precision.

Only workers import this module: the encoder needs torch.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.errors import StorageError
from core.graph.encoder import Encoder
from core.training.files import FREE_FLOOR, free_bytes

__all__ = ["MOST_BYTES", "TokenStates", "token_states"]

#: States up to this size stay in memory; larger ones lie in a file while the work lasts.
MEMORY_BYTES = 600_000_000
#: Most that is kept at all.
MOST_BYTES = 6_000_000_000
_LARGEST = float(np.finfo(np.float16).max)


@dataclass
class TokenStates:
    """States of all tokens of some sentences.

    Parameters
    ----------
    sentences
        Indices of the sentences that are here, ascending, shape (kept,): those whose every token has a vector.
    offsets
        Where the tokens of each begin, and the end; shape (kept + 1,).
    layers
        Layer → float16 of shape (tokens, width).
    cut
        Sentences that were left out since a token has no vector: longer than the encoder reads, or of no sub-word.
    thinned
        Sentences that were left out since the states would take more than :data:`MOST_BYTES`.
    """

    sentences: np.ndarray
    offsets: np.ndarray
    layers: dict[int, np.ndarray]
    cut: int
    thinned: int

    def of(self, layer: int, at: int) -> np.ndarray:
        """Return the states of the at-th sentence that is here, float16 of shape (tokens, width)."""
        return self.layers[layer][self.offsets[at] : self.offsets[at + 1]]


@contextlib.contextmanager
def token_states(
    encoder: Encoder,
    sentences: Sequence[list[str]],
    layers: Sequence[int],
    *,
    folder: Path,
    seed: int = 0,
    check: Callable[[], None] = lambda: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[TokenStates]:
    """Compute states and give them up when the block ends.

    Parameters
    ----------
    encoder
        The encoder.
    sentences
        Tokens of each sentence.
    layers
        Layers, 0 = embeddings.
    folder
        Where a file may lie meanwhile.
    seed
        Seed of the drawing where there are more sentences than fit.
    check, progress
        As for :meth:`~core.graph.encoder.Encoder.states`.

    Raises
    ------
    StorageError
        If the disk is too full.
    """
    aligned = encoder.align(sentences)
    sizes = np.diff(aligned.tokens)
    lost = np.concatenate([[0], np.cumsum(~aligned.found)])
    whole = np.flatnonzero((lost[aligned.tokens[1:]] == lost[aligned.tokens[:-1]]) & (sizes > 0))
    cut = len(sentences) - len(whole)
    row = 2 * sum(encoder.widths[layer] for layer in layers)
    kept = np.random.default_rng([0x57A7, seed]).permutation(whole)
    kept = np.sort(kept[np.cumsum(sizes[kept]) * row <= MOST_BYTES])
    offsets = np.concatenate([[0], np.cumsum(sizes[kept])]).astype(np.int64)
    with contextlib.ExitStack() as stack:
        arrays = _room(stack, folder, int(offsets[-1]), {layer: encoder.widths[layer] for layer in layers})
        place = np.full(len(sentences), -1)
        place[kept] = np.arange(len(kept))
        for batch in encoder.states(aligned, list(layers), check=check, progress=progress, only=kept):
            for at, sentence in enumerate(batch.sentences.tolist()):
                start = offsets[place[sentence]]
                low, high = int(batch.starts[at]), int(batch.starts[at + 1])
                for layer, states in batch.states.items():
                    arrays[layer][start : start + high - low] = np.clip(states[low:high], -_LARGEST, _LARGEST)
        yield TokenStates(kept, offsets, arrays, cut, len(whole) - len(kept))


def _room(stack: contextlib.ExitStack, folder: Path, tokens: int, widths: dict[int, int]) -> dict[int, np.ndarray]:
    need = 2 * tokens * sum(widths.values())
    if need <= MEMORY_BYTES:
        return {layer: np.zeros((tokens, width), dtype=np.float16) for layer, width in widths.items()}
    if free_bytes(folder) < need + FREE_FLOOR:
        raise StorageError(
            f"The disk is nearly full: the states of {tokens:,} tokens take {need / 1e9:.1f} GB meanwhile.",
            where=str(folder), expected=f"{FREE_FLOOR / 1e6:.0f} MB left over",
            advice="Free some space, or use fewer sentences or layers.",
        )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="states-", dir=folder)))
    return {
        layer: np.memmap(place / f"{layer}.f16", dtype=np.float16, mode="w+", shape=(tokens, width))
        for layer, width in widths.items()
    }
