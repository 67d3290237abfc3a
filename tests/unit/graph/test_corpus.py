"""From a source to sentences and words, without a parser."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config.graph import CorpusConfig
from core.config.plan import Columns
from core.data.language import guess_language
from core.errors import ConfigError, DataError
from core.graph.corpus import read_corpus, read_sentences, sources
from core.graph.corpus.plain import Plain, words
from core.graph.corpus.sources import hard_wrapped, pieces
from core.graph.corpus.text import Text
from core.graph.types import Corpus

SENTENCES = "Der Hund bellt laut. Die Katze schläft!\nDie Katze sieht den Hund.\n"


def corpus(folder: Path, text: str, name: str = "corpus.txt", **settings: object) -> Corpus:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return read_corpus(CorpusConfig(**{"source": str(file), "language": "de", **settings}))  # type: ignore[arg-type]


def told(found: Corpus, part: str) -> bool:
    return any(part in notice for notice in found.notices)


# Sources


def test_every_line_of_a_text_file_is_cut_into_sentences(tmp_path: Path) -> None:
    found = corpus(tmp_path, SENTENCES)
    assert [one.text for one in found.sentences] == [
        "Der Hund bellt laut.",
        "Die Katze schläft!",
        "Die Katze sieht den Hund.",
    ]
    assert [one.row for one in found.sentences] == [1, 1, 2]
    assert (found.total_sentences, found.sampled, found.trees) == (3, False, "none")


def test_lines_that_are_wrapped_by_hand_are_joined_to_paragraphs(tmp_path: Path) -> None:
    paragraph = "Es war einmal ein alter Hund, der\nlebte mit einer Katze in einem\nHaus am Rand der Stadt.\n"
    found = corpus(tmp_path, "\n".join([paragraph] * 3))
    assert found.sentences[0].text.endswith("der lebte mit einer Katze in einem Haus am Rand der Stadt.")
    assert len(found.sentences) == 3
    assert told(found, "wrapped by hand")
    assert not hard_wrapped("A sentence.\nAnother sentence.\nA third.\n\nA fourth.\nA fifth.\nA sixth.\n")


def test_commas_in_prose_make_no_table(tmp_path: Path) -> None:
    found = corpus(tmp_path, "Hund, Katze\nMaus, Vogel\nFisch, Wal\n")
    assert found.sentences[0].tokens == ["Hund", ",", "Katze"]


@pytest.mark.parametrize(
    ("name", "content", "columns"),
    [
        ("a.csv", "id,text\n1,Die Katze schläft\n2,Der Hund bellt\n", {}),
        ("a.csv", "text,satz\nfalsch eins,Die Katze schläft\nfalsch zwei,Der Hund bellt\n", {"text": "satz"}),
        ("a.tsv", "nr\tsentence\n1\tDie Katze schläft\n2\tDer Hund bellt\n", {}),
        ("a.jsonl", '{"text": "Die Katze schläft"}\n{"text": "Der Hund bellt"}\n', {}),
        ("a.txt", '{"text": "Die Katze schläft"}\n{"text": "Der Hund bellt"}\n', {}),
        ("a.jsonl", '{"tokens": ["Die", "Katze", "schläft"]}\n{"tokens": ["Der", "Hund", "bellt"]}\n', {}),
        ("a.csv", 'words\n"[""Die"", ""Katze"", ""schläft""]"\nDer Hund bellt\n', {"tokens": "words"}),
        ("a.bio", "Die O\nKatze O\nschläft O\n\nDer O\nHund O\nbellt O\n", {}),
        ("a.bio", "1 Die O\n2 Katze O\n3 schläft O\n\n1 Der O\n2 Hund O\n3 bellt O\n", {}),
    ],
)
def test_tables_and_lists_of_words_are_read(tmp_path: Path, name: str, content: str, columns: dict) -> None:
    found = corpus(tmp_path, content, name, columns=Columns(**columns))
    assert [one.tokens for one in found.sentences] == [["Die", "Katze", "schläft"], ["Der", "Hund", "bellt"]]
    assert [one.text for one in found.sentences] == ["Die Katze schläft", "Der Hund bellt"]


def test_parquet_is_read(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"text": ["Die Katze schläft", "Der Hund bellt"]}), tmp_path / "a.parquet")
    found = read_corpus(CorpusConfig(source=str(tmp_path / "a.parquet"), language="de"))
    assert len(found.sentences) == 2


def test_rows_that_cannot_be_read_are_counted_and_named(tmp_path: Path) -> None:
    lines = ["text,label", "Die Katze schläft,x", "zu,viele,Zellen", ",x", "Der Hund bellt,y"]
    found = corpus(tmp_path, "\n".join(lines) + "\n", "a.csv")
    assert len(found.sentences) == 2
    assert told(found, "1 row was left out: it has 3 cells instead of 2 (first: row 2)")
    assert told(found, "it is empty (first: row 3)")


def test_a_column_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="satz"):
        corpus(tmp_path, "text,x\nDie Katze,1\n", "a.csv", columns=Columns(text="satz"))


@pytest.mark.parametrize("source", ["no-such-file.txt", "reviewz", "a\0b", "."])
def test_a_source_that_is_not_there_is_refused(source: str) -> None:
    with pytest.raises(DataError):
        read_corpus(CorpusConfig(source=source))


@pytest.mark.parametrize("text", ["", "\n \n", "... !!!\n--\n"])
def test_a_corpus_without_words_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match=r"empty|no words"):
        corpus(tmp_path, text)


def test_a_hub_data_set_is_read_by_its_own_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    from core.data.readers import hub
    from core.data.readers.base import RawRow, Source

    asked: list[tuple] = []

    def opened(*arguments: object) -> Source:
        asked.append(arguments)
        rows = (RawRow(n, 0, {"text": f"Satz Nummer {n}."}) for n in range(1, 50))
        held = list(rows)
        return Source("hub:x/y", "hub", "", ["text"], lambda: iter(held))

    monkeypatch.setattr(hub, "open_hub", opened)
    monkeypatch.setattr(sources, "HUB_ROWS", 20)
    found = read_corpus(CorpusConfig(source="hub:x/y", subset="s", split="test", revision="r", language="de"))
    assert asked == [("x/y", "s", "test", "r")]
    assert len(found.sentences) == 20
    assert found.sampled
    assert told(found, "Only the first 20 rows were looked at")
    assert told(found, "20 of at least 20 sentences")


# Drawing


def test_sentences_are_drawn_evenly_and_the_notice_says_so(tmp_path: Path) -> None:
    found = corpus(tmp_path, "".join(f"Satz Nummer {n}.\n" for n in range(1, 1001)), max_sentences=100)
    assert len(found.sentences) == 100
    assert (found.total_sentences, found.sampled) == (1000, True)
    assert told(found, "100 of about 1,000 sentences, drawn evenly.")
    rows = [one.row for one in found.sentences]
    assert rows == sorted(rows)
    assert 350 < np.mean(rows) < 650


def test_lists_of_words_are_counted_exactly(tmp_path: Path) -> None:
    lines = [json.dumps({"tokens": ["Satz", str(n)]}) for n in range(30)] + [json.dumps({"tokens": ["..."]})]
    found = corpus(tmp_path, "\n".join(lines), "a.jsonl", max_sentences=10)
    assert told(found, "10 of 30 sentences, drawn evenly.")


def test_a_few_sentences_of_one_long_text_come_from_all_over_it(tmp_path: Path) -> None:
    found = corpus(tmp_path, " ".join(f"Nummer {n} steht hier." for n in range(20_000)), max_sentences=500)
    assert len(found.sentences) == 500
    assert 17_000 < found.total_sentences < 23_000
    numbers = [int(one.tokens[1]) for one in found.sentences]
    assert max(numbers) - min(numbers) > 10_000


def test_the_same_seed_gives_the_same_corpus(tmp_path: Path) -> None:
    text = "".join(f"Satz Nummer {n}.\n" for n in range(300))
    first, second = (corpus(tmp_path, text, max_sentences=20, seed=1) for _ in range(2))
    assert [one.text for one in first.sentences] == [one.text for one in second.sentences]
    assert first.words == second.words
    other = corpus(tmp_path, text, max_sentences=20, seed=2)
    assert [one.text for one in other.sentences] != [one.text for one in first.sentences]


def test_a_long_file_is_drawn_from_to_its_end_and_says_how_far_it_is(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("".join(f"Satz Nummer {n}.\n" for n in range(20_000)), encoding="utf-8")
    told_of: list[tuple[int, int]] = []
    config = CorpusConfig(source=str(file), language="de", max_sentences=400)
    found = read_corpus(config, looking=lambda done, total: told_of.append((done, total)))
    numbers = np.array([int(one.tokens[2]) for one in found.sentences])
    assert told(found, "400 of about 20,000 sentences, drawn evenly.")
    # Tenths of the file are hit alike: chi-square over ten cells, exceeded once in a thousand times by chance.
    assert (((np.bincount(numbers // 2000, minlength=10) - 40) ** 2) / 40).sum() < 27.9
    assert [done for done, _ in told_of] == list(range(1000, 20_001, 1000))
    assert all(19_000 < total <= 21_000 for _, total in told_of)


def test_rows_without_words_can_be_stopped_as_well(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop() -> None:
        raise Stop

    file = tmp_path / "a.csv"
    file.write_text("text\n" + "...\n" * 5000, encoding="utf-8")
    with pytest.raises(Stop):
        read_corpus(CorpusConfig(source=str(file), language="de"), check=stop)


def test_progress_ends_at_its_total_and_check_can_stop(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("Die Katze schläft.\n" * 500, encoding="utf-8")
    config = CorpusConfig(source=str(file), language="de")
    calls: list[tuple[int, int]] = []
    read_corpus(config, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (500, 500)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)

    class Stop(Exception):
        pass

    def stop() -> None:
        raise Stop

    with pytest.raises(Stop):
        read_corpus(config, check=stop)


@given(st.text(alphabet="ab .!?\n", max_size=400), st.integers(5, 60))
def test_pieces_lose_nothing_but_white_space(text: str, size: int) -> None:
    found = list(pieces(text, size))
    assert "".join("".join(found).split()) == "".join(text.split())
    assert all(len(piece) <= size or " " not in piece for piece in found)


def test_a_text_without_white_space_is_cut_between_characters_but_a_word_is_not() -> None:
    assert list(pieces("猫" * 25, 10)) == ["猫" * 10, "猫" * 10, "猫" * 5]
    assert list(pieces("x" * 25 + " y", 10)) == ["x" * 25, "y"]
    assert max(map(len, pieces("x" * 1_000_000, 10))) <= 500


# Words


def test_words_are_ordered_by_frequency_then_alphabet(tmp_path: Path) -> None:
    found = corpus(tmp_path, SENTENCES)
    assert found.words == ["die", "hund", "katze", "bellt", "den", "der", "laut", "schläft", "sieht"]
    assert found.counts.tolist() == [2, 2, 2, 1, 1, 1, 1, 1, 1]
    flat = np.concatenate([one.nodes for one in found.sentences])
    assert np.bincount(flat[flat >= 0]).tolist() == found.counts.tolist()


def test_case_can_be_kept(tmp_path: Path) -> None:
    found = corpus(tmp_path, "Die Katze. die Katze.\n", lowercase=False)
    assert set(found.words) == {"Katze", "Die", "die"}


def test_punctuation_is_a_token_and_no_node(tmp_path: Path) -> None:
    (one,) = corpus(tmp_path, "Hund, Katze!\n").sentences
    assert one.tokens == ["Hund", ",", "Katze", "!"]
    assert (one.nodes >= 0).tolist() == [True, False, True, False]


def test_words_differing_in_their_apostrophe_only_are_one(tmp_path: Path) -> None:
    found = corpus(tmp_path, "geht's geht’s\n")
    assert found.words == ["geht's"]


def test_rare_words_are_left_out_from_1000_sentences_on(tmp_path: Path) -> None:
    lines = [f"Katze einmalig{n}" for n in range(999)]
    few = corpus(tmp_path, "\n".join(lines))
    assert len(few.words) == 1000
    many = corpus(tmp_path, "\n".join([*lines, "Katze"]))
    assert many.words == ["katze"]
    assert told(many, "999 of 1,000 words occur less than 3 times")
    assert told(many, "one word only")


def test_the_most_frequent_words_are_kept(tmp_path: Path) -> None:
    found = corpus(tmp_path, SENTENCES, max_words=2)
    assert found.words == ["die", "hund"]
    assert told(found, "Only the 2 most frequent of 9 words")


def test_filters_that_leave_no_word_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"No word is left.*min_count"):
        corpus(tmp_path, SENTENCES, min_count=10)


def test_a_corpus_of_one_word_is_read_with_a_notice(tmp_path: Path) -> None:
    found = corpus(tmp_path, "Katze\n")
    assert found.words == ["katze"]
    assert told(found, "nothing to connect")


def test_hostile_words_are_words_or_left_out(tmp_path: Path) -> None:
    found = corpus(tmp_path, f"<script>alert(1)</script> {'x' * 5000} \x1b[31m Katze\n")
    assert "script" in found.words
    assert "katze" in found.words
    assert max(map(len, found.words)) <= 100
    assert told(found, "One word of more than 100 characters is left out.")


def test_a_language_without_a_list_keeps_its_stop_words_with_a_notice(tmp_path: Path) -> None:
    found = corpus(tmp_path, SENTENCES, stop_words=False)
    assert "die" in found.words
    assert told(found, "Stop-words are kept")


def test_parts_of_speech_need_tags_and_known_names(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="this corpus has none"):
        corpus(tmp_path, SENTENCES, parts_of_speech=["NOUN"])
    with pytest.raises(ConfigError, match="no part of speech 'THING'"):
        corpus(tmp_path, SENTENCES, parts_of_speech=["thing"])


def test_a_part_of_speech_filters_occurrences(tmp_path: Path) -> None:
    row = "{}\t{}\t_\t{}\t_\t_\t{}\tdep\t_\t_\n"
    text = row.format(1, "run", "VERB", 0) + "\n" + row.format(1, "run", "NOUN", 0) + row.format(2, "a", "DET", 1)
    found = corpus(tmp_path, text, "a.conllu", parts_of_speech=["noun"])
    assert found.words == ["run"]
    assert found.counts.tolist() == [1]
    assert found.tags == ["NOUN"]
    assert [one.nodes.tolist() for one in found.sentences] == [[-1], [0, -1]]


# Units


def test_characters_are_nodes_of_their_own(tmp_path: Path) -> None:
    (one,) = corpus(tmp_path, "Hé 👍🏽!\n", unit="character").sentences
    assert one.tokens == ["H", "é", "👍🏽", "!"]
    assert one.spans is not None
    assert [one.text[low:high] for low, high in one.spans] == one.tokens


def test_trees_are_left_out_of_characters_with_a_notice(tmp_path: Path) -> None:
    line = "1\tKatze\t_\tNOUN\t_\t_\t0\troot\t_\t_\n"
    found = corpus(tmp_path, line, "a.conllu", unit="character")
    assert found.trees == "none"
    assert found.sentences[0].heads is None
    assert set(found.tags) == {"NOUN"}
    assert told(found, "Trees are left out")


def _tokenizer(kind: str):
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    if kind == "wordpiece":
        vocabulary = ["[UNK]", "[SEP]", "katze", "##n", "schla", "##ft", "[", "]", "sep"]
        backend = Tokenizer(models.WordPiece({piece: n for n, piece in enumerate(vocabulary)}, unk_token="[UNK]"))
        backend.normalizer = normalizers.BertNormalizer()
        backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    else:
        base = sorted(pre_tokenizers.ByteLevel.alphabet())
        vocabulary = {piece: n for n, piece in enumerate([*base, "at", "Ġd"])}
        backend = Tokenizer(models.BPE(vocabulary, [("a", "t"), ("Ġ", "d")]))
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.enable_truncation(3)
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]", sep_token="[SEP]")


def test_subwords_are_pieces_of_the_vocabulary_with_their_spans(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("Katzen schlaft [SEP] 👍 Katze\n", encoding="utf-8")
    found = read_corpus(
        CorpusConfig(source=str(file), language="de", unit="subword"), tokenizer=_tokenizer("wordpiece")
    )
    (one,) = found.sentences
    assert one.tokens == ["katze", "##n", "schla", "##ft", "[", "sep", "]", "[UNK]", "katze"]
    assert one.spans is not None
    shown = [one.text[low:high] for low, high in one.spans]
    assert shown == ["Katze", "n", "schla", "ft", "[", "SEP", "]", "👍", "Katze"]
    assert found.words[0] == "katze"
    # Unknown text is called what it is, not [UNK].
    assert "👍" in found.words


def test_subwords_of_bytes_are_called_by_their_text(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("dat dat 👍\n", encoding="utf-8")
    config = CorpusConfig(source=str(file), language="de", unit="subword")
    found = read_corpus(config, tokenizer=_tokenizer("bytes"))
    assert found.words == ["##at", "d", "👍"]
    assert found.counts.tolist() == [2, 2, 1]
    assert found.sentences[0].tokens[2] == "Ġd"


def test_subwords_need_a_fast_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Sub-words are those of an encoder"):
        corpus(tmp_path, SENTENCES, unit="subword")


# Languages


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The cat sat on the mat and looked at the dog.", "en"),
        ("Nothing here that they could have wanted from the store.", "en"),
        ("Der Hund und die Katze sind im Haus, und es war in der Nacht kalt.", "und"),
        ("De kat is in het huis van de hond en was in de tuin.", "und"),
        ("Le chat est sur la table et le chien dort dans le jardin.", "und"),
        ("这家酒店的服务很好，房间 wifi 也不错。", "zh"),
        ("猫は家の中で寝ています。犬は外にいます。", "und"),
        ("고양이는 집에서 자고 있습니다", "und"),
        ("القطة تجلس على السجادة", "und"),
        ("12345 67890", "und"),
        ("", "und"),
    ],
)
def test_a_language_is_guessed_only_where_there_is_evidence(text: str, language: str) -> None:
    assert guess_language([text])[0] == language


def test_what_was_assumed_about_the_language_is_told(tmp_path: Path) -> None:
    found = corpus(tmp_path, SENTENCES, language="auto")
    assert found.language == "und"
    assert told(found, "The language is not known")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("don't well-known 3,000.5 a.b", ["don't", "well-known", "3,000.5", "a", ".", "b"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("می‌خواهم", ["می‌خواهم"]),
        ("\u200fשלום\u200f עולם", ["שלום", "עולם"]),
        ("👩‍👩‍👧‍👦👍🏽 ❤️", ["👩‍👩‍👧‍👦", "👍🏽", "❤️"]),
        ("cafe\u0301", ["cafe\u0301"]),
    ],
)
def test_words_of_any_script_stay_whole(text: str, expected: list[str]) -> None:
    assert [text[low:high] for low, high in words(text)] == expected


def test_sentences_end_at_the_full_stops_of_their_script() -> None:
    text = "Er kam. J. Schmidt ging? „Ja.“ Und 3.5 blieb. ज्ञान। 終わり。次。"
    (found,) = Plain().sentences([Text(1, 0, text)])
    assert [one.text for one in found] == [
        "Er kam.", "J. Schmidt ging?", "„Ja.“", "Und 3.5 blieb.", "ज्ञान।", "終わり。", "次。",
    ]  # fmt: skip


@given(st.text(max_size=60))
def test_spans_name_the_tokens_of_any_text(text: str) -> None:
    (found,) = Plain().sentences([Text(1, 0, text)])
    for one in found:
        assert one.spans is not None
        assert [one.text[low:high] for low, high in one.spans] == one.tokens


# Sentences alone


@pytest.mark.parametrize("most", [2, 1000])
def test_sentences_alone_are_those_of_the_corpus_without_a_language(tmp_path: Path, most: int) -> None:
    whole = corpus(tmp_path, SENTENCES * 3, max_sentences=most)
    config = CorpusConfig(source=str(tmp_path / "corpus.txt"), language="en", max_sentences=most)
    texts, notices = read_sentences(config)
    assert texts == [one.text for one in whole.sentences]
    assert len(texts) == min(most, 9)
    assert [one for one in notices if "drawn evenly" in one] == [one for one in whole.notices if "drawn evenly" in one]
    assert not any("trees" in one for one in notices)


def test_sentences_with_trees_stay_as_they_are_written(tmp_path: Path) -> None:
    file = tmp_path / "trees.conllu"
    file.write_text("# text = Don't. Go!\n1\tDon't\t_\t_\t_\t_\t0\troot\t_\tSpaceAfter=No\n"
                    "2\t.\t_\t_\t_\t_\t1\tpunct\t_\t_\n3\tGo\t_\t_\t_\t_\t1\tdep\t_\tSpaceAfter=No\n"
                    "4\t!\t_\t_\t_\t_\t1\tpunct\t_\t_\n\n", encoding="utf-8")  # fmt: skip
    assert read_sentences(CorpusConfig(source=str(file)))[0] == ["Don't. Go!"]


def test_a_corpus_without_words_has_no_sentences(tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_text("…\n— !\n", encoding="utf-8")
    with pytest.raises(DataError, match="no words"):
        read_sentences(CorpusConfig(source=str(tmp_path / "corpus.txt")))
