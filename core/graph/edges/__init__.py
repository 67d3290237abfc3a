"""Edge types, one module each: from a corpus (and vectors) to an :class:`~core.graph.types.EdgeSet`."""
