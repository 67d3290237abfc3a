"""Latency is measured once a shape, machine, torch and number of threads, and read afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import BertModel

from core.config.shape import EncoderShape
from core.search import latency
from core.search.latency import Latency, latency_of, latency_path, measure, measure_in_turns, stored

SHAPE = EncoderShape.of_widths([16, 32], head_size=8, vocabulary=100)


def test_a_shape_is_measured_once_and_then_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = []
    monkeypatch.setattr(
        latency, "measure", lambda shape, threads, check: measured.append(shape) or Latency(1.0, 2.0, 9.0, 31, threads)
    )
    first, again = (latency_of(SHAPE, tmp_path, 1) for _ in range(2))
    assert first == again == stored(SHAPE, tmp_path, 1)
    assert len(measured) == 1
    latency_of(SHAPE, tmp_path, 2)
    latency_of(EncoderShape.of_widths([32, 32], head_size=8, vocabulary=100), tmp_path, 1)
    assert len(measured) == 3


def test_other_words_cost_the_same(tmp_path: Path) -> None:
    other = SHAPE.model_copy(update={"vocabulary": 5000})
    assert latency_path(SHAPE, tmp_path, 1) == latency_path(other, tmp_path, 1)


def test_another_machine_measures_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = latency_path(SHAPE, tmp_path, 1)
    monkeypatch.setattr("platform.node", lambda: "elsewhere")
    assert latency_path(SHAPE, tmp_path, 1) != before


def test_a_damaged_file_is_as_if_it_were_not_there(tmp_path: Path) -> None:
    path = latency_path(SHAPE, tmp_path, 1)
    path.parent.mkdir(parents=True)
    path.write_text("{")
    assert stored(SHAPE, tmp_path, 1) is None


def test_what_is_measured_is_a_time() -> None:
    found = measure(SHAPE, 1)
    assert 0 < found.p50 <= found.p95
    assert found.batch_p50 > 0
    assert found.repeats == 45


def test_the_quietest_round_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four rounds of five beside other work, which makes passes three times as long, change nothing."""
    passes = iter([30.0, 31.0, 10.0, 30.0, 32.0])
    batches = iter([300.0, 100.0, 310.0, 300.0, 305.0])
    monkeypatch.setattr(
        latency, "_timed", lambda model, texts, repeats, check: [next(passes if texts == 1 else batches)] * repeats
    )
    found = measure(SHAPE, 1)
    assert (found.p50, found.p95, found.batch_p50) == (10.0, 10.0, 100.0)


def test_shapes_that_are_compared_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[int] = []

    def timed(model: BertModel, texts: int, repeats: int, check: object) -> list[float]:
        order.append(model.config.num_hidden_layers)
        return [float(model.config.num_hidden_layers)] * repeats

    monkeypatch.setattr(latency, "_timed", timed)
    shapes = {str(layers): EncoderShape.of_widths([16] * layers, head_size=8, vocabulary=100) for layers in (1, 2)}
    found = measure_in_turns(shapes, 1)
    assert {name: one.p50 for name, one in found.items()} == {"1": 1.0, "2": 2.0}
    assert order == [1, 1, 2, 2] * 5


def test_a_busy_machine_shows_in_the_spread() -> None:
    assert Latency(5.0, 9.0, 80.0, 31, 1).unsteady
    assert not Latency(5.0, 6.0, 80.0, 31, 1).unsteady


def test_measuring_can_be_stopped() -> None:
    class Enough(Exception):
        pass

    def check() -> None:
        raise Enough

    with pytest.raises(Enough):
        measure(SHAPE, 1, check=check)
