"""Statistics of an invented parent, as a run of kind ``stats`` leaves them: for tests of what is made of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from core.search.proposal import propose

__all__ = ["measured"]


def measured(
    layers: int = 4, *, width: int = 96, heads: int = 6, draws: int = 20, trees: str = "silver", seed: int = 0
) -> dict[str, Any]:
    """Return statistics of a parent whose middle layer needs the most directions.

    Parameters
    ----------
    layers
        Layers above the embeddings.
    width, heads
        The parent's; widths are measured in whole heads.
    draws
        Bootstrap draws.
    trees
        ``gold``, ``silver`` or ``none``.
    seed
        Seed of what is invented.
    """
    rng = np.random.default_rng(seed)
    grid = [width // heads * (at + 1) for at in range(heads)]
    share = np.asarray(grid) / width
    apart = np.abs(np.subtract.outer(np.arange(layers + 1), np.arange(layers + 1)))
    cka = np.round(np.exp(-0.15 * apart**1.3), 6)
    entries: list[dict[str, Any]] = []
    bundles: list[dict[str, Any]] = []
    for layer in range(layers + 1):
        need = 0.35 + 0.5 * np.exp(-((layer - layers / 2) ** 2) / layers)
        rho, overlap = share ** (0.6 * need), share**need
        entry: dict[str, Any] = {
            "layer": layer, "width": width, "widths": grid, "rho": np.round(rho, 6).tolist(),
            "overlap": np.round(overlap, 6).tolist(), "unreachable": np.round(0.1 * (1 - share), 6).tolist(),
        }  # fmt: skip
        if layer:
            entry["cka_below"] = float(cka[layer - 1, layer])
            entry["novelty"] = round(1 - float(cka[layer - 1, layer]), 6)
        if trees != "none":
            entry["uuas"] = round(0.42 + 0.2 * float(np.exp(-((layer - layers / 2) ** 2) / 4)), 6)
            entry["margin"] = round(entry["uuas"] - 0.4, 6)
        entries.append(entry)
        noise = rng.normal(0, 0.03, size=(2, draws, 1))
        several = [np.clip(np.round(curve + part * (1 - share), 4), 0, 1) for curve, part in
                   zip((rho, overlap), noise, strict=True)]  # fmt: skip
        bundles.append({"rho": several[0].tolist(), "overlap": several[1].tolist()})
    found = {
        "layers": entries, "cka": cka.tolist(), "draws": bundles, "chain": None if trees == "none" else 0.4,
        "words": 1200, "sentences": 2000, "total_sentences": 12739, "sampled": True, "tokens": 41_000, "trees": trees,
        "parser": "spaCy en_core_web_sm 3.8.0 (bundled)", "language": "en", "corpus": "reviews",
        "encoder": {"source": "bundled", "family": "bert", "layers": layers, "width": width,
                    "widths": [width] * (layers + 1), "max_length": 128, "random": False, "fingerprint": "f" * 32},
        "parent": {"heads": heads, "intermediate": 4 * width, "vocabulary": 30522, "positions": 512, "types": 2},
        "notices": ["2,000 of 12,739 sentences, drawn evenly.", "The trees are silver: a parser made them."],
    }  # fmt: skip
    return propose(found, rho=0.95, overlap=0.8, share=0.1)
