"""The data's desk of the facade: samples, uploads, and what a run would read of a source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.config import DataConfig, ModelConfig, TaskConfig
from core.runs.helper import Helper
from core.runs.sources import absolute_data, absolute_task, data_uses_hub, list_uploads, save_upload, stamp
from core.settings import Home

__all__ = ["DataDesk"]


class DataDesk:
    """Samples, uploads, preview and check of data.

    Parameters
    ----------
    home
        The home folder, which keeps uploads.
    helper
        The helper process, which reads data.
    """

    def __init__(self, home: Home, helper: Helper) -> None:
        self._home = home
        self._helper = helper

    def samples(self) -> list[dict[str, Any]]:
        """Return the bundled samples: name, title, language, tasks, rows, licence, about, available."""
        from core.data.samples import samples

        return [sample.as_dict() for sample in samples()]

    def preview(self, data: DataConfig, task: TaskConfig, rows: int = 20) -> dict[str, Any]:
        """Return the first rows as they stand in the source and as they were understood (helper process).

        Returns
        -------
        dict
            ``columns``, ``rows`` (list of dict), ``format``, ``encoding``, ``mapping`` {text, label, tokens, tags …},
            ``problems`` (list of str).
        """
        data = absolute_data(data)
        arguments = {"data": data.model_dump(mode="json"), "task": task.model_dump(mode="json"), "rows": rows}
        return dict(self._helper.call("preview", arguments, timeout=120, hub=data_uses_hub(data), remember=stamp(data)))

    def check(self, data: DataConfig, task: TaskConfig, model: ModelConfig) -> dict[str, Any]:
        """Return the data report: what a run would read, drop, cut and refuse (helper process, remembered)."""
        data, task = absolute_data(data), absolute_task(task)
        arguments = {
            name: part.model_dump(mode="json") for name, part in (("data", data), ("task", task), ("model", model))
        }
        hub = data_uses_hub(data) or model.source.startswith("hub:")
        return dict(self._helper.call("check", arguments, timeout=900, hub=hub, remember=stamp(data, task)))

    def gazetteer(self, task: TaskConfig) -> dict[str, Any]:
        """Return what stands in the gazetteer that a task names (helper process, remembered).

        Returns
        -------
        dict
            ``source``, ``entries`` (how many), ``types`` {type: entries}, ``first`` (pairs of entry and type).

        Raises
        ------
        DataError
            If its file cannot be read, or rows of it cannot be used.
        """
        task = absolute_task(task)
        arguments = {"task": task.model_dump(mode="json")}
        return dict(self._helper.call("gazetteer", arguments, timeout=60, remember=stamp(None, task)))

    def save_upload(self, name: str, content: bytes) -> Path:
        """Keep an uploaded file in the home folder and return its path.

        A file of the same name and content is used again; one of other content gets a number.

        Raises
        ------
        PathRefused
            If the name cannot be a file name.
        StorageError
            If the file cannot be written.
        """
        return save_upload(self._home, name, content)

    def uploads(self) -> list[dict[str, Any]]:
        """Return the uploaded files, newest first: ``name``, ``path``, ``bytes``, ``time``."""
        return list_uploads(self._home)
