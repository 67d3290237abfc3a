"""How a student learns, as plain data: what goes together and what does not."""

from __future__ import annotations

import pytest

from core.config.distillation import DistillationConfig, StateLoss


def config(**others: object) -> DistillationConfig:
    return DistillationConfig.model_validate({"teachers": [{"source": "x"}], **others})


def test_a_stage_may_learn_from_layers_alone() -> None:
    alone = config(answers=0, states=[{"kind": "relation", "layers": "last"}])
    assert alone.answers == 0
    assert alone.states[0].counts


def test_a_loss_whose_weight_grows_counts_though_it_begins_with_nothing() -> None:
    grows = {"kind": "hidden", "weight": 0, "schedule": {"name": "linear", "to": 1}}
    assert config(alpha=0, states=[grows]).states[0].counts
    assert not StateLoss.model_validate({"kind": "hidden", "weight": 0, "schedule": {"to": 1}}).counts
    assert config(alpha=0, alpha_schedule={"name": "step", "to": 0.5, "begin": 0.5}).alpha == 0


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"temperature": 0}, "greater than 0"),
        ({"alpha": 1.2}, "less than or equal to 1"),
        ({"alpha": -0.1}, "greater than or equal to 0"),
        ({"alpha": 0}, "nothing is learnt from the teacher"),
        ({"alpha": 0, "alpha_schedule": {"name": "constant", "to": 0.5}}, "nothing is learnt from the teacher"),
        ({"answers": 0}, "nothing is learnt at all"),
        ({"answers": 0, "states": [{"kind": "hidden", "weight": 0}]}, "nothing is learnt at all"),
        ({"alpha_schedule": {"name": "linear", "to": 3}}, "alpha is a share"),
        ({"alpha_schedule": {"name": "cosine", "begin": 0.5, "end": 0.5}}, "begin must be below end"),
        ({"alpha_schedule": {"name": "linear", "end": 1.5}}, "less than or equal to 1"),
        ({"teachers": []}, "at least 1"),
        ({"differences": 0.5, "selection": {}}, "not both"),
        ({"maps_lr": 0}, "greater than 0"),
        ({"states": [{"kind": "hidden", "layers": [[0, 3]]}]}, "counted from 1"),
        ({"states": [{"kind": "hidden", "layers": []}]}, "is empty"),
        ({"states": [{"kind": "hidden", "layers": [[1, 3], [1, 3]]}]}, "listed twice"),
        ({"states": [{"kind": "shape"}]}, "'hidden', 'attention', 'relation' or 'embedding'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        config(**wrong)
