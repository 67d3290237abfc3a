"""Data: samples, readers, column mapping, the check before training, roles and the leakage guard."""
