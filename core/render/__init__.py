"""Figures that do not move, for pages and reports: the one room of `core` that may import plotly, inside functions."""
