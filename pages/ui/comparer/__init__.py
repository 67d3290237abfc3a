"""The strategy comparer: setting up, watching and reading a comparison."""
