"""What a person may change while a student learns: temperature, α and λ. Plain data, without torch.

A change is written into the run's folder before it is applied, with the step from which it holds. A run that goes on
from an earlier checkpoint applies it again at that step, so it computes what a run would that was never stopped.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.config.distillation import DistillationConfig
from core.errors import ConfigError
from core.training.files import write_json

__all__ = ["FILE", "NAMES", "SERIES", "Change", "Controls", "change_words", "check_change"]

#: What can be changed, and the sign that people know it by.
NAMES = {"temperature": "T", "alpha": "α", "differences": "λ"}
#: Name → series.
SERIES = {"temperature": "distil/temperature", "alpha": "distil/alpha", "differences": "distil/lambda"}
FILE = "changes.json"

_RANGES = {
    "temperature": (lambda value: 0 < value <= 100, "a number above 0, at most 100"),
    "alpha": (lambda value: 0 <= value <= 1, "a share from 0 to 1"),
    "differences": (lambda value: 0 <= value <= 1, "a share from 0 to 1"),
}


def check_change(config: DistillationConfig, values: Mapping[str, float | None]) -> dict[str, float]:
    """Return the values that are to be set, or refuse them.

    Parameters
    ----------
    config
        How the student learns by its plan.
    values
        Name (see :data:`NAMES`) → value; None leaves one as it is.

    Raises
    ------
    ConfigError
        If a value is out of range, nothing would be learnt from the teacher, or λ does not go with a selection.
    """
    wanted = {name: float(value) for name, value in values.items() if value is not None}
    if not wanted:
        raise ConfigError(
            "Nothing is to be changed.", expected=f"a value for {', '.join(NAMES)}", where="change of a run"
        )
    for name, value in wanted.items():
        fits, expected = _RANGES[name]
        if not math.isfinite(value) or not fits(value):
            raise ConfigError(f"{name} ({NAMES[name]}) cannot be {value:g}.", where=name, expected=expected)
    if wanted.get("alpha") == 0 and not any(one.weight > 0 for one in config.states):
        raise ConfigError(
            "With alpha 0 nothing is learnt from the teacher: there is no loss between layers.", where="alpha",
            expected="a share above 0", advice="To train on the gold labels alone, start a run without a teacher.",
        )  # fmt: skip
    if wanted.get("differences") and config.selection is not None:
        raise ConfigError(
            "λ and a selection of positions both say which positions count.", where="differences", expected="0",
            advice="Start a run without `selection`.",
        )  # fmt: skip
    return wanted


def change_words(before: Mapping[str, float], after: Mapping[str, float]) -> str:
    """Say what changes: ``α 0.7 → 0.5, λ 0 → 0.3``."""
    return ", ".join(f"{NAMES[name]} {before[name]:g} → {value:g}" for name, value in after.items())


@dataclass(frozen=True)
class Change:
    """One change.

    Parameters
    ----------
    request
        Number of the request, each of which is taken once.
    stage
        Place of the stage among those that are executed, from 0.
    step
        First step of the run that it holds for.
    before, after
        Values by name.
    """

    request: int
    stage: int
    step: int
    before: dict[str, float]
    after: dict[str, float]


class Controls:
    """The changes of one stage.

    Parameters
    ----------
    config
        How the student learns by its plan.
    stage
        Place of the stage among those that are executed, from 0.
    folder
        The run's.
    """

    def __init__(self, config: DistillationConfig, stage: int, folder: Path):
        self.config, self.stage = config, stage
        self._path = folder / FILE
        self._all = _read(self._path)
        #: What holds in place of the plan's values.
        self.held: dict[str, float] = {}
        #: How many of the stage's changes have been applied.
        self.applied = 0

    def value(self, name: str) -> float:
        """Return what holds now, where the plan has no schedule."""
        return self.held.get(name, float(getattr(self.config, name)))

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint needs."""
        return {"held": dict(self.held), "applied": self.applied}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take what :meth:`state_dict` returned."""
        self.held.clear()
        self.held.update(state["held"])
        self.applied = int(state["applied"])

    def known(self, request: int) -> bool:
        """Whether a request was written down before."""
        return any(one.request == request for one in self._all)

    def note(self, request: int, step: int, values: Mapping[str, float], before: Mapping[str, float]) -> None:
        """Write a change down that holds from a step on, in place of what was to change the same values later.

        Later changes are there where a run was killed and goes on from an earlier checkpoint.

        Raises
        ------
        StorageError
            If it cannot be written; then nothing is changed.
        """
        own = [one for one in self._all if one.stage == self.stage]
        later = []
        for one in own[self.applied :]:
            left = {name: value for name, value in one.after.items() if name not in values}
            if left:
                later.append(Change(one.request, one.stage, one.step, one.before, left))
        change = Change(request, self.stage, step, dict(before), dict(values))
        others = [one for one in self._all if one.stage != self.stage]
        found = [*others, *own[: self.applied], *sorted([*later, change], key=lambda one: one.step)]
        write_json(self._path, {"changes": [asdict(one) for one in found]})
        self._all = found

    def due(self, step: int) -> Change | None:
        """Return the next change that holds from `step` or an earlier one on and was not applied yet."""
        own = [one for one in self._all if one.stage == self.stage][self.applied :]
        return own[0] if own and own[0].step <= step else None

    def apply(self, change: Change) -> None:
        """Let what :meth:`due` returned hold."""
        self.held.update(change.after)
        self.applied += 1


def _read(path: Path) -> list[Change]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["changes"]
        return [Change(**one) for one in found]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"What was changed while the run trained cannot be read: {error}.", where=str(path),
            expected="the file as the run wrote it", advice="Put it back, or start a new run.",
        ) from error  # fmt: skip
