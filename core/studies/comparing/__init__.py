"""Comparisons: strategies × tasks × seeds with equal budgets, as runs of one run, and the verdict on them."""
