"""What a checkpoint says of a training run beside weights and optimiser: position, choices, guards, open window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from core.errors import BertloomError, ModelError
from core.training.checkpoints import Loaded

if TYPE_CHECKING:
    from core.training.loop import Trainer

__all__ = ["restore", "state_of", "tensors_of"]


def tensors_of(trainer: Trainer) -> dict[str, torch.Tensor]:
    """Return what is trained, and the buffers that a model keeps, by name. Frozen weights are rebuilt, not kept."""
    model, parameters = trainer.prepared.model, trainer.prepared.parameters
    tensors = {name: parameters[name].detach() for name in trainer.optimiser.names}
    tensors.update({name: buffer for name, buffer in model.named_buffers() if _kept(model, name)})
    return tensors


def state_of(trainer: Trainer) -> dict[str, Any]:
    """Return everything else that an exact resume needs, as plain data."""
    prepared = trainer.prepared
    return {
        "epoch": trainer.epoch, "index": trainer.index, "evaluated": trainer.evaluated,
        "stopped_early": trainer.stopped_early, "seconds": trainer.elapsed(), "choices": trainer.choices,
        "rates": trainer.rates, "window": trainer.window.steps,
        "keeper": trainer.keeper.state_dict(), "loss_guard": trainer.loss_guard.state_dict(),
        "class_guard": trainer.class_guard.state_dict(),
        "plateau": None if trainer.plateau is None else trainer.plateau.state,
        "fingerprint": trainer.print, "steps": prepared.steps,
        "row_decay": None if prepared.rows is None else prepared.rows.decay,
        "rows": None if prepared.rows is None else int(prepared.rows.rows.shape[0]),
    }  # fmt: skip


def restore(trainer: Trainer, loaded: Loaded) -> None:
    """Put a trainer where a checkpoint left off.

    Raises
    ------
    ModelError
        If model, data or plan changed since it was written.
    BertloomError
        If it was written on another kind of device.
    """
    state, prepared = loaded.state, trainer.prepared
    rows = None if prepared.rows is None else int(prepared.rows.rows.shape[0])
    if state["fingerprint"] != trainer.print or state["steps"] != prepared.steps or state["rows"] != rows:
        raise ModelError(
            "The checkpoint does not fit: model, data or plan changed since it was written.",
            where=str(trainer.checkpoints.folder),
            expected="the same files as when the run began",
            advice="Put the files back, or start a new run.",
        )
    chosen = state["choices"]
    if prepared.device.type != chosen["device"].split(":")[0]:
        raise BertloomError(
            f"The run began on {chosen['device']}; this is {prepared.device}.",
            where="runtime.device", advice="Resume it on the same kind of device, or start a new run.",
        )  # fmt: skip
    parameters = prepared.parameters
    buffers = dict(prepared.model.named_buffers())
    with torch.no_grad():
        for name, tensor in loaded.tensors.items():
            (parameters[name] if name in parameters else buffers[name]).copy_(tensor)
    trainer.optimiser.load_state_tensors(loaded.optimizer)
    if prepared.rows is not None:
        prepared.rows.decay = state["row_decay"]
    trainer.step, trainer.epoch, trainer.index = loaded.step, state["epoch"], state["index"]
    trainer.evaluated, trainer.stopped_early = state["evaluated"], state["stopped_early"]
    trainer.seconds, trainer.rates, trainer.choices = state["seconds"], state["rates"], chosen
    trainer.window.steps = state["window"]
    trainer.keeper.load_state_dict(state["keeper"])
    trainer.loss_guard.load_state_dict(state["loss_guard"])
    trainer.class_guard.load_state_dict(state["class_guard"])
    if trainer.plateau is not None:
        trainer.plateau.state = state["plateau"] or {}


def _kept(model: torch.nn.Module, name: str) -> bool:
    owner, _, leaf = name.rpartition(".")
    return leaf not in model.get_submodule(owner)._non_persistent_buffers_set
