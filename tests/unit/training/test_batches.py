from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config import Stage
from core.training.batches import BatchSettings, evaluation_batches, iterate, micro_batches, plan_epoch, total_steps

LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=200)


@settings(max_examples=80, deadline=None)
@given(
    lengths=LENGTHS, size=st.integers(1, 40), tokens=st.none() | st.integers(8, 400), bucketing=st.booleans(),
    seed=st.integers(0, 9), epoch=st.integers(0, 9),
)  # fmt: skip
def test_an_epoch_has_every_example_once_within_the_budget(lengths, size, tokens, bucketing, seed, epoch) -> None:
    settings_ = BatchSettings(size, tokens, bucketing)
    batches = plan_epoch(lengths, settings_, seed, epoch)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        if tokens is None:
            assert len(batch) <= size
        else:
            assert len(batch) == 1 or len(batch) * max(lengths[index] for index in batch) <= tokens
    again = plan_epoch(lengths, settings_, seed, epoch)
    assert all((one == other).all() for one, other in zip(batches, again, strict=True))


def test_order_differs_between_epochs_and_seeds_and_bucketing_saves_padding() -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(4, 60, 2000)

    def padded(batches: list[np.ndarray]) -> int:
        return sum(len(batch) * int(lengths[batch].max()) for batch in batches)

    bucketed = plan_epoch(lengths, BatchSettings(32), 0, 0)
    other_epoch = plan_epoch(lengths, BatchSettings(32), 0, 1)
    assert {tuple(sorted(batch)) for batch in bucketed} != {tuple(sorted(batch)) for batch in other_epoch}
    plain = plan_epoch(lengths, BatchSettings(32, bucketing=False), 0, 0)
    assert padded(bucketed) < 1.12 * lengths.sum() < 0.7 * padded(plain)
    # Long texts must not all come at one end of the epoch.
    means = [lengths[batch].mean() for batch in bucketed]
    assert abs(np.corrcoef(np.arange(len(means)), means)[0, 1]) < 0.4


@settings(max_examples=50, deadline=None)
@given(lengths=LENGTHS, tokens=st.none() | st.integers(16, 300), epochs=st.floats(0.1, 3.5), seed=st.integers(0, 5))
def test_counted_steps_are_those_of_the_epochs(lengths, tokens, epochs, seed) -> None:
    stage = Stage(epochs=epochs, batch_size=7, batch_tokens=tokens)
    steps, _ = total_steps(lengths, stage, seed)
    sizes = [len(plan_epoch(lengths, BatchSettings.of(stage), seed, epoch)) for epoch in range(int(epochs) + 1)]
    whole, rest = sum(sizes[: int(epochs)]), epochs - int(epochs)
    assert whole <= steps <= whole + sizes[-1]
    if rest < 1e-9:
        assert steps == max(1, whole)


def test_iteration_goes_on_at_any_position() -> None:
    stage = Stage(batch_size=5)
    lengths = list(range(1, 24))
    stream = iterate(lengths, stage, 3)
    whole = [next(stream) for _ in range(12)]
    for at, (epoch, index, count, _) in enumerate(whole):
        assert count == 5
        resumed = iterate(lengths, stage, 3, epoch=epoch, index=index)
        for expected in whole[at:]:
            got = next(resumed)
            assert got[:3] == expected[:3]
            assert (got[3] == expected[3]).all()


def test_micro_batches_divide_one_step() -> None:
    lengths = np.array([9, 1, 5, 7, 3])
    parts = micro_batches(np.arange(5), lengths, 2)
    assert sorted(np.concatenate(parts)) == [0, 1, 2, 3, 4]
    assert [len(part) for part in parts] == [3, 2]
    assert lengths[parts[0]].max() <= lengths[parts[1]].min()
    assert len(micro_batches(np.arange(2), lengths, 8)) == 2


def test_evaluation_starts_with_the_longest() -> None:
    batches = evaluation_batches([3, 50, 7, 20], 60)
    assert [list(batch) for batch in batches] == [[1], [3, 2], [0]] or list(batches[0]) == [1]
    assert sorted(np.concatenate(batches)) == [0, 1, 2, 3]
    assert evaluation_batches([], 60) == []
