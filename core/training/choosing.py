"""How a run executes: chosen when its first stage has been built, and the same in all that follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.training.choices import Choice, choose
from core.training.device import set_threads
from core.training.session import Session

if TYPE_CHECKING:
    from core.training.run import Run

__all__ = ["apply_choices", "choose_by_timing"]


def choose_by_timing(run: Run, session: Session, index: int) -> None:
    """Choose precision, threads and path, execute so, and write the choice down.

    Parameters
    ----------
    run
        The run; what was chosen goes into its `choices`.
    session
        The stage that was built.
    index
        Its place among the stages that are executed, from 0.
    """
    prepared, stage = session.prepared, session.stage
    run.phase("timing")
    # With everything below the head in the cache, the encoder runs for one epoch only.
    cached = prepared.depth == len(prepared.layers) and stage.cache_activations
    steps = min(prepared.steps, prepared.steps_per_epoch) if cached else prepared.steps
    choice, timings = choose(session.engine, steps=steps + run.later_steps(index), check=run.check)
    _put(choice, session)
    chosen = {
        **choice.as_dict(), "device": str(prepared.device), "deterministic": run.plan.runtime.deterministic,
        "timings": timings, "trained_rows": None if prepared.rows is None else int(prepared.rows.rows.shape[0]),
    }  # fmt: skip
    run.choices.update(chosen)
    words = f"{choice.precision}, {choice.threads} thread{'s' if choice.threads > 1 else ''}, {choice.path} path"
    why = ", chosen by timing" if timings else ""
    run.decide(stage, index, "choice", "train", f"Training in {words}{why}.", chosen)


def apply_choices(chosen: dict[str, Any], session: Session) -> None:
    """Execute as was chosen."""
    _put(Choice(chosen["threads"], chosen["precision"], chosen["path"]), session)


def _put(choice: Choice, session: Session) -> None:
    set_threads(choice.threads)
    for engine in session.engines:
        engine.precision = choice.precision
        engine.use_path(choice.path)
