"""The live plot of a run: a component that pulls its points from the data route and draws them in the browser."""

from __future__ import annotations

from pages.ui.live.component import live_plot

__all__ = ["live_plot"]
