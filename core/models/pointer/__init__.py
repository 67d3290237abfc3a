"""Heads that point: from a word to a word of the same sentence, or from a question to a place in its context."""
