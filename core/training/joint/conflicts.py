"""Do the tasks pull the encoder the same way? Cosines, conflict rates and norm ratios of their gradients, by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import torch

__all__ = ["WHOLE", "Conflicts"]

#: Name of the whole shared encoder among its layers.
WHOLE = "encoder"


class Conflicts:
    """Series and means of what looks at gradients found.

    Parameters
    ----------
    names
        Names of the tasks.
    every
        Steps between two looks, for the record.
    """

    def __init__(self, names: Sequence[str], every: int):
        self.every = every
        self._names = list(names)
        self._pairs = list(combinations(range(len(names)), 2))
        self.looks = 0
        #: Per pair and unit: sums of cosine, of (cosine < 0) and of the norm ratio; on the device until asked for.
        self._sums: dict[str, dict[str, torch.Tensor]] = {}

    def observe(self, products: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Take one look, and return its series.

        Parameters
        ----------
        products
            Unit → g_i · g_j, shape (tasks, tasks), as :func:`core.training.joint.gradients.products` gives them.

        Returns
        -------
        dict
            ``conflict/A~B/cosine/UNIT``, g_A · g_B / (‖g_A‖ ‖g_B‖), and ``conflict/A~B/ratio/UNIT``, ‖g_A‖ / ‖g_B‖, of
            every unit and of the whole encoder; ``conflict/A~B/rate``, the share of units with a negative cosine. All
            of shape ().
        """
        self.looks += 1
        whole = {**products, WHOLE: torch.stack(list(products.values())).sum(0)}
        found: dict[str, torch.Tensor] = {}
        for a, b in self._pairs:
            pair = f"{self._names[a]}~{self._names[b]}"
            signs = []
            for unit, gram in whole.items():
                norms = gram.diagonal().clamp(min=0).sqrt()
                # A gradient of zero has no direction: its cosine counts as 0, and so does a ratio to it.
                both = norms[a] * norms[b]
                cosine = torch.where(both > 0, gram[a, b] / both.clamp(min=1e-38), torch.zeros_like(both))
                ratio = torch.where(norms[b] > 0, norms[a] / norms[b].clamp(min=1e-38), torch.zeros_like(both))
                negative = (cosine < 0).float()
                found[f"conflict/{pair}/cosine/{unit}"] = cosine
                found[f"conflict/{pair}/ratio/{unit}"] = ratio
                if unit != WHOLE:
                    signs.append(negative)
                self._add(f"{a},{b}", unit, torch.stack([cosine, negative, ratio]))
            found[f"conflict/{pair}/rate"] = torch.stack(signs).mean()
        return found

    def _add(self, pair: str, unit: str, values: torch.Tensor) -> None:
        sums = self._sums.setdefault(pair, {})
        sums[unit] = sums[unit] + values if unit in sums else values

    def summary(self) -> dict[str, Any] | None:
        """Return the means over all looks for results.json; None without one."""
        if not self.looks:
            return None
        pairs = []
        for a, b in self._pairs:
            units = []
            for unit, values in self._sums[f"{a},{b}"].items():
                cosine, rate, ratio = (value / self.looks for value in values.tolist())
                units.append({"unit": unit, "cosine": cosine, "rate": rate, "ratio": ratio})
            pairs.append({"a": self._names[a], "b": self._names[b], "units": units})
        return {"every": self.every, "looks": self.looks, "pairs": pairs}

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        sums = {pair: {unit: values.tolist() for unit, values in units.items()} for pair, units in self._sums.items()}
        return {"looks": self.looks, "sums": sums}

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Take the state of a checkpoint."""
        self.looks = state["looks"]
        self._sums = {
            pair: {unit: torch.tensor(values, device=device) for unit, values in units.items()}
            for pair, units in state["sums"].items()
        }
