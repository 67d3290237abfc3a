"""Small files, plans and vocabularies for the data tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from core.config import DataConfig, TaskConfig

CLASSIFY = TaskConfig()
TAG = TaskConfig(kind="tagging")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    folder = tmp_path / "cache"
    folder.mkdir()
    return folder


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def _write(name: str, content: str | bytes, encoding: str = "utf-8") -> Path:
        file = tmp_path / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return file

    return _write


@pytest.fixture
def table(write: Callable[..., Path]) -> Callable[..., DataConfig]:
    """Write a CSV of `rows` (text, label) and return the plan's data part for it."""

    def _table(rows: list[tuple[str, str]], name: str = "data.csv", **fields: object) -> DataConfig:
        import csv
        import io

        out = io.StringIO()
        csv.writer(out).writerows([("text", "label"), *rows])
        return DataConfig(source=str(write(name, out.getvalue())), **fields)  # type: ignore[arg-type]

    return _table


def reviews(count: int) -> list[tuple[str, str]]:
    """Return rows with distinct texts, two thirds good."""
    return [
        (f"film number {index} was {'dull' if index % 3 == 0 else 'fine'}", "bad" if index % 3 == 0 else "good")
        for index in range(count)
    ]


@pytest.fixture
def small_model(tmp_path: Path) -> Path:
    """A model folder with a small WordPiece vocabulary of English words and letters."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "film",
        "number",
        "was",
        "dull",
        "fine",
        *"abcdefghijklmnopqrstuvwxyz0123456789",
    ]
    words += [f"##{char}" for char in "abcdefghijklmnopqrstuvwxyz0123456789"]
    tokenizer = Tokenizer(models.WordPiece({word: index for index, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    folder = tmp_path / "model"
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder
