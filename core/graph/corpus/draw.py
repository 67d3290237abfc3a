"""Drawing texts evenly from a stream of any length, in bounded memory."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from core.graph.corpus.text import Text

__all__ = ["Drawn", "draw"]

#: Characters of drawn texts that are held at most.
BUDGET = 60_000_000
_BLOCK = 4096
_CHECK_EVERY = 1000


@dataclass
class Drawn:
    """What was drawn.

    Parameters
    ----------
    texts
        The texts, in random order: any start of the list is an even draw as well.
    seen
        Texts in the stream.
    complete
        Whether every text of the stream is there.
    """

    texts: list[Text] = field(default_factory=list)
    seen: int = 0
    complete: bool = True


def draw(
    texts: Iterable[Text], most: int, seed: int, *, check: Callable[[], None] = lambda: None, budget: int = BUDGET
) -> Drawn:
    """Draw at most `most` texts, each as likely as any other.

    Every text gets a random number, and those with the smallest numbers are kept (bottom-k sampling). If the kept
    ones outgrow `budget` characters, k shrinks; what is kept is then still an even draw.

    Parameters
    ----------
    texts
        A stream that is read once, to its end.
    most
        Texts to keep.
    seed
        Seed of the random numbers.
    check
        Called every 1,000 texts; raises in order to stop.
    budget
        Characters to hold at most; one text is always kept.
    """
    generator = np.random.default_rng(seed)
    numbers: list[float] = []
    kept: list[tuple[float, int, Text]] = []
    size = seen = 0
    for seen, text in enumerate(texts, 1):
        if seen % _CHECK_EVERY == 0:
            check()
        if not numbers:
            numbers = generator.random(_BLOCK).tolist()
        number = numbers.pop()
        if len(kept) >= most and number >= -kept[0][0]:
            continue
        heapq.heappush(kept, (-number, -seen, text))
        size += text.size
        while len(kept) > most or (size > budget and len(kept) > 1):
            if len(kept) <= most:
                most = len(kept) - 1
            size -= heapq.heappop(kept)[2].size
    in_order = sorted(kept, key=lambda entry: (-entry[0], -entry[1]))
    return Drawn([text for _, _, text in in_order], seen, complete=len(kept) == seen)
