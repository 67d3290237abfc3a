"""Forward passes: features in, logits out, on whichever path was chosen."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from core.data.tasks.heads import head_logits
from core.training.device import seed_step
from core.training.prepare import Prepared

if TYPE_CHECKING:
    from core.training.boundary import Feed
    from core.training.distil.objective import Objective

__all__ = ["Engine"]


class Engine:
    """Runs the model of a :class:`~core.training.prepare.Prepared` run.

    Parameters
    ----------
    prepared
        The run.
    precision
        ``fp32`` or ``bf16`` (autocast), for training; scoring is always in fp32.
    path
        ``stock``: the model's own forward. ``packed``: see :mod:`core.training.packed`.
    """

    def __init__(self, prepared: Prepared, precision: str = "fp32", path: str = "stock"):
        self.prepared = prepared
        self.precision = precision
        self._path = "stock"
        self._packed: Any = None
        self.feeds: dict[str, Feed] = {}
        #: What a teacher adds to the loss of training batches.
        self.objective: Objective | None = None
        self._still = _lower_part(prepared)
        self._named: tuple[Any, torch.Tensor] | None = None
        self.use_path(path)

    @property
    def path(self) -> str:
        """The path in use."""
        return self._path

    def paths(self) -> list[str]:
        """Return the paths that this model has."""
        from core.training.packed import PackedEncoder

        return ["stock", "packed"] if PackedEncoder.supports(self.prepared) else ["stock"]

    def use_path(self, path: str) -> None:
        """Switch the path; parameters stay the same tensors."""
        from core.training.packed import PackedEncoder

        if path == self._path:
            return
        if self._packed is not None:
            self._packed.detach()
            self._packed = None
        if path == "packed":
            self._packed = PackedEncoder(self.prepared)
        self._path = path

    def packed_states(self, inputs: dict[str, torch.Tensor], depth: int, *, first_only: bool) -> torch.Tensor:
        """Return the hidden states above the lowest `depth` layers; the path must be ``packed``.

        See :meth:`core.training.packed.PackedEncoder.take`.
        """
        inputs = dict(inputs)
        mask = inputs.pop("attention_mask")
        taken: torch.Tensor = self._packed.take(
            lambda: self.prepared.model(**inputs), mask, depth, first_only=first_only
        )
        return taken

    def seed(self, seed: int, step: int, part: int = 0) -> None:
        """Seed dropout for one micro-batch: a pure function of (seed, step, part)."""
        seed_step(seed, step, part)
        if self._packed is not None:
            self._packed.masks.seed(seed, step, part)

    def train_mode(self) -> None:
        """Switch dropout on, but in a frozen lower part: its activations are those of evaluation mode."""
        self.prepared.model.train()
        for module in self._still:
            module.eval()

    @contextlib.contextmanager
    def scoring(self) -> Iterator[None]:
        """Switch dropout off for as long as the block lasts."""
        self.prepared.model.eval()
        try:
            yield
        finally:
            self.train_mode()

    def autocast(self, precision: str) -> contextlib.AbstractContextManager[Any]:
        """Return the context in which a forward pass has this precision."""
        if precision == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(self.prepared.device.type, dtype=torch.bfloat16)

    def forward(
        self, features: Sequence[dict[str, Any]], indices: np.ndarray, role: str, *, precision: str | None = None
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Collate features and return (logits in fp32, the collated batch with its labels).

        Parameters
        ----------
        features
            The examples.
        indices
            Their indices in the role, by which cached activations are found.
        role
            ``train``, ``gate`` or ``test``.
        precision
            Other than the run's.
        """
        prepared = self.prepared
        batch = prepared.task.collate(features, prepared.tokenizer)
        if prepared.device.type != "cpu":
            batch = {name: tensor.to(prepared.device, non_blocking=True) for name, tensor in batch.items()}
        inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
        feed = self.feeds.get(role)
        if feed is not None and feed.first_only:  # all that is looked at below the head
            inputs = {name: tensor[:, :1] for name, tensor in inputs.items()}
        with self.autocast(precision or self.precision), contextlib.ExitStack() as stack:
            inputs |= self.entries(precision or self.precision)
            if self._packed is not None:
                inputs = stack.enter_context(self._packed.active(inputs, feed, indices))
            elif feed is not None:
                stack.enter_context(feed.active(indices, inputs["attention_mask"]))
            logits = head_logits(prepared.model(**inputs))
        return logits.float(), batch

    def entries(self, precision: str) -> dict[str, torch.Tensor]:
        """Return the model's input ``entries``: vectors of a dictionary's entries, by this path; {} without one.

        They go through all layers, also where the sentences' lower ones come from a cache. An encoder that is frozen as
        a whole gives the same vectors in every step: they are computed once.
        """
        model = self.prepared.model
        pieces = (getattr(getattr(model, "config", None), "pointers", None) or {}).get("pieces")
        if not pieces:
            return {}

        def run(inputs: dict[str, torch.Tensor]) -> Any:
            if self._packed is None:
                return model.base_model(**inputs)
            with self._packed.active(inputs, None, np.arange(0)) as own:
                return model.base_model(**own)

        weights = list(self.prepared.encoder.parameters())
        if any(weight.requires_grad for weight in weights):
            return {"entries": model.named(run)}
        key = (self._path, precision, sum(weight._version for weight in weights))
        if self._named is None or self._named[0] != key:
            # Not in inference mode, whose tensors no gradient passes.
            with torch.inference_mode(False), torch.no_grad(), self.autocast(precision):
                self._named = key, model.named(run)
        return {"entries": self._named[1]}

    def scorer(self, role: str) -> Any:
        """Return the forward function by which a role is scored."""

        def run(
            features: Sequence[dict[str, Any]], indices: np.ndarray
        ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
            return self.forward(features, indices, role, precision="fp32")

        return run

    def loss(
        self, features: Sequence[dict[str, Any]], indices: np.ndarray, role: str = "train"
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return (sum of the losses, sum of the weights, sub-words) of a micro-batch."""
        stage = self.prepared.stage
        objective = self.objective if role == "train" else None
        with objective.watching() if objective is not None else contextlib.nullcontext():
            logits, batch = self.forward(features, indices, role)
        total, weight = self.prepared.task.loss(
            logits, batch["labels"], label_smoothing=stage.label_smoothing, class_weights=self.prepared.weights
        )
        if objective is not None:
            total = objective.mix(self, logits, batch, indices, total, weight)
        return total, weight, logits

    def close(self) -> None:
        """Give the model its own forward back."""
        self.use_path("stock")
        self.feeds.clear()
        self.objective = None


def _lower_part(prepared: Prepared) -> list[torch.nn.Module]:
    """Return the modules below the first trained layer: frozen layers, and what is under them."""
    if prepared.depth == 0:
        return []
    layers = {id(layer) for layer in prepared.layers}
    found: list[torch.nn.Module] = list(prepared.layers[: prepared.depth])

    def walk(module: torch.nn.Module) -> None:
        for child in module.children():
            if id(child) in layers:
                continue
            if any(id(inner) in layers for inner in child.modules()):
                walk(child)
            elif not any(parameter.requires_grad for parameter in child.parameters()):
                found.append(child)

    walk(prepared.encoder)
    return found
