"""Models of the hub: vetted before their weights are downloaded, and safetensors only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from core.data.network import reach_hub
from core.errors import BertloomError, HubError, ModelError

__all__ = ["download"]

_PATTERNS = ["*.safetensors", "*.json", "*.txt"]
_IGNORED = ["*/*", "*.bin", "*.pt", "*.onnx"]


def download(name: str, revision: str | None = None) -> tuple[Path, str | None]:
    """Download a hub model's safetensors, config and tokenizer, or find them in the cache of the hub library.

    Parameters
    ----------
    name
        Repository, ``owner/name``.
    revision
        Branch, tag or commit; the main branch where it is None.

    Returns
    -------
    (Path, str or None)
        Folder and commit.

    Raises
    ------
    HubError
        If the hub or the repository cannot be reached and it is not in the cache.
    ModelError
        If the model is refused by its config or has no safetensors.
    """
    from huggingface_hub import HfApi, hf_hub_download, snapshot_download
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    where = f"hub:{name}" + (f" at {revision}" if revision else "")
    try:
        validate_repo_id(name)
        reach_hub()
        info = HfApi().model_info(name, revision=revision)
        files = [sibling.rfilename for sibling in info.siblings or []]
        _vet_listing(files, where)
        config = hf_hub_download(name, "config.json", revision=info.sha)
        _vet_remote_config(Path(config), where)
        folder = snapshot_download(name, revision=info.sha, allow_patterns=_PATTERNS, ignore_patterns=_IGNORED)
        return Path(folder), info.sha
    except BertloomError:
        raise
    except HFValidationError as error:
        raise HubError(f"This is not a name of a hub model: {error}", where=where, expected="hub:owner/name") from error
    except (OSError, ValueError, RuntimeError) as error:  # the library's own errors are OSErrors or ValueErrors
        return _cached(name, revision, where, error)
    except Exception as error:  # httpx raises errors of its own family for broken connections
        if type(error).__module__.split(".")[0] not in ("httpx", "httpx2", "httpcore", "httpcore2", "huggingface_hub"):
            raise
        return _cached(name, revision, where, error)


def _cached(name: str, revision: str | None, where: str, error: Exception) -> tuple[Path, str | None]:
    """Fall back to what was downloaded before, else explain why the hub could not be reached."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    if isinstance(error, GatedRepoError):
        raise HubError(
            "The hub model is gated: its owner wants a login and an agreement.",
            where=where,
            advice="Log in with `hf auth login` and accept the terms on the model's page.",
        ) from error
    if isinstance(error, RevisionNotFoundError):
        raise HubError(
            "The hub model has no such revision.", where=where, expected="a branch, tag or commit"
        ) from error
    if isinstance(error, RepositoryNotFoundError):
        raise HubError(
            "The hub has no such model, or it is private.", where=where, advice="Look at its spelling: hub:owner/name."
        ) from error
    try:
        folder = snapshot_download(
            name, revision=revision, local_files_only=True, allow_patterns=_PATTERNS, ignore_patterns=_IGNORED
        )
    except Exception:
        raise HubError(
            f"The hub could not be reached, and the model is not in the local cache: {_first_line(error)}.",
            where=where,
            advice="Look at the network (and at HF_HUB_OFFLINE), or use bundled or a local folder.",
        ) from error
    return Path(folder), Path(folder).name


def _vet_listing(files: list[str], where: str) -> None:
    if not any("/" not in name and name.endswith(".safetensors") for name in files):
        pickled = [name for name in files if name.endswith((".bin", ".pt", ".pkl"))]
        raise ModelError(
            "The hub model has no safetensors weights"
            + (f", only pickled ones ({', '.join(pickled[:3])})" if pickled else "")
            + ".",
            where=where,
            expected="model.safetensors",
            advice="Look for a revision with safetensors (often a pull request, refs/pr/1), or convert it yourself.",
        )
    if "config.json" not in files:
        raise ModelError("The hub model has no config.json.", where=where, expected="a transformers model")


def _vet_remote_config(file: Path, where: str) -> None:
    from core.models.sources import vet_config

    try:
        config: Any = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"The model's config.json cannot be read: {error}.", where=where) from error
    vet_config(config if isinstance(config, dict) else {}, where)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300].rstrip(".")
