"""What is looked at while a student learns, and how often: pinned sentences, the gate rows, layers beside layers.

Looking changes no number of the training. Pins and layers may each cost :data:`SHARE` of the time that the steps take:
pins are looked at between evaluations only while that is kept, and layers are compared only then.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.models import structure
from core.training.diary import FILE, Diary
from core.training.distil.form_gaps import FormGaps
from core.training.distil.forms import form_of
from core.training.distil.gaps import Gaps
from core.training.distil.likeness import layer_likeness
from core.training.distil.pins import PinFile
from core.training.distil.sizes import sizes_of
from core.training.distil.states import Watch
from core.training.distil.strips import Strips

if TYPE_CHECKING:
    from core.models.folders import Finished
    from core.training.distil.objective import Objective
    from core.training.engine import Engine
    from core.training.prepare import Prepared

__all__ = ["COLUMNS", "SHARE", "TOKENS", "Monitor"]

#: Share of the steps' time that looking at pins may take, and comparing layers.
SHARE = 0.005
#: Looks at pins in a stage, at most, beside those at evaluations: more columns cannot be told apart.
COLUMNS = 400
#: Sub-words of the gate rows in which layers are compared, at least; always a third more than states are wide.
TOKENS = 512
#: Bytes of a teacher's states of these that are kept from one comparison to the next, at most.
_KEPT_STATES = 32_000_000


class Monitor:
    """Looks at one stage.

    Parameters
    ----------
    engine
        Of the stage.
    objective
        Knows the teachers.
    folder
        The run's.
    stage
        Place of the stage among those that are executed, from 0.
    step
        The run's step at which it begins, or goes on.
    fresh
        Whether the stage begins here: what was written of it before, by a worker that was killed, is void.
    event
        Told once what cannot be looked at, and why.
    """

    def __init__(
        self, engine: Engine, objective: Objective, folder: Path, stage: int, *, step: int, fresh: bool,
        event: Callable[..., None],
    ):  # fmt: skip
        self._engine, self._objective, self._stage, self._event = engine, objective, stage, event

        def keep(entry: Mapping[str, Any]) -> bool:
            return int(entry["step"]) <= step and not (fresh and int(entry["stage"]) >= stage)

        self._diary = Diary(folder / FILE, keep)
        self._pins = PinFile(folder)
        self._strips = Strips(engine, objective, self._diary, stage)
        self._every = max(1, math.ceil(engine.prepared.steps / COLUMNS))
        prepared = engine.prepared
        self._gaps = _gaps(prepared, objective) if objective.gate else None
        #: Whether the layers see the same sub-words, and the first teacher reads rows that long.
        self._same = self._gaps is not None and _reads(objective.teachers[0].finished, prepared)
        #: Seconds of steps; of pins and layers, what all looks took, and the last one.
        self._trained = 0.0
        self._spent = {"pins": 0.0, "layers": 0.0}
        self._cost: dict[str, float] = {}
        self._since = 0
        self._broken = False
        #: The teacher's states of the sub-words in which layers are compared, by batch.
        self._told: dict[int, list[np.ndarray]] = {}

    def begin(self, step: int) -> None:
        """Look at the pins before the first step."""
        self._look(step)

    def stepped(self, step: int, seconds: float) -> None:
        """Note a step that took so long, and look at the pins if it is time."""
        self._trained += seconds
        self._since += 1
        if self._since >= self._every and self._allows("pins"):
            self._look(step)

    def evaluated(self, step: int, logits: Sequence[np.ndarray]) -> dict[str, float]:
        """Look at everything after an evaluation; returns further series.

        Parameters
        ----------
        step
            The run's.
        logits
            The student's, of every feature of the gate rows.
        """
        told: dict[str, float] = {}
        with self._noted():
            if self._gaps is not None:
                found = self._gaps.look(logits)
                self._diary.write("gaps", step, stage=self._stage, **found)
                if found["n"]:
                    told = {"distil/gate_divergence": found["divergence"], "distil/gate_agreement": found["agreement"]}
        self._look(step)
        if self._same and self._allows("layers"):
            with self._noted("layers"):
                self._compare(step)
        return told

    def _allows(self, what: str) -> bool:
        """Whether another look would keep the share; the first one tells what one costs."""
        return what not in self._cost or self._spent[what] + self._cost[what] <= SHARE * self._trained

    def _look(self, step: int) -> None:
        self._since = 0
        pins = self._pins.now()
        if not pins:
            return
        with self._noted("pins"):
            self._strips.look(pins, step)

    def _compare(self, step: int) -> None:
        """Compare the layers of student and first teacher by linear CKA."""
        engine, prepared = self._engine, self._engine.prepared
        model = self._objective.teachers[0].finished.model
        home, layers = next(model.parameters()).device, list(structure(model).layers)
        own = Watch(prepared.layers, sizes_of(prepared.model.config, len(prepared.layers)))
        other = Watch(layers, sizes_of(model.config, len(layers)))
        tokens = max(TOKENS, 4 * max(*own.sizes.hidden, *other.sizes.hidden) // 3)
        told = self._told if 4 * tokens * sum(other.sizes.hidden[1:]) <= _KEPT_STATES else None
        # The layers are read where they are computed one by one: not in the packed path, nor out of the cache.
        path, feeds = engine.path, dict(engine.feeds)
        if not self._told:
            model.to(prepared.device)
        try:
            engine.use_path("stock")
            engine.feeds.clear()
            found = layer_likeness(engine, model, own, other, role="gate", tokens=tokens, told=told)
        except (TypeError, ValueError, IndexError, RuntimeError) as error:  # a model that takes other inputs
            self._same = False
            self._event("warning", f"The layers of student and teacher cannot be compared: {error}.")
            return
        finally:
            model.to(home)
            engine.use_path(path)
            engine.feeds.update(feeds)
        rows = [[None if math.isnan(one) else round(float(one), 4) for one in row] for row in found]
        self._diary.write("layers", step, stage=self._stage, cka=rows)

    @contextmanager
    def _noted(self, what: str | None = None) -> Iterator[None]:
        """Count what a block takes; a disk that takes nothing more is told once."""
        began = time.perf_counter()
        try:
            yield
        except OSError as error:
            if not self._broken:
                self._event("warning", f"What is seen of the student cannot be written down: {error}. It trains on.")
            self._broken = True
        finally:
            if what is not None:
                self._cost[what] = time.perf_counter() - began
                self._spent[what] += self._cost[what]


def _gaps(prepared: Prepared, objective: Objective) -> Gaps | FormGaps:
    form = form_of(prepared.task)
    if form is None:
        return Gaps(prepared, objective.gate, objective.shares)
    return FormGaps(prepared, form, objective.gate, objective.shares)


def _reads(teacher: Finished, prepared: Prepared) -> bool:
    """Whether a teacher's encoder can read the gate rows as the student's tokeniser splits them."""
    if prepared.tokenizer.get_vocab() != teacher.tokenizer.get_vocab():
        return False
    most = getattr(teacher.model.config, "max_position_embeddings", None)
    # Some families keep the first two positions to themselves.
    return most is None or max(prepared.encoded["gate"].lengths, default=0) <= int(most) - 2
