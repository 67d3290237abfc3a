"""What the phases of a search share: its record, its candidates, where it tells how far it is."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from core.config.distil import DistilConfig, DistilRuntime
from core.config.shape import EncoderShape
from core.config.structure import StructureConfig
from core.search.structure.budget import SearchParent
from core.search.structure.records import CANDIDATES, Candidate, SearchRecord, read_candidates
from core.search.structure.standing import goes_on, standing
from core.training.context import RunContext
from core.training.files import remove, sweep

__all__ = ["Work"]


class Work:
    """A search that is being executed.

    Parameters
    ----------
    config
        The search.
    context
        Its run.
    parent
        Its parent.
    record
        How far it is.
    check
        Raises once a person has asked to pause or to end.
    """

    def __init__(
        self, config: StructureConfig, context: RunContext, parent: SearchParent, record: SearchRecord,
        check: Callable[[], None],
    ) -> None:  # fmt: skip
        self.config, self.context, self.parent, self.record, self.check = config, context, parent, record, check
        #: Whether a shape is fast enough, and the milliseconds of the fastest that was measured for that.
        self.admit: Callable[[EncoderShape], bool] = lambda shape: True
        self.fastest = math.inf
        self.folder, self.cache = Path(context.folder), Path(context.cache)
        sweep(self.folder)
        sweep(self.folder / CANDIDATES)
        found = read_candidates(self.folder)
        self.candidates = {key: found[key] for key in record.order if key in found}

    @property
    def ranked(self) -> list[Candidate]:
        """Those that are ranked, in their order."""
        return [one for one in self.candidates.values() if one.rank_loss is not None]

    @property
    def done(self) -> int:
        """Candidates ranked, trained and fine-tuned so far, each time counted once."""
        trained = sum(len(one.rungs) for one in self.candidates.values())
        return len(self.ranked) + trained + sum(one.score is not None for one in self.candidates.values())

    @property
    def total(self) -> int:
        """The same for the whole search, as far as it is known."""
        config, rungs = self.config, [len(rung) for rung in self.record.rungs]
        wanted = max(len(self.record.order), self.record.wanted)
        if not rungs:
            rungs = [min(wanted, config.halving.enter + len(self.record.depths))]
        while len(rungs) < len(config.halving.rungs):
            rungs.append(max(1, math.floor(config.halving.keep * rungs[-1] + 0.5)) + 1)
        return wanted + sum(rungs) + (rungs[-1] if config.finetune is not None else 0)

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Note down what is done now, and how long it takes over all parts of a run that was stopped."""
        self.record.phase = name
        self.write()
        began = time.monotonic()
        try:
            yield
        finally:
            spent = self.record.seconds.get(name, 0.0) + time.monotonic() - began
            self.record.seconds[name] = round(spent, 2)
            self.write()

    def write(self) -> None:
        """Write the record."""
        self.record.write(self.folder)

    def note(self, words: str) -> None:
        """Tell what a person should know, once."""
        if self.record.note(words):
            self.context.event("info", words)
            self.write()

    def tell(self, phase: str, **values: Any) -> None:
        """Tell how far the search is."""
        self.context.progress(phase=phase, step=self.done, total_steps=self.total, **values)

    def refresh(self) -> None:
        """Lay those that were trained on the front, and keep what came of it."""
        found, record, step = standing(self.candidates.values(), self.record), self.record, self.done
        record.front, record.hypervolume = found.front, found.hypervolume
        entry = {
            "step": step, "phase": record.phase, "hypervolume": found.hypervolume, "best_loss": found.best_loss,
            "front": list(found.front), "objectives": found.objectives,
        }  # fmt: skip
        record.history = [one for one in record.history if one["step"] < step]
        record.history.append(entry)
        values = {"search/hypervolume": found.hypervolume, "search/best_loss": found.best_loss}
        self.context.metrics(step, {name: value for name, value in values.items() if value is not None})
        best = min((one.loss for one in self.candidates.values() if one.loss is not None), default=None)
        if best is not None:
            self.context.progress(best={"metric": "held/loss", "value": best, "step": step})
        self.write()

    def next_rung(self, number: int) -> tuple[list[str], str | None]:
        """Return who goes on from a rung."""
        return goes_on([self.candidates[key] for key in self.record.rungs[number]], self.config.halving.keep)

    def name_of(self, candidate: Candidate, what: str = "") -> str:
        """Return the name of a candidate's run."""
        widths = "-".join(map(str, candidate.widths))
        return f"{self.config.name[:50]} · {what}{widths}"[:120]

    @property
    def evaluate_every(self) -> int:
        """Steps between measurements on held-out texts: as many as the first rung has, as one takes some seconds."""
        return self.config.halving.rungs[0]

    def distil_config(self, candidate: Candidate, steps: int) -> DistilConfig:
        """Return what trains a candidate so long by itself; within a search its rates fall once a rung."""
        config, halving, runtime = self.config, self.config.halving, self.config.runtime
        return DistilConfig(
            name=self.name_of(candidate), tags=["candidate"], model=config.model, shape=candidate.encoder_shape,
            segments=candidate.segments, corpus=config.texts(), steps=steps, lr=halving.lr,
            batch_tokens=halving.batch_tokens, evaluate_every=self.evaluate_every,
            runtime=DistilRuntime(backend=runtime.backend, threads=runtime.threads, seed=runtime.seed),
        )  # fmt: skip

    def folder_of(self, run: str) -> Path:
        """Return the folder of a child run."""
        beside = self.folder.parent / run
        return beside if beside.is_dir() else self.folder / "children" / run

    def forget(self) -> None:
        """Remove what an earlier search left in the run's folder."""
        for name in (CANDIDATES, "students"):
            remove(self.folder / name)
        for name in ("results.json", "texts.json", "statistics.json"):
            (self.folder / name).unlink(missing_ok=True)
        self.candidates = {}
