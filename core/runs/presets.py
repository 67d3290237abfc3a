"""Plans saved by name: one YAML file each in the home's ``presets`` folder."""

from __future__ import annotations

from pathlib import Path

from core.config import Plan, load_plan, plan_to_yaml
from core.errors import ConfigError, StorageError
from core.runs import folder
from core.settings import Home, confine, safe_name

__all__ = ["Presets"]

_Names = list[str]


class Presets:
    """Saved plans of a home.

    Parameters
    ----------
    home
        The home folder.
    """

    def __init__(self, home: Home) -> None:
        self._folder = home.presets

    def list(self) -> _Names:
        """Return the names, sorted."""
        if not self._folder.is_dir():
            return []
        return sorted(
            (path.stem for path in self._folder.glob("*.yaml") if not path.name.startswith(".")), key=str.casefold
        )

    def load(self, name: str) -> Plan:
        """Return a saved plan.

        Raises
        ------
        ConfigError
            If there is none of this name, or it is no valid plan any more.
        """
        path = self._path(name)
        if not path.is_file():
            raise ConfigError(
                f"There is no preset {name!r}.", where="presets", expected=", ".join(self.list()) or "no presets yet"
            )
        return load_plan(path)

    def save(self, name: str, plan: Plan, overwrite: bool = False) -> None:
        """Save a plan by name.

        Raises
        ------
        ConfigError
            If the name is taken and `overwrite` is not set.
        PathRefused
            If the name cannot be a file name.
        StorageError
            If it cannot be written.
        """
        path = self._path(name)
        if path.exists() and not overwrite:
            raise ConfigError(
                f"There is a preset {name!r} already.", where="name", advice="Choose another name, or overwrite it."
            )
        folder.write_text(path, plan_to_yaml(plan))

    def delete(self, name: str) -> None:
        """Delete a saved plan."""
        path = self._path(name)
        try:
            path.unlink()
        except FileNotFoundError as error:
            raise ConfigError(f"There is no preset {name!r}.", where="presets") from error
        except OSError as error:
            raise StorageError(f"The preset cannot be deleted: {error.strerror}.", where=str(path)) from error

    def _path(self, name: str) -> Path:
        return confine(self._folder / f"{safe_name(name, what='name of the preset')}.yaml", self._folder)
