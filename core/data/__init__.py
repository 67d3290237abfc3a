"""Data: samples, readers, column mapping, the check before training, roles and the leakage guard.

Importing this package imports neither pyarrow, pandas, datasets nor torch: functions that read rows import them.
`check` and `preview` mean the functions here, not the modules that hold them; the bundled samples are in
:mod:`core.data.samples`.
"""

from core.data.check import check
from core.data.preview import preview
from core.data.report import DataReport, Finding
from core.data.roles import Roles, load_roles

__all__ = ["DataReport", "Finding", "Roles", "check", "load_roles", "preview"]
