"""What holds for every test, in whichever process it runs."""

from __future__ import annotations

import os

# Processes that run tests side by side are given the size of a terminal; tests of output choose their own.
for _name in ("COLUMNS", "LINES"):
    os.environ.pop(_name, None)
