"""CoNLL-U with trees: what is read, and how corrupt lines are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.config.graph import CorpusConfig
from core.data.readers.text import inspect_file
from core.errors import DataError
from core.graph.corpus import read_corpus
from core.graph.corpus.text import Tree
from core.graph.corpus.trees import read_trees

GOOD = """\
# sent_id = 1
# text = Don't feed the cat.
1-2\tDon't\t_\t_\t_\t_\t_\t_\t_\t_
1\tDo\tdo\tAUX\t_\t_\t3\taux\t_\t_
2\tn't\tnot\tPART\t_\t_\t3\tadvmod\t_\t_
3\tfeed\tfeed\tVERB\t_\t_\t0\troot\t_\t_
3.1\tplease\t_\t_\t_\t_\t_\t_\t_\t_
4\tthe\tthe\tDET\t_\t_\t5\tdet\t_\t_
5\tcat\tcat\tNOUN\t_\t_\t3\tobj\t_\tSpaceAfter=No
6\t.\t.\tPUNCT\t_\t_\t3\tpunct\t_\t_

# sent_id = 2
1\tCats\tcat\tNOUN\t_\t_\t2\tnsubj\t_\t_
2\tsleep\t_\t_\t_\t_\t0\troot\t_\tSpaceAfter=No
3\t!\t_\tPUNCT\t_\t_\t2\tpunct\t_\t_
"""


def trees(folder: Path, text: str) -> list[Tree]:
    file = folder / "gold.conllu"
    file.write_text(text, encoding="utf-8")
    found = [text.content for _, text in read_trees(inspect_file(file))]
    assert all(isinstance(one, Tree) for one in found)
    return found  # type: ignore[return-value]


def word(index: int | str, form: str = "a", head: int | str = 0, relation: str = "dep") -> str:
    return f"{index}\t{form}\t_\t_\t_\t_\t{head}\t{relation}\t_\t_\n"


def test_words_heads_relations_lemmas_and_tags_are_read(tmp_path: Path) -> None:
    first, second = trees(tmp_path, GOOD)
    assert first.words == ["Do", "n't", "feed", "the", "cat", "."]
    assert first.heads == [2, 2, -1, 4, 2, 2]
    assert first.relations == ["aux", "advmod", "root", "det", "obj", "punct"]
    assert first.lemmas == ["do", "not", "feed", "the", "cat", "."]
    assert second.tags == ["NOUN", "", "PUNCT"]
    assert second.lemmas == ["cat", "", ""]


def test_ranges_share_their_surface_form_and_empty_nodes_are_no_words(tmp_path: Path) -> None:
    first, _ = trees(tmp_path, GOOD)
    assert first.text == "Don't feed the cat."
    assert [first.text[low:high] for low, high in first.spans] == ["Do", "n't", "feed", "the", "cat", "."]


def test_words_that_do_not_spell_their_surface_form_have_all_of_it(tmp_path: Path) -> None:
    text = "1-2\tzum\t_\t_\t_\t_\t_\t_\t_\t_\n" + word(1, "zu", 3) + word(2, "dem", 3) + word(3, "Haus")
    (one,) = trees(tmp_path, text)
    assert one.text == "zum Haus"
    assert [one.text[low:high] for low, high in one.spans] == ["zum", "zum", "Haus"]


def test_without_a_text_comment_the_text_is_built_from_the_words(tmp_path: Path) -> None:
    _, second = trees(tmp_path, GOOD)
    assert second.text == "Cats sleep!"


def test_a_text_comment_that_is_not_of_these_words_is_not_believed(tmp_path: Path) -> None:
    (one,) = trees(tmp_path, "# text = something else\n" + word(1, "cat", 2) + word(2, "sleeps"))
    assert one.text == "cat sleeps"


def test_a_file_may_end_without_a_blank_line_and_have_several_between_sentences(tmp_path: Path) -> None:
    assert len(trees(tmp_path, word(1) + "\n\n\n# a comment alone\n\n" + word(1))) == 2


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        (word(1) + "2\tb\t_\n", 2, "3 columns"),
        (word(1) + word(2, "b", 3), 2, "its head is '3'"),
        (word(1) + word(2, "b", -1), 2, "its head is '-1'"),
        (word(1) + word(2, "b", "x"), 2, "its head is 'x'"),
        (word(1) + word(2, "b", "_"), 2, "its head is '_'"),
        (word(1) + word(2, "b", "²"), 2, "its head is '²'"),
        (word(1) + word(2, "b", "9" * 5000), 2, "its head is"),
        (word(1) + word(2, "b", 2), 2, "its own head"),
        (word(1) + word(2, "b", 0), 2, "second root"),
        (word(1) + word(2, "b", 3) + word(3, "c", 4) + word(4, "d", 2), 2, r"circle \(2 → 3 → 4 → 2\)"),
        (word(1, "a", 2) + word(2, "b", 1), 1, "circle"),
        (word(1) + word(3, "b", 1), 2, "it is word 3 after word 1"),
        (word(1) + word(1, "b"), 2, "it is word 1 after word 1"),
        (word(1) + word("x", "b", 1), 2, "first column is 'x'"),
        (word(1) + word(2, " ", 1), 2, "form is empty"),
        (word("1-3") + word(1, "a", 0) + word(2, "b", 1), 3, "word 3 of a range is missing"),
        (word("2-3") + word(1), 1, "does not start at the next word"),
        ("# text = a\n" + word("1-2"), 0, "no words"),
    ],
)
def test_a_corrupt_line_is_named(tmp_path: Path, text: str, line: int, what: str) -> None:
    good = word(1) + "\n"
    with pytest.raises(DataError, match=what) as caught:
        trees(tmp_path, good + text)
    place = f"line {line + 2}" if line else "line 4"
    assert caught.value.where == f"gold.conllu, {place}"


def test_bytes_of_another_encoding_are_named_by_their_line(tmp_path: Path) -> None:
    file = tmp_path / "gold.conllu"
    file.write_bytes((word(1, "é") * 1 + "\n" + word(1, "è") + "\n").encode() * 20 + word(1, "ü").encode("latin-1"))
    with pytest.raises(DataError, match="bytes") as caught:
        list(read_trees(inspect_file(file)))
    assert caught.value.where == "gold.conllu, line 81"


def test_a_corrupt_first_line_is_named_too(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        trees(tmp_path, "this is no CoNLL-U\n")
    assert caught.value.where == "gold.conllu, line 1"


def test_a_corpus_of_gold_trees_says_so(tmp_path: Path) -> None:
    file = tmp_path / "gold.conllu"
    file.write_text(GOOD, encoding="utf-8")
    corpus = read_corpus(CorpusConfig(source=str(file), language="en"))
    assert corpus.trees == "gold"
    assert corpus.parser == "CoNLL-U"
    assert corpus.words == ["cat", "cats", "do", "feed", "n't", "sleep", "the"]
    assert corpus.tags[0] == "NOUN"
    assert corpus.lemmas[1] == "cat"
    first = corpus.sentences[0]
    assert first.heads is not None
    assert first.heads.tolist() == [2, 2, -1, 4, 2, 2]
    assert first.nodes.tolist() == [2, 4, 3, 6, 0, -1]
    assert (corpus.total_sentences, corpus.sampled) == (2, False)


def test_a_file_without_heads_has_no_trees(tmp_path: Path) -> None:
    file = tmp_path / "bare.conllu"
    file.write_text(word(1, "Katze", "_", "_") + word(2, "schläft", "_", "_"), encoding="utf-8")
    corpus = read_corpus(CorpusConfig(source=str(file), language="de"))
    assert corpus.trees == "none"
    assert corpus.sentences[0].heads is None
    assert any("no trees" in notice for notice in corpus.notices)
