from __future__ import annotations

import errno
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import core.training.files as files
from core.errors import StorageError
from core.training.checkpoints import Checkpoints, random_state, restore_random_state

CPU = torch.device("cpu")


def make(folder: Path, **when: Any) -> tuple[Checkpoints, list[str]]:
    told: list[str] = []
    kept = Checkpoints(
        folder,
        lambda kind, message, **_: told.append(f"{kind}: {message}"),
        **{"every_s": 0.0, "every_steps": None, **when},
    )
    return kept, told


def save(kept: Checkpoints, step: int) -> bool:
    return kept.save(step, {"w": torch.full((3,), float(step))}, {"w|step": torch.tensor(float(step))}, {"epoch": step})


def test_newest_is_kept_and_read_back(tmp_path: Path) -> None:
    kept, _ = make(tmp_path / "c")
    assert save(kept, 1)
    assert save(kept, 2)
    assert kept.steps() == [2]
    loaded = make(tmp_path / "c")[0].load(CPU)
    assert loaded is not None
    assert (loaded.step, loaded.state["epoch"]) == (2, 2)
    assert loaded.tensors["w"].tolist() == [2.0] * 3
    assert loaded.optimizer["w|step"].item() == 2.0


def test_full_disk_is_told_once_and_the_last_good_one_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, told = make(tmp_path / "c")
    save(kept, 1)
    monkeypatch.setattr(files, "free_bytes", lambda _: 1000)
    assert not save(kept, 2)
    assert not save(kept, 3)
    assert len(told) == 1
    assert "nearly full" in told[0]
    assert kept.steps() == [1]
    assert not kept.due(4)  # not at every step: later
    monkeypatch.undo()
    assert save(kept, 5)
    assert kept.steps() == [5]


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json", "manifest.json"])
@pytest.mark.parametrize("how", ["cut", "flip", "gone"])
def test_damage_of_any_file_is_noticed(name: str, how: str, tmp_path: Path) -> None:
    kept, _ = make(tmp_path / "c")
    save(kept, 1)
    target = tmp_path / "c" / "00000001" / name
    content = bytearray(target.read_bytes())
    if how == "gone":
        target.unlink()
    else:
        if how == "flip":
            content[len(content) // 2] ^= 0x55
        target.write_bytes(bytes(content if how == "flip" else content[:-1]))
    again, told = make(tmp_path / "c")
    assert again.load(CPU) is None
    assert any("damaged" in text for text in told)
    assert again.steps() == []


def test_write_error_in_the_middle_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, told = make(tmp_path / "c")
    save(kept, 1)

    def broken(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("core.training.checkpoints.write_manifest", broken)
    assert not save(kept, 2)
    assert "No space left" in told[0]
    assert [path.name for path in (tmp_path / "c").iterdir()] == ["00000001"]


def test_due_by_steps_and_by_time(tmp_path: Path) -> None:
    by_steps, _ = make(tmp_path / "a", every_s=1e9, every_steps=3)
    assert [step for step in range(1, 8) if by_steps.due(step)] == [3, 4, 5, 6, 7]
    save(by_steps, 3)
    assert [step for step in range(4, 8) if by_steps.due(step)] == [6, 7]
    always, _ = make(tmp_path / "b", every_s=0.0)
    assert always.due(1)


def test_replacement_interrupted_between_its_renames_is_undone(tmp_path: Path) -> None:
    target = tmp_path / "best"
    with files.atomic_folder(target) as partial:
        (partial / "a").write_text("old")
    target.rename(tmp_path / "best.old")  # the crash came here
    files.recover(target)
    assert (target / "a").read_text() == "old"
    with files.atomic_folder(target) as partial:
        (partial / "a").write_text("new")
    assert (target / "a").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["best"]


def test_failed_replacement_keeps_the_old(tmp_path: Path) -> None:
    target = tmp_path / "best"
    target.mkdir()
    (target / "a").write_text("old")
    with pytest.raises(StorageError), files.atomic_folder(target):
        raise OSError(errno.EIO, "broken disk")
    with pytest.raises(KeyboardInterrupt), files.atomic_folder(target):
        raise KeyboardInterrupt
    assert (target / "a").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_generators_are_restored() -> None:
    states = random_state()
    expected = (random.random(), np.random.rand(), torch.rand(2).tolist())
    restore_random_state(*states)
    assert (random.random(), np.random.rand(), torch.rand(2).tolist()) == expected


def test_json_has_no_nan(tmp_path: Path) -> None:
    import json

    files.write_json(
        tmp_path / "x.json", {"a": float("nan"), "b": [np.float32(0.5), float("inf")], "c": np.int64(3), "d": "nan"}
    )
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": None, "b": [0.5, None], "c": 3, "d": "nan"}
