"""The run of kind ``stats``: a parent's layers are measured in the background, and kept for pages and searches.

Only workers import this module: it loads torch.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from core.config.statistics import StatisticsConfig
from core.graph.requests import Leaves, execute
from core.search.phases import words_of
from core.search.statistics_cache import cached_statistics
from core.training.context import Outcome, RunContext

__all__ = ["run"]

_Progress = Callable[[int, int], None]


def run(config: StatisticsConfig, context: RunContext, resume: bool = True) -> Outcome:
    """Execute a run of kind ``stats``; one that was stopped goes on with the pieces that it has not measured yet.

    It leaves ``results.json`` in the run's folder, with the statistics under ``details.statistics``.

    Raises
    ------
    BertloomError
        If corpus or encoder cannot be used.
    """

    def work(check: Callable[[], None], phase: Callable[[str], _Progress]) -> Leaves:
        def named(part: str) -> _Progress:
            told = phase(words_of(part))
            told(0, 1)  # what the phase before had reached does not stand for this one
            return told

        found = cached_statistics(config, Path(context.cache), check=check, phase=named)
        depth, needed = found["depth"], [entry["least"] for entry in found["layers"][1:]]
        words = (
            f"{depth['fewest']} segments of {len(needed)} layers suffice; depths {depth['lowest']} to "
            f"{depth['highest']} are worth trying. Layers need {min(needed)} to {max(needed)} of "
            f"{found['layers'][-1]['width']} directions."
        )
        metrics: dict[str, float | None] = {
            "stats/fewest_segments": depth["fewest"], "stats/mean_least_width": sum(needed) / len(needed),
            "stats/words": found["words"], "stats/sentences": found["sentences"], "stats/tokens": found["tokens"],
            "stats/uuas_chain": found["chain"],
        }  # fmt: skip
        return Leaves(metrics, {"statistics": found}, found["notices"], ("info", words, None))

    return execute(context, work, config.runtime, resume=resume)
