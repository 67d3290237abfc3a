"""Roles: carving, sampling, leaks, labels, and that all of it can be repeated."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config import DataConfig, TaskConfig
from core.data.carving import _order, carve, quotas, sample_rows
from core.data.roles import load_roles
from core.errors import DataError
from tests.unit.data.conftest import CLASSIFY, TAG, reviews


def texts(part) -> list[str]:
    return part["text"][:] if len(part) else []


def test_roles_are_carved_with_the_labels_shares(table, cache) -> None:
    roles = load_roles(table(reviews(300)), CLASSIFY, cache=cache)
    assert [len(roles.train), len(roles.gate), len(roles.test)] == [240, 30, 30]
    for part in (roles.train, roles.gate, roles.test):
        assert Counter(part["label"])[roles.labels.index("bad")] == len(part) // 3
    assert roles.train.features["label"].dtype == "int64"
    assert roles.train.column_names == ["row", "source", "text", "label"]
    together = texts(roles.train) + texts(roles.gate) + texts(roles.test)
    assert sorted(together) == sorted(text for text, _ in reviews(300))


def test_rows_know_where_they_stand_in_the_source(table, cache) -> None:
    rows = reviews(60)
    roles = load_roles(table(rows), CLASSIFY, cache=cache)
    for row in roles.test:
        assert rows[row["row"] - 1] == (row["text"], roles.labels[row["label"]])


def test_the_same_plan_gives_the_same_roles_in_another_process_and_cache(table, cache, tmp_path) -> None:
    data = table(reviews(200), train_rows=50)
    here = load_roles(data, CLASSIFY, cache=cache)
    code = (
        "import json, sys\nfrom pathlib import Path\nfrom core.config import DataConfig, TaskConfig\n"
        "from core.data.roles import load_roles\n"
        "roles = load_roles(DataConfig(**json.loads(sys.argv[1])), TaskConfig(), cache=Path(sys.argv[2]))\n"
        "print(json.dumps([roles.fingerprint, roles.train['row'][:], roles.gate['row'][:], roles.test['row'][:]]))"
    )
    command = [sys.executable, "-c", code, data.model_dump_json(), str(tmp_path / "other")]
    there = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)
    assert there == [here.fingerprint, here.train["row"][:], here.gate["row"][:], here.test["row"][:]]


def test_the_division_is_fixed_for_all_time() -> None:
    # Numbers, not a comparison with itself: another numpy, platform or refactoring must not move a row.
    keys = np.array([int(f"{index * 2654435761 % 2**32:08x}" * 2, 16) for index in range(40)], dtype=np.uint64)
    strata = np.arange(40) % 3
    parts = carve(strata, keys, {"test": 0.2, "gate": 0.1}, seed=7)
    assert parts["test"].tolist() == [1, 12, 13, 15, 22, 23, 27, 32]
    assert parts["gate"].tolist() == [5, 6, 21, 31]
    assert sample_rows(strata, keys, 6, seed=7).tolist() == [9, 17, 18, 23, 28, 37]


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**31), st.integers(0, 1))
def test_the_order_is_splitmix64(key: int, seed: int, salt: int) -> None:
    mask = 2**64 - 1
    state = (key + (seed * 2 + salt + 1) * 0x9E3779B97F4A7C15) & mask
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & mask
    assert _order(np.array([key], dtype=np.uint64), seed, salt).tolist() == [state ^ (state >> 31)]


def test_another_seed_divides_otherwise(table, cache) -> None:
    one, other = (load_roles(table(reviews(200), split_seed=seed), CLASSIFY, cache=cache) for seed in (0, 1))
    assert one.test["row"][:] != other.test["row"][:]
    assert one.fingerprint != other.fingerprint


def test_train_rows_leave_gate_and_test_as_they_are(table, cache) -> None:
    whole = load_roles(table(reviews(300)), CLASSIFY, cache=cache)
    part = load_roles(table(reviews(300), train_rows=30, gate_rows=9), CLASSIFY, cache=cache)
    assert part.test["row"][:] == whole.test["row"][:]
    assert set(part.train["row"]) <= set(whole.train["row"])
    assert (len(part.train), len(part.gate)) == (30, 9)
    assert Counter(part.train["label"])[part.labels.index("bad")] == 10


def test_order_of_the_rows_does_not_decide_where_a_text_goes(table, cache) -> None:
    rows = reviews(200)
    one = load_roles(table(rows), CLASSIFY, cache=cache)
    other = load_roles(table(rows[::-1], name="other.csv"), CLASSIFY, cache=cache)
    assert set(texts(one.test)) == set(texts(other.test))


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 40)), min_size=1, max_size=80),
    st.floats(0, 0.45),
    st.floats(0, 0.45),
    st.integers(0, 5),
)
def test_carving_never_splits_a_text_and_never_empties_a_stratum(rows, gate: float, test: float, seed: int) -> None:
    strata = np.array([key % 5 for _, key in rows])
    keys = np.array([key for _, key in rows], dtype=np.uint64)
    parts = carve(strata, keys, {"test": test, "gate": gate}, seed)
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(len(rows)))
    held = [set(keys[part].tolist()) for part in parts.values()]
    assert not held[0] & held[1]
    assert not held[0] & held[2]
    assert not held[1] & held[2]
    assert set(strata[parts["train"]].tolist()) == set(strata.tolist())


@given(st.lists(st.integers(0, 30), min_size=1, max_size=8), st.integers(0, 100))
def test_quotas_add_up_and_fit(sizes: list[int], total: int) -> None:
    array = np.array(sizes)
    taken = quotas(array, total, array)
    assert taken.sum() == min(total, array.sum())
    assert (taken <= array).all()
    if 0 < total <= array.sum():
        assert (np.abs(taken - array * total / array.sum()) < 1 + 1e-9).all()


def test_repeated_texts_share_a_role(table, cache) -> None:
    rows = reviews(60) * 3
    roles = load_roles(table(rows, gate_share=0.3, test_share=0.3), CLASSIFY, cache=cache)
    held = [set(texts(part)) for part in (roles.train, roles.gate, roles.test)]
    assert all(held)
    assert len(set().union(*held)) == sum(map(len, held))
    assert sum(map(len, (roles.train, roles.gate, roles.test))) == 180


def test_drop_duplicates_keeps_the_first(table, cache) -> None:
    roles = load_roles(table(reviews(60) * 3, drop_duplicates=True), CLASSIFY, cache=cache)
    rows = [*roles.train["row"], *roles.gate["row"], *roles.test["row"]]
    assert sorted(rows) == list(range(1, 61))
    assert roles.report["roles"]["train"]["dropped_duplicates"] == 120


def test_a_text_in_two_given_roles_is_refused_with_its_rows(table, cache) -> None:
    rows = reviews(60)
    test = table([*reviews(80)[60:], rows[4]], name="test.csv").source
    with pytest.raises(DataError) as caught:
        load_roles(table(rows, test_source=test, gate_share=0), CLASSIFY, cache=cache)
    assert "train row 5 = test row 21" in str(caught.value.where)


def test_rows_of_a_text_in_three_roles_are_named_rightly_beyond_twenty_texts(table, cache) -> None:
    rows = reviews(60)
    gate = table(rows[:30], name="gate.csv").source
    test = table([*rows[29::-1], *reviews(70)[60:]], name="test.csv").source
    with pytest.raises(DataError) as caught:
        load_roles(table(rows, gate_source=gate, test_source=test), CLASSIFY, cache=cache)
    named = str(caught.value.where).removesuffix(" …").split("; ")
    assert len(named) == 20
    for entry in named:
        numbers = [int(part.split()[-1]) for part in entry.split(" = ")]
        assert numbers[0] == numbers[1] == 31 - numbers[2], entry


def test_a_carved_gate_does_not_hide_a_leak_into_a_given_test(table, cache) -> None:
    rows = reviews(60)
    test = table(rows[:30], name="test.csv").source
    with pytest.raises(DataError, match="30 texts stand in two roles"):
        load_roles(table(rows, test_source=test, gate_share=0.5), CLASSIFY, cache=cache)


def test_a_leak_is_dropped_from_the_later_role_when_asked(table, cache) -> None:
    rows = reviews(60)
    test = table([*reviews(80)[60:], rows[4]], name="test.csv").source
    roles = load_roles(table(rows, test_source=test, gate_share=0, drop_duplicates=True), CLASSIFY, cache=cache)
    assert (len(roles.train), len(roles.gate), len(roles.test)) == (60, 0, 20)


def test_a_label_that_train_lacks_is_refused_with_its_row(table, cache) -> None:
    test = table([*reviews(80)[60:], ("a new text", "superb")], name="test.csv").source
    with pytest.raises(DataError) as caught:
        load_roles(table(reviews(60), test_source=test), CLASSIFY, cache=cache)
    assert "'superb'" in caught.value.what
    assert "test.csv, row 21" in str(caught.value.where)
    assert "bad, good" in str(caught.value.expected)


def test_labels_of_given_roles_use_the_training_numbers(table, cache) -> None:
    # good comes first in this file, and bad in the other.
    gate = table([("an unseen fine film", "good"), ("an unseen dull film", "bad")], name="gate.csv").source
    roles = load_roles(table(reviews(60), gate_source=gate), CLASSIFY, cache=cache)
    assert [roles.labels[label] for label in roles.gate["label"]] == ["good", "bad"]
    assert roles.gate["source"][0] == "gate.csv"


def test_one_class_is_refused(table, cache) -> None:
    with pytest.raises(DataError, match="only one class: 'good'"):
        load_roles(table([(f"text {index}", "good") for index in range(30)]), CLASSIFY, cache=cache)


def test_labels_that_occur_once_stay_in_train(table, cache) -> None:
    rows = [*reviews(60), ("the only odd one", "odd")]
    for seed in range(5):
        roles = load_roles(table(rows, gate_share=0.4, test_share=0.4, split_seed=seed), CLASSIFY, cache=cache)
        assert "the only odd one" in texts(roles.train)


def test_number_labels_are_in_order_of_value(table, cache) -> None:
    rows = [(f"text {index}", str(label)) for index, label in enumerate([10, 9, 2, 1, -1] * 6)]
    assert load_roles(table(rows), CLASSIFY, cache=cache).labels == ["-1", "1", "2", "9", "10"]


def test_multi_label_rows_are_carved_by_their_rarest_label(table, cache) -> None:
    rows = [(f"text {index}", "a|rare" if index % 10 == 0 else "a|b" if index % 2 else "") for index in range(200)]
    roles = load_roles(table(rows, test_share=0.25), TaskConfig(multi_label=True), cache=cache)
    assert roles.labels == ["a", "b", "rare"]
    assert sum(2 in labels for labels in roles.test["labels"]) == 5
    assert sum(not labels for labels in roles.test["labels"]) == 20


def test_tagging_rows_are_carved_by_their_rarest_type(write, cache) -> None:
    blocks = [
        f"word{index} {'B-RARE' if index % 20 == 0 else 'B-LOC' if index % 2 else 'O'}\nend I-LOC\n"
        for index in range(200)
    ]
    text = "\n".join(block.replace("I-LOC", "I-LOC" if "B-LOC" in block else "O") for block in blocks)
    roles = load_roles(DataConfig(source=str(write("data.conll", text)), test_share=0.2), TAG, cache=cache)
    assert roles.labels == ["O", "B-LOC", "I-LOC", "B-RARE", "I-RARE"]
    assert sum(3 in tags for tags in roles.test["tags"]) == 2
    assert roles.train.column_names == ["row", "source", "tokens", "tags"]
    assert all(len(row["tokens"]) == len(row["tags"]) for row in roles.train)


def test_only_o_is_refused(write, cache) -> None:
    with pytest.raises(DataError, match="no entity type"):
        load_roles(DataConfig(source=str(write("data.conll", "a O\nb O\n\n" * 20)), format="conll"), TAG, cache=cache)


def test_what_was_read_is_used_again_until_the_file_changes(table, cache, monkeypatch) -> None:
    data = table(reviews(60))
    first = load_roles(data, CLASSIFY, cache=cache)
    with monkeypatch.context() as patch:
        patch.setattr("core.data.table.write_rows", lambda *args: pytest.fail("read again"))
        again = load_roles(data, CLASSIFY, cache=cache)
    assert again.fingerprint == first.fingerprint
    changed = load_roles(table([*reviews(60), ("one more", "good")]), CLASSIFY, cache=cache)
    assert changed.fingerprint != first.fingerprint


def test_a_damaged_cache_is_read_again(table, cache) -> None:
    data = table(reviews(60))
    first = load_roles(data, CLASSIFY, cache=cache)
    for file in cache.rglob("rows.arrow"):
        file.write_bytes(file.read_bytes()[:100])
    for file in cache.rglob("coded-*.arrow"):
        file.unlink()
    assert load_roles(data, CLASSIFY, cache=cache).fingerprint == first.fingerprint


def test_a_cache_that_cannot_be_written_is_told(table, tmp_path) -> None:
    from core.errors import StorageError

    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the cache folder should be")
    with pytest.raises(StorageError, match="cannot be kept in the cache"):
        load_roles(table(reviews(10)), CLASSIFY, cache=blocked)


def test_a_full_disk_leaves_no_half_table(table, cache, monkeypatch) -> None:
    from core.errors import StorageError

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    import pyarrow as pa

    with monkeypatch.context() as patch:
        patch.setattr(pa, "record_batch", full)
        with pytest.raises(StorageError, match="No space left"):
            load_roles(table(reviews(30)), CLASSIFY, cache=cache)
    assert not list(cache.rglob("*.arrow*"))
    assert len(load_roles(table(reviews(30)), CLASSIFY, cache=cache).train) == 24


def test_large_files_are_streamed(tmp_path, cache) -> None:
    # 80 MB of text with at most 60 MB of new private memory, counted by the kernel.
    file = tmp_path / "large.csv"
    line = "lorem ipsum dolor sit amet " * 740
    with file.open("w") as out:
        out.write("text,label\n")
        for index in range(4000):
            out.write(f"{index} {line},{'ab'[index % 2]}\n")
    code = (
        "import resource, sys, psutil\nfrom pathlib import Path\nimport datasets\n"
        "from core.config import DataConfig, TaskConfig\n"
        "from core.data.roles import load_roles\nfrom core.data.check import check\n"
        "data = psutil.Process().memory_full_info().data + 60_000_000\n"
        "resource.setrlimit(resource.RLIMIT_DATA, (data, data))\n"
        "roles = load_roles(DataConfig(source=sys.argv[1]), TaskConfig(), cache=Path(sys.argv[2]))\n"
        "print(len(roles.train))\n"
    )
    command = [sys.executable, "-c", code, str(file), str(cache)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "3200", done.stderr[-2000:]
