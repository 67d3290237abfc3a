"""The English spaCy pipeline: one that the person installed, else the bundled one."""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spacy.language import Language

__all__ = ["load_pipeline"]

_SIZES = ("lg", "md", "sm", "trf")


@lru_cache(maxsize=1)
def load_pipeline() -> tuple[Language, str]:
    """Load the English pipeline once a process: one that the person installed, else the bundled one by its path.

    Returns
    -------
    pipeline, name
        The pipeline without named entities, and its name for labels.

    Raises
    ------
    ModelError
        If there is none.
    """
    import spacy

    from core.data.samples import spacy_pipeline_folder

    installed = spacy.util.get_installed_models()
    own = [f"en_core_web_{size}" for size in _SIZES if f"en_core_web_{size}" in installed]
    with warnings.catch_warnings():
        # A pipeline of a neighbouring version says so on stderr; the name below tells its version.
        warnings.simplefilter("ignore")
        for name in own:
            try:
                return _named(spacy.load(name, exclude=["ner"]), "")
            except (OSError, ValueError, ImportError):
                continue  # made for another version of spaCy, or its own libraries are missing
        return _named(spacy.load(spacy_pipeline_folder(), exclude=["ner"]), " (bundled)")


def _named(pipeline: Language, origin: str) -> tuple[Language, str]:
    meta = pipeline.meta
    return pipeline, f"spaCy en_{meta.get('name', 'pipeline')} {meta.get('version', '')}{origin}"
