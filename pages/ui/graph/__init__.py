"""The graph explorer: its vis-network picture, query, explanation and panels."""

from __future__ import annotations
