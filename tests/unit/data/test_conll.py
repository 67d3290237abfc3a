"""CoNLL and CoNLL-U files."""

from __future__ import annotations

import pytest

from core.config import Columns, DataConfig
from core.data.readers import open_source
from core.data.roles import load_roles
from core.data.table import read_table
from core.errors import DataError
from tests.unit.data.conftest import CLASSIFY, TAG

CONLL2003 = """-DOCSTART- -X- -X- O

EU NNP B-NP B-ORG
rejects VBZ B-VP O
German JJ B-NP B-MISC
call NN I-NP O

Peter NNP B-NP B-PER
Blackburn NNP I-NP I-PER
"""
CONLLU = """# sent_id = 1
# text = Vámonos al mar
1-2\tVámonos\t_\t_\t_\t_\t_\t_\t_\t_
1\tVamos\tir\tVERB\tV\t_\t0\troot\t_\tNER=O
2\tnos\tnosotros\tPRON\tP\t_\t1\tobj\t_\tNER=B-PER|SpaceAfter=No
3-4\tal\t_\t_\t_\t_\t_\t_\t_\t_
3\ta\ta\tADP\tE\t_\t5\tcase\t_\tNER=O
4\tel\tel\tDET\tD\t_\t5\tdet\t_\t_
4.1\tempty\t_\t_\t_\t_\t_\t_\t_\t_
5\tmar\tmar\tNOUN\tN\t_\t1\tobl\t_\tNER=B-LOC

# sent_id = 2
1\tSí\tsí\tINTJ\tI\t_\t0\troot\t_\t_

"""


def rows_of(file, cache, **fields):
    table = read_table(DataConfig(source=str(file), **fields), TAG, cache)
    names = table.reading.labels
    found = table.arrow().select(["row", "line", "tokens", "tags"]).to_pylist()
    return [
        (row["row"], row["line"], row["tokens"], [names[tag] for tag in row["tags"]]) for row in found
    ], table.reading


def test_conll2003_columns_document_starts_and_the_missing_last_blank_line(write, cache) -> None:
    rows, reading = rows_of(write("data.conll", CONLL2003), cache)
    assert rows == [
        (1, 3, ["EU", "rejects", "German", "call"], ["B-ORG", "O", "B-MISC", "O"]),
        (2, 8, ["Peter", "Blackburn"], ["B-PER", "I-PER"]),
    ]
    assert reading.mapping == {"tokens": "1", "tags": "4"}


@pytest.mark.parametrize("column", ["3", "-2"])
def test_another_column_can_hold_the_tags(write, cache, column: str) -> None:
    rows, _ = rows_of(write("data.conll", CONLL2003), cache, columns=Columns(tags=column))
    assert rows[0][3] == ["B-NP", "B-VP", "B-NP", "I-NP"]


def test_parts_of_speech_are_one_tag_a_word(write, cache) -> None:
    rows, reading = rows_of(write("data.conll", CONLL2003), cache, columns=Columns(tags="2"))
    assert rows[1][3] == ["B-NNP", "B-NNP"]
    assert reading.details["scheme"] == "one tag a word"


def test_hashes_are_words_in_tweets_and_comments_elsewhere(write, cache) -> None:
    text = "# id = 7\n#topic\tO\n#\tO\nParis\tB-LOC\n\t\n# another comment line\nhi\tO\n"
    rows, _ = rows_of(write("tweets.bio", text), cache)
    assert [row[2] for row in rows] == [["#topic", "#", "Paris"], ["hi"]]


def test_windows_line_ends_and_spaces_around_tags_do_not_matter(write, cache) -> None:
    rows, _ = rows_of(write("data.conll", "a\t O\r\nb\tB-X \r\n\r\nc\tO\r\n"), cache)
    assert [row[3] for row in rows] == [["O", "B-X"], ["O"]]


