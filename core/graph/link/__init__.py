"""The graph network: link prediction that is honest about what it beats, and the edges that it predicts."""

from core.graph.link.baselines import adamic_adar, adjacency, common_neighbours, cosine
from core.graph.link.calibration import Calibration
from core.graph.link.metrics import auc, evaluate

__all__ = ["Calibration", "adamic_adar", "adjacency", "auc", "common_neighbours", "cosine", "evaluate"]
