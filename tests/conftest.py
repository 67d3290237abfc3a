"""What holds for every test, in whichever process it runs."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# Processes that run tests side by side are given the size of a terminal; tests of output choose their own.
for _name in ("COLUMNS", "LINES"):
    os.environ.pop(_name, None)

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
