"""Structure search: from statistics of a parent's layers to shapes, their weights and their ranking."""
