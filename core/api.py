"""Studio: the one facade that pages, the command line and tests use.

Everything here is cheap to import: torch, transformers and datasets are loaded only by workers and by the helper
process, and by a run whose backend is ``thread``. All methods raise subclasses of
:class:`~core.errors.BertloomError` with a message that can be shown as it stands.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from core.config import Plan
from core.runs.data_desk import DataDesk
from core.runs.desk import RunDesk
from core.runs.graphs import GraphDesk
from core.runs.helper import Helper
from core.runs.joint_desk import JointDesk
from core.runs.manager import Manager
from core.runs.model_desk import ModelDesk
from core.runs.presets import Presets
from core.runs.sources import absolute_sources, stamp, uses_hub
from core.runs.store import Store
from core.runs.structures import StructureDesk
from core.runs.student_desk import StudentDesk
from core.settings import Home
from core.settings import home as default_home
from core.studies.comparing.desk import ComparisonDesk
from core.studies.desk import ClaimDesk

__all__ = [
    "ClaimDesk", "ComparisonDesk", "DataDesk", "GraphDesk", "JointDesk", "ModelDesk", "RunDesk", "StructureDesk",
    "StudentDesk", "Studio",
]  # fmt: skip


class Studio:
    """Gathers data, models, runs, graphs and presets of one home folder.

    Parameters
    ----------
    home
        The home folder; ``None`` takes the one that the environment names. It is created where it is missing.
    watch
        Whether this process claims and watches runs (background threads). Without it runs can be queued and read, and
        another process that watches the same home executes them.
    warm
        Whether a worker process is kept ready while nothing runs, so that the next run starts at once.

    Raises
    ------
    StorageError
        If the home folder or the run store in it cannot be opened.
    """

    def __init__(self, home: Home | None = None, *, watch: bool = True, warm: bool = True) -> None:
        self.home: Home = (home or default_home()).ensure()
        self._store = Store(self.home)
        self._helper = Helper(self.home)
        self._manager = Manager(self._store, warm=warm) if watch else None
        self._closed = threading.Lock()
        self._open = True
        self.data = DataDesk(self.home, self._helper)
        self.models = ModelDesk(self._store, self._helper)
        submitter = self._manager.token if self._manager else None
        self.runs = RunDesk(self._store, self._helper, submitter)
        self.graphs = GraphDesk(self._store, self._helper, submitter)
        self.claims = ClaimDesk(self._store, self.runs, self.estimate)
        self.comparisons = ComparisonDesk(self._store, self.runs, self.estimate, self.predict, self.pointers)
        self.joint = JointDesk(self.home, self._helper, self.estimate)
        self.structures = StructureDesk(self._store, self.runs)
        self.students = StudentDesk(self._store, self._helper, self.runs)
        self.presets = Presets(self.home)
        if self._manager is not None:
            self._manager.start()

    @property
    def problem(self) -> str | None:
        """What keeps the background threads from working now (a full disk, say), or ``None``."""
        return self._manager.problem if self._manager else None

    def close(self, timeout: float = 5.0) -> None:
        """Stop the background threads and the helper.

        Worker processes go on; runs in threads write a checkpoint and stop.

        Parameters
        ----------
        timeout
            Seconds to wait for the threads.
        """
        with self._closed:
            if not self._open:
                return
            self._open = False
        if self._manager is not None:
            self._manager.close(timeout)
        self.students.close()
        self._helper.close()
        self._store.close()

    def __enter__(self) -> Studio:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def predict(self, source: str, texts: Sequence[str] | Sequence[list[str]]) -> list[dict[str, Any]]:
        """Predict texts with a run's best weights or with an exported model folder, in the helper process.

        Parameters
        ----------
        source
            A run (id, unique prefix or unique name) or a model folder.
        texts
            Texts; pairs of texts, and questions with their contexts, as lists of two; for tagging also lists of words.

        Returns
        -------
        list of dict
            One a text: ``text``, ``label``, ``scores``, for tagging ``words`` and ``entities``, for questions
            ``answers`` and ``context``.
        """
        folder = self.runs.model_folder(source)
        return list(self._helper.call("predict", {"source": str(folder), "texts": list(texts)}, timeout=600))

    def pointers(self, source: str, texts: Sequence[str | list[str]]) -> list[dict[str, Any]]:
        """Say where a run's head (or an exported model's) points in texts, in the helper process.

        Parameters
        ----------
        source
            A run (id, unique prefix or unique name) or a model folder.
        texts
            Sentences, or lists of words; questions with their contexts as lists of two.

        Returns
        -------
        list of dict
            See :func:`core.data.tasks.pointer_view.pointer_views`.
        """
        folder = self.runs.model_folder(source)
        return list(self._helper.call("point", {"source": str(folder), "texts": list(texts)}, timeout=600))

    def estimate(self, plan: Plan) -> dict[str, Any]:
        """Estimate time and memory by a dry run of a few steps in the helper process.

        Returns
        -------
        dict
            ``steps``, ``epochs``, ``rows`` {train, gate, test}, ``seconds`` (with ``seconds_low``, ``seconds_high``),
            ``memory_mb``, ``parameters``, ``trainable_parameters``, ``choices``, ``lr`` {group: {steps, lr}},
            ``cut_share``.
        """
        plan = absolute_sources(plan, self.home)
        return dict(
            self._helper.call("estimate", {"plan": plan.model_dump(mode="json")}, timeout=900, hub=uses_hub(plan))
        )

    def steps(self, plan: Plan) -> dict[str, Any]:
        """Return the optimiser steps of a plan, from the data's lengths alone (helper process, remembered).

        Returns
        -------
        dict
            ``steps`` and ``stages`` [{"name", "kind", "steps", "steps_per_epoch", …}] of those that are switched on,
            ``upper``, ``epochs``, ``rows`` …; see :func:`core.training.counting.count_steps`.
        """
        plan = absolute_sources(plan, self.home)
        relevant = plan.model_copy(update={"name": "steps", "tags": []})
        arguments = {"plan": relevant.model_dump(mode="json")}
        return dict(
            self._helper.call("steps", arguments, timeout=600, hub=uses_hub(plan), remember=stamp(plan.data, plan.task))
        )

    def check_plan(self, plan: Plan) -> dict[str, Any]:
        """Check a plan against its rows and its model without training (helper process, remembered).

        Returns
        -------
        dict
            ``findings`` [{"level", "key", "message", "advice"}], ``steps``, ``stages``, ``rows``; see
            :func:`core.training.plan_check.check_plan`.
        """
        plan = absolute_sources(plan, self.home)
        arguments = {"plan": plan.model_dump(mode="json")}
        return dict(
            self._helper.call(
                "check_plan", arguments, timeout=600, hub=uses_hub(plan), remember=stamp(plan.data, plan.task)
            )
        )

    def curve(self, plan: Plan, steps: int) -> dict[str, Any]:
        """Return the first stage's learning rates {group: {"steps": […], "lr": […]}} for a number of steps."""
        from core.training import curve

        return dict(curve(plan, steps))

    def plan_curve(
        self, plan: Plan, steps: dict[str, Any] | Sequence[dict[str, Any]], *, points: int | None = 400
    ) -> dict[str, Any]:
        """Return the learning rates of all stages, one after the other, and what of them depends on results.

        Parameters
        ----------
        plan
            The plan.
        steps
            The answer of :meth:`steps`, or its ``stages``.
        points
            Largest number of points of one curve; None: every step.

        Returns
        -------
        dict
            ``steps``, ``certain``, ``names``, ``groups`` {group: {"steps", "lr", "low", "high"}}, ``gates`` and
            ``stages``; see :func:`core.training.curves.plan_curve`.
        """
        from core.training import plan_curve

        return plan_curve(plan, steps, points=points)
