"""Bertloom's core: everything but the dashboard. Nothing in here imports Streamlit."""

__version__ = "0.1.0"
