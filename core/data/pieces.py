"""How an encoder's vocabulary cuts the texts: lengths in sub-words and the share of unknown pieces.

Uses the :mod:`tokenizers` library on the model's own files; transformers and torch are not needed.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Pieces", "count_pieces", "load_tokenizer"]

_BATCH = 500
#: Characters of a text that are tokenised: no length limit is near it, and one giant text must not take minutes.
_MOST = 200_000
#: A Chinese character, Japanese kana or Korean hangul.
_CHINESE = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\U00020000-\U0003ffff]")


@dataclass
class Pieces:
    """What tokenising a sample of texts showed.

    Parameters
    ----------
    lengths
        Sub-words of each text, special tokens included.
    unknown, total
        Unknown pieces, and all pieces without special tokens.
    characters, chinese
        Characters that are not white space, and of them Chinese, Japanese and Korean ones.
    examples
        Words or characters that became unknown, at most ten.
    vocabulary_chinese
        Share of the vocabulary's entries that are a Chinese character.
    """

    lengths: list[int] = field(default_factory=list)
    unknown: int = 0
    total: int = 0
    characters: int = 0
    chinese: int = 0
    examples: list[str] = field(default_factory=list)
    vocabulary_chinese: float = 0.0

    @property
    def unknown_share(self) -> float:
        """Unknown pieces as a share of all."""
        return self.unknown / self.total if self.total else 0.0

    @property
    def chinese_share(self) -> float:
        """Chinese, Japanese and Korean characters as a share of all."""
        return self.chinese / self.characters if self.characters else 0.0

    @property
    def per_character(self) -> float:
        """Mean pieces a character."""
        return self.total / self.characters if self.characters else 0.0


def load_tokenizer(folder: Path) -> Any | None:
    """Return the folder's tokeniser without truncation and padding, or None if it has none that can be read alone."""
    from tokenizers import Tokenizer

    try:
        tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception:  # The library raises bare Exception for whatever is wrong.
        tokenizer = _from_vocabulary(folder)
    if tokenizer is not None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
    return tokenizer


def _from_vocabulary(folder: Path) -> Any | None:
    from tokenizers import BertWordPieceTokenizer

    file = folder / "vocab.txt"
    if not file.is_file():
        return None
    lower = True
    with contextlib.suppress(OSError, ValueError, AttributeError):
        told = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        lower = bool(told.get("do_lower_case", True))
    try:
        return BertWordPieceTokenizer(str(file), lowercase=lower)
    except Exception:
        return None


def count_pieces(texts: Sequence[Any], tokenizer: Any) -> Pieces:
    """Tokenise texts and count.

    Parameters
    ----------
    texts
        A string, a pair of strings, or a list of words each.
    tokenizer
        What :func:`load_tokenizer` returned.
    """
    found = Pieces()
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    single = [token for token in vocabulary if len(token.removeprefix("##").removeprefix("▁")) == 1]
    found.vocabulary_chinese = sum(bool(_CHINESE.match(token[-1])) for token in single) / max(1, len(vocabulary))
    unknown = next((vocabulary[token] for token in ("[UNK]", "<unk>", "<UNK>", "unk") if token in vocabulary), None)
    examples: dict[str, None] = {}
    for start in range(0, len(texts), _BATCH):
        batch = [_short(text) for text in texts[start : start + _BATCH]]
        words = isinstance(batch[0], list)
        for text, encoding in zip(batch, tokenizer.encode_batch(batch, is_pretokenized=words), strict=True):
            plain = "".join(text) if isinstance(text, (list, tuple)) else text
            found.characters += len(plain) - sum(map(plain.count, " \n\t\r\u3000"))
            found.chinese += 0 if plain.isascii() else len(_CHINESE.findall(plain))
            ids = encoding.ids
            lost = ids.count(unknown) if unknown is not None else 0
            found.lengths.append(len(ids))
            # Some tokenisers call the unknown piece special too; it still stands for text.
            found.total += encoding.special_tokens_mask.count(0)
            found.total += lost if lost and encoding.special_tokens_mask[ids.index(unknown)] else 0
            found.unknown += lost
            for at in range(len(ids)) if lost and len(examples) < 10 else ():
                if ids[at] == unknown and len(examples) < 10:
                    examples[_piece(text, encoding, at)] = None
    found.examples = [example for example in examples if example]
    return found


def _short(text: Any) -> Any:
    if isinstance(text, str):
        return text[:_MOST]
    return tuple(part[:_MOST] for part in text) if isinstance(text, tuple) else text


def _piece(text: Any, encoding: Any, at: int) -> str:
    begin, end = encoding.offsets[at]
    if isinstance(text, list):
        index = encoding.word_ids[at]
        return "" if index is None else text[index][begin:end][:20]
    if isinstance(text, tuple):
        text = text[encoding.sequence_ids[at] or 0]
    return str(text)[begin:end][:20]
