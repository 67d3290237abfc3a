"""Word graphs: corpora, word vectors, edges, paths, probes and a graph network; see docs/graph.md."""
