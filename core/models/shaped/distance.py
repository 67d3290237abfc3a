"""How far a student is from its parent, before or after training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from core.models.shaped.inherit import Inherited
from core.models.shaped.inherit_layer import relative_error
from core.models.shaped.parent import Parent

__all__ = ["Distance", "distance"]


@dataclass(frozen=True)
class Distance:
    """Squared errors by variance: 0 is the parent itself, and predicting the mean scores 1.

    Parameters
    ----------
    layers
        Of the stream after each layer, against the parent's layer that it stands for.
    last
        Of what comes out, against the parent's last hidden states.
    """

    layers: tuple[float, ...]
    last: float

    @property
    def loss(self) -> float:
        """The last error and the mean of the layers': predicting the mean scores 2."""
        return self.last + sum(self.layers) / len(self.layers)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {"loss": self.loss, "last": self.last, "layers": list(self.layers)}


def distance(student: Inherited, held_out: Parent) -> Distance:
    """Measure a student on texts that it was not fitted to.

    Parameters
    ----------
    student
        As :func:`core.models.shaped.inherit.inherit` gave it; its model may have been trained since.
    held_out
        The parent on other texts.
    """
    mask = held_out.mask
    stream, errors = held_out.states[0], []
    model = student.model
    with torch.inference_mode():
        for layer, (_, reaches), basis in zip(model.encoder.layer, student.segments, student.bases, strict=True):
            stream = layer(stream, held_out.bias)
            errors.append(relative_error(stream[mask] @ basis.T, held_out.states[reaches + 1][mask]))
        readout = getattr(model.encoder, "readout", None)
        last = stream[mask]
        if readout is not None:
            last = readout["LayerNorm"](last + readout["dense"](last))
        final = relative_error(last @ student.bases[-1].T, held_out.states[-1][mask])
    return Distance(tuple(errors), final)
