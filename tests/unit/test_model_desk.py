"""Making encoders through the Studio: in processes of their own, listed by what they are, and gone when cancelled."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from core.api import Studio
from core.config import DataConfig
from core.config.shape import EncoderShape
from core.errors import RunError
from core.settings import Home
from tests.tiny import tiny_encoder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("encoder"), hidden=32, heads=4, intermediate=48)


@pytest.fixture
def data(tmp_path: Path) -> DataConfig:
    rows = [f"a film of number {at},{'pos' if at % 2 == 0 else 'neg'}" for at in range(60)]
    (tmp_path / "rows.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    return DataConfig(source=str(tmp_path / "rows.csv"))


def test_made_encoders_are_listed_by_what_they_are_and_a_cancelled_one_leaves_nothing(
    tmp_path: Path, encoder: Path, data: DataConfig
) -> None:
    told: list[str] = []
    with Studio(Home(tmp_path / "home"), watch=False) as studio:
        exports, cancel = studio.home.exports, threading.Event()
        found = studio.models.prune(
            str(encoder), exports / "smaller", data=data, heads=0.5, tell=lambda _, doing: told.append(doing)
        )
        shape = EncoderShape.of_widths([16, 16], head_size=8)
        assert studio.models.new(shape, exports / "blank", tokenizer=str(encoder)) == exports / "blank"
        with pytest.raises(RunError, match="cancelled"):
            studio.models.prune(
                str(encoder), exports / "never", data=data, heads=0.5, cancel=cancel, tell=lambda *_: cancel.set()
            )
        titles = {str(one["source"]): one["title"] for one in studio.models.list()}
        assert titles[str(exports / "smaller")] == "smaller (pruned)"
        assert titles[str(exports / "blank")] == "blank (random weights)"
        assert studio.models.origin(str(exports / "smaller")) == ("pruned", found)
        assert [layer["heads"] for layer in studio.models.shape(str(exports / "smaller"))["layers"]] == [2, 2]
        assert sorted(one.name for one in exports.iterdir()) == ["blank", "smaller"]
    assert told[0] == "loading the model and the rows"
