"""Tags words that come as JSON on standard input: ``python -m core.data.parts_process``; see :mod:`core.data.parts`."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence

from core.errors import BertloomError

__all__ = ["main", "tag"]

_BATCH = 64


def tag(sentences: Sequence[Sequence[str]], seconds: float) -> tuple[str, list[list[str]]]:
    """Return the tagger's name and the universal parts of speech of the sentences that were done in time, in order.

    Raises
    ------
    ModelError
        If there is no pipeline.
    """
    from spacy.tokens import Doc

    from core.data.english import load_pipeline

    pipeline, name = load_pipeline()
    # The parser stays: rules tell auxiliaries from verbs by its relations.
    off = [pipe for pipe in ("lemmatizer", "senter") if pipe in pipeline.pipe_names]
    found: list[list[str]] = []
    until = time.monotonic() + seconds
    with pipeline.select_pipes(disable=off):
        documents = (
            Doc(pipeline.vocab, words=list(words), sent_starts=[at == 0 for at in range(len(words))])
            for words in sentences
        )
        for document in pipeline.pipe(documents, batch_size=_BATCH):
            found.append([token.pos_ for token in document])
            if time.monotonic() > until:
                break
    return name, found


def main() -> None:
    """Answer one question with one line."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever libraries print is no answer
    # spaCy would load it where it is there, for a second and 200 MB, and none of the pipelines needs it.
    sys.modules.setdefault("torch", None)  # type: ignore[arg-type]
    question = json.loads(sys.stdin.buffer.read())
    try:
        name, parts = tag(question["sentences"], float(question["seconds"]))
        answer: dict[str, object] = {"tagger": name, "parts": parts}
    except BertloomError as error:
        answer = {"error": error.what}
    except (ImportError, MemoryError, ValueError, OSError) as error:
        answer = {"error": (str(error).splitlines() or [type(error).__name__])[0][:300]}
    answers.write(json.dumps(answer).encode() + b"\n")
    answers.flush()


if __name__ == "__main__":
    main()
