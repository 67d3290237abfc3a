"""Teachers of the tasks of a joint run: each task has its own, and its loss holds what they say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from core.training.distil.maps import GROUP, PREFIX, map_group, stage_maps
from core.training.distil.pairs import Pairs
from core.training.distil.places import of_task
from core.training.engine import Engine
from core.training.groups import GroupSpec
from core.training.joint.material import located

__all__ = ["Taught"]

Event = Callable[..., None]


class Taught:
    """What teachers add to the steps of a joint run.

    Parameters
    ----------
    names
        Names of the tasks.
    engines
        One a task; that of a task with teachers has a stage of kind ``distil``.
    """

    def __init__(self, names: Sequence[str], engines: Sequence[Engine]):
        self._engines = dict(zip(names, engines, strict=True))
        self._names = list(names)
        #: Of each task the learned maps by the names that its losses know them by.
        self._maps: dict[str, dict[str, torch.nn.Parameter]] = {}
        for index, (name, engine) in enumerate(self._engines.items()):
            if engine.prepared.stage.distil is not None:
                with self._at(name):
                    self._maps[name] = stage_maps(engine.prepared, f"tasks.{index}")
        #: Of each task the pairs of layers that were found by their likeness; None where none were.
        self.alike: dict[str, Pairs | None] = dict.fromkeys(self._maps)

    @property
    def tasks(self) -> list[str]:
        """Names of the tasks that have teachers."""
        return list(self._maps)

    def maps(self) -> dict[str, torch.nn.Parameter]:
        """Return the learned maps of all tasks, each under a name of its own."""
        return {
            f"{PREFIX}task{self._names.index(name)}.{key.removeprefix(PREFIX)}": one
            for name, maps in self._maps.items() for key, one in maps.items()
        }  # fmt: skip

    def maps_of(self, task: int) -> list[torch.nn.Parameter]:
        """Return the learned maps of a task."""
        return list(self._maps.get(self._names[task], {}).values())

    def groups(self) -> list[GroupSpec]:
        """Return a parameter group for the maps of each task."""
        every = self.maps()
        found = []
        for name, maps in self._maps.items():
            for spec in map_group(self._engines[name].prepared.stage, maps):
                members = [key for key, one in every.items() if any(one is other for other in maps.values())]
                found.append(GroupSpec(f"{GROUP} {name}", spec.lr, spec.weight_decay, members))
        return found

    def open(self, cache: Path, *, check: Callable[[], None], event: Event, phase: Callable[[str], None]) -> None:
        """Load the teachers, compute or find their answers, and give the engines their objectives.

        Raises
        ------
        BertloomError
            If a teacher cannot teach its task, or its answers do not fit on the disk.
        """
        from core.training.distil.opening import open_objective

        for name, maps in self._maps.items():
            engine, where = self._engines[name], f"tasks.{self._names.index(name)}"
            if engine.objective is not None:
                continue
            phase("asking the teacher")
            with self._at(name):
                engine.objective = open_objective(
                    engine, cache, where=where, maps=maps, alike=self.alike[name], check=check,
                    event=self._telling(name, event),
                )  # fmt: skip
            self.alike[name] = engine.objective.alike

    def _at(self, name: str) -> Any:
        return located(f"tasks.{self._names.index(name)}", name, several=len(self._names) > 1)

    def _telling(self, name: str, event: Event) -> Event:
        """Return what tells events of a task's teachers, with its name where there are several tasks."""

        def tell(kind: str, message: str, *, data: Mapping[str, Any] | None = None, **more: Any) -> None:
            known = dict(data or {})
            if "answered" in known:
                known["answered"] = {**known["answered"], "task": name}
            if "metric" in known:
                known["metric"] = str(known["metric"]).replace("gate/", f"gate/{name}/", 1)
            event(kind, f"{name}: {message}" if len(self._names) > 1 else message, data=known, **more)

        return tell

    # ---- steps -----------------------------------------------------------------------------------------------------

    def begin(self, task: int, own: int, turn: int) -> None:
        """Begin a step with a batch of a task; see :meth:`core.training.distil.objective.Objective.begin`."""
        objective = self._engines[self._names[task]].objective
        if objective is not None:
            objective.begin(own, turn)

    def take(self, task: int) -> dict[str, torch.Tensor]:
        """Return what was told of a task since the last call, by series ``distil/TASK/…``, each of shape ()."""
        name = self._names[task]
        objective = self._engines[name].objective
        return {} if objective is None else {of_task(key, name): value for key, value in objective.take().items()}
