from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest

from core.errors import HubError, ModelError
from core.models import resolve

FILES = ["config.json", "model.safetensors", "tokenizer.json", "pytorch_model.bin"]


class FakeHub:
    """The three calls of the hub library that are used, on a local folder."""

    def __init__(self, folder: Path, files: list[str], error: Exception | None = None) -> None:
        self.folder, self.files, self.error = folder, files, error
        self.cached = False
        self.patterns: Any = None

    def model_info(self, name: str, revision: str | None = None) -> Any:
        if self.error is not None:
            raise self.error
        return SimpleNamespace(sha="abc123", siblings=[SimpleNamespace(rfilename=name) for name in self.files])

    def download(self, name: str, file: str, revision: str | None = None) -> str:
        assert revision == "abc123"
        return str(self.folder / file)

    def snapshot(self, name: str, *, local_files_only: bool = False, **options: Any) -> str:
        self.patterns = options
        if local_files_only and not self.cached:
            raise FileNotFoundError("not in the cache")
        return str(self.folder)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, encoder: Callable[[str], Path]) -> Callable[..., FakeHub]:
    def install(files: list[str] = FILES, error: Exception | None = None, folder: Path | None = None) -> FakeHub:
        fake = FakeHub(folder or encoder("bert"), files, error)
        monkeypatch.setattr("core.models.hub.reach_hub", lambda: None)
        monkeypatch.setattr(huggingface_hub, "HfApi", lambda: fake)
        monkeypatch.setattr(huggingface_hub, "hf_hub_download", fake.download)
        monkeypatch.setattr(huggingface_hub, "snapshot_download", fake.snapshot)
        return fake

    return install


def test_a_hub_model_is_pinned_to_its_commit(hub: Callable[..., FakeHub]) -> None:
    hub()
    found = resolve("hub:someone/bert", "main")
    assert (found.kind, found.revision, found.source) == ("hub", "abc123", "hub:someone/bert")


def test_nothing_pickled_is_downloaded(hub: Callable[..., FakeHub]) -> None:
    fake = hub()
    resolve("hub:someone/bert")
    assert fake.patterns["allow_patterns"] == ["*.safetensors", "*.json", "*.txt"]
    assert not any(pattern.endswith((".bin", ".py")) for pattern in fake.patterns["allow_patterns"])


def test_a_model_without_safetensors_is_refused_before_any_download(hub: Callable[..., FakeHub]) -> None:
    fake = hub(["config.json", "pytorch_model.bin", "onnx/model.safetensors"])
    with pytest.raises(ModelError, match=r"only pickled ones \(pytorch_model.bin\)"):
        resolve("hub:someone/bert")
    assert fake.patterns is None


def test_a_model_with_code_is_refused_before_its_weights_are_downloaded(
    hub: Callable[..., FakeHub], tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "x", "auto_map": {"AutoModel": "m.M"}}))
    fake = hub(folder=tmp_path)
    with pytest.raises(ModelError, match="its own code"):
        resolve("hub:someone/bert")
    assert fake.patterns is None


def test_without_network_the_cache_is_used(hub: Callable[..., FakeHub]) -> None:
    hub(error=ConnectionError("no route to host")).cached = True
    assert resolve("hub:someone/bert").kind == "hub"


def test_without_network_and_cache_the_reason_is_told(hub: Callable[..., FakeHub]) -> None:
    hub(error=ConnectionError("no route to host"))
    with pytest.raises(HubError, match="no route to host") as caught:
        resolve("hub:someone/bert")
    assert "bundled" in (caught.value.advice or "")


def test_an_impossible_hub_name_is_refused() -> None:
    with pytest.raises(HubError, match="hub:owner/name"):
        resolve("hub:../etc//passwd")
