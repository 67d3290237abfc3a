"""The graphs' desk of the facade: word graphs, questions about paths, what is drawn, probes and graph networks.

Graphs are built, probed and extended by runs; questions are answered in this process, which needs arrays only.
"""

from core.runs.graphs.desk import GraphDesk

__all__ = ["GraphDesk"]
