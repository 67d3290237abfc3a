"""Distillation: a student learns from teachers' answers and layers, most where it differs if that is asked for.

``differences.py`` and ``losses.py`` are pure; ``teacher.py`` loads teachers and keeps their answers; ``opening.py``
makes what the engine of a stage of kind ``distil`` asks in every step, which is ``objective.py``.
"""