def test_a_line_with_other_columns_drops_its_sentence_only(write, cache) -> None:
    rows, reading = rows_of(write("data.conll", "a O\nb B-X\n\nc O\nbroken\n\nd O\n" + "\ne O\n" * 9), cache)
    assert [row[0] for row in rows[:2]] == [1, 3]
    assert reading.dropped["malformed"]["rows"][0] == {
        "row": 2,
        "line": 4,
        "detail": "line 5 has 1 columns instead of 2",
    }


def test_a_tag_of_another_scheme_drops_the_row_and_is_named(write, cache) -> None:
    _, reading = rows_of(write("data.conll", "a O\nb B-X\nc I-X\n\nd Z-X\n\ne B-X\n\n"), cache)
    assert reading.dropped["bad_tag"]["rows"][0]["row"] == 2
    assert "'Z-X'" in reading.dropped["bad_tag"]["rows"][0]["detail"]


def test_illegal_steps_are_mended_and_named_with_row_line_column_and_word(write, cache) -> None:
    text = "a B-X\n\n" * 3 + "a O\nb I-X\n\n"
    rows, reading = rows_of(write("data.conll", text), cache)
    assert rows[3][3] == ["O", "B-X"]
    assert reading.illegal == {
        "count": 1,
        "rows": [{"row": 4, "line": 7, "column": "2", "word": 2, "detail": "'I-X' follows 'O'"}],
    }


@pytest.mark.parametrize("scheme", ["auto", "BIOES"])
def test_bioes_is_converted(write, cache, scheme: str) -> None:
    rows, _ = rows_of(write("data.conll", "a S-X\nb O\nc B-Y\nd E-Y\n\n"), cache, scheme=scheme)
    assert rows[0][3] == ["B-X", "O", "B-Y", "I-Y"]


def test_a_given_scheme_wins_over_the_detected_one(write, cache) -> None:
    text = "a I-X\nb I-X\n\nc B-X\nd O\n\ne B-X\nf O\n\n"
    assert rows_of(write("data.conll", text), cache)[1].illegal["count"] == 1
    assert rows_of(write("data.conll", text), cache, scheme="I")[1].illegal["count"] == 0


def test_conllu_skips_ranges_and_empty_nodes_and_finds_names(write, cache) -> None:
    rows, reading = rows_of(write("data.conllu", CONLLU), cache)
    assert rows == [
        (1, 3, ["Vamos", "nos", "a", "el", "mar"], ["O", "B-PER", "O", "O", "B-LOC"]),
        (2, 13, ["Sí"], ["O"]),
    ]
    assert reading.mapping == {"tokens": "form", "tags": "misc:NER"}


def test_conllu_parts_of_speech_by_name_of_the_column(write, cache) -> None:
    data = DataConfig(
        source=str(write("data.conllu", CONLLU)), columns=Columns(tags="upos"), gate_share=0, test_share=0
    )
    roles = load_roles(data, TAG, cache=cache)
    assert roles.labels == ["O", "B-ADP", "B-DET", "B-INTJ", "B-NOUN", "B-PRON", "B-VERB"]
    assert [roles.labels[tag] for tag in roles.train[0]["tags"]] == ["B-VERB", "B-PRON", "B-ADP", "B-DET", "B-NOUN"]


def test_a_tagged_file_is_refused_for_classification(write, cache) -> None:
    with pytest.raises(DataError, match="cannot be used for classification"):
        read_table(DataConfig(source=str(write("data.conll", CONLL2003))), CLASSIFY, cache)


def test_a_file_without_blank_lines_does_not_grow_without_bound(write, monkeypatch) -> None:
    monkeypatch.setattr("core.data.readers.conll._MAX_WORDS", 100)
    source = open_source(DataConfig(source=str(write("data.conll", "word O\n" * 1000))), TAG)
    found = list(source.rows())
    assert len(found) == 1
    assert found[0].problem is not None
    assert "blank line" in found[0].problem


def test_one_column_is_no_conll(write) -> None:
    with pytest.raises(DataError, match="fewer than two columns"):
        open_source(DataConfig(source=str(write("data.conll", "a\nb\n\nc\n"))), TAG)
