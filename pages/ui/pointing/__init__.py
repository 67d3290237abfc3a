"""Where heads point: the matrix as a map and as arcs, and how it came about, on the pages of runs and comparisons."""
