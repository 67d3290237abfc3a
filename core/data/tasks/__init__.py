"""Placeholder docstring; the room's builder replaces it."""
