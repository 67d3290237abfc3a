"""The structure search page: statistics of a parent, the editor of layers, searches."""
