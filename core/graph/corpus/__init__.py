"""Corpora: from a sample, a file or a hub data set to sentences and the words that are nodes."""

from core.graph.corpus.read import read_corpus, read_sentences

__all__ = ["read_corpus", "read_sentences"]
