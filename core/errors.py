"""The one family of errors that a person may see.

Every error says what was wrong, where (file, row, field), what was expected and what to do. Pages and the command line
show :meth:`BertloomError.message`; the log keeps the trace.
"""

from __future__ import annotations

__all__ = [
    "BertloomError",
    "ConfigError",
    "DataError",
    "DeviceError",
    "ExportError",
    "HubError",
    "ModelError",
    "PathRefused",
    "RunError",
    "RunNotFound",
    "StorageError",
    "TrainingDiverged",
]


class BertloomError(Exception):
    """Base of all errors that are shown to a person.

    Parameters
    ----------
    what
        What was wrong, one sentence.
    where
        File, row, column or field that it concerns.
    expected
        What would have been right.
    advice
        What to do now.
    """

    def __init__(self, what: str, *, where: str | None = None, expected: str | None = None, advice: str | None = None):
        self.what = what
        self.where = where
        self.expected = expected
        self.advice = advice
        super().__init__(self.message())

    def message(self) -> str:
        """Return the whole message as plain text, one sentence after another."""
        parts = [self.what.rstrip()]
        if self.where:
            parts.append(f"Where: {self.where}.")
        if self.expected:
            parts.append(f"Expected: {self.expected}.")
        if self.advice:
            parts.append(self.advice.rstrip())
        return " ".join(parts)

    def as_dict(self) -> dict[str, str | None]:
        """Return the error's parts, for JSON output and for the store."""
        return {
            "error": type(self).__name__,
            "what": self.what,
            "where": self.where,
            "expected": self.expected,
            "advice": self.advice,
        }


class ConfigError(BertloomError):
    """A plan, a setting or a command-line value is not usable."""


class DataError(BertloomError):
    """A data set cannot be read or is not usable for the task."""


class ModelError(BertloomError):
    """A model folder or hub model cannot be used."""


class HubError(BertloomError):
    """A hub model or data set was asked for and could not be reached."""


class DeviceError(BertloomError):
    """A device is missing or out of memory."""


class RunError(BertloomError):
    """A run is not in a state that allows what was asked."""


class RunNotFound(RunError):
    """No run has this id."""


class StorageError(BertloomError):
    """The home folder cannot be written: full disk, read-only, locked."""


class PathRefused(BertloomError):
    """A path leads outside the folder that it must stay in."""


class TrainingDiverged(BertloomError):
    """A guard stopped the training (NaN, exploding loss, one predicted class)."""


class ExportError(BertloomError):
    """A model cannot be exported to the place that was asked for."""
