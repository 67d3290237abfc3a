"""The shelf of claims, the page of a claim's run, and what is said about a run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.config import ClaimConfig, Plan
from core.settings import Home
from pages.ui import keys, security, studio
from tests.e2e.fake_run import FakeRun
from tests.unit.findings.made import healthy
from tests.unit.studies.made import Trainer, config, execute

ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.setenv("BERTLOOM_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(security, "sign_in_configured", lambda: False)
    # Nothing is to be executed: a page's studio watches no queue here.
    studio.open_studio(watch=False)
    yield Home(tmp_path / "home")
    studio.close()


def opened(page: str, **query: str) -> AppTest:
    test = AppTest.from_file(str(ROOT / "pages" / "ui" / "router.py"), default_timeout=60).run()
    test.switch_page(str(ROOT / "pages" / f"{page}.py"))
    for name, value in query.items():
        test.query_params[name] = value
    test.run()
    assert not test.exception, [item.message for item in test.exception]
    return test


def words(test: AppTest) -> str:
    kinds = (test.title, test.markdown, test.caption, test.error, test.info)
    return " ".join(item.value for kind in kinds for item in kind).replace("\\", "").replace("\u2060", "")


def with_claim(home: Home, claim: str = "raise-to-1e-3", *, stop_at: int | None = None, **changes: object) -> str:
    """A claim that was executed by a worker, with a training that is a formula."""

    def learns(plan: Plan) -> tuple[float, float] | None:
        rate = plan.stages[0].lr
        return None if rate > 5e-3 else (0.8 - 0.05 * abs(math.log10(rate / 5e-5)), 10.0)

    of = config(claim, **{"parts": ["full"], **changes})
    run_id = studio.studio().claims.submit(of)
    execute(home, run_id, of, Trainer(learns, stop_at=stop_at))
    return run_id


def test_every_sentence_has_a_card_with_one_button(home: Home) -> None:
    test = opened("claims")
    shown = words(test)
    assert "The lower the learning rate, the faster the training." in shown
    assert shown.count("Not tested yet on this home.") == 7
    assert len([one for one in test.button if one.key and one.key.startswith("claim_test_")]) == 7
    assert "30 short runs." in shown


def test_a_press_queues_the_claim_on_the_chosen_data_and_opens_its_page(home: Home) -> None:
    test = opened("claims")
    test.selectbox(key="claims_data").set_value("tweets")
    test.number_input(key="claims_seeds").set_value(6)
    test.segmented_control(key="claims_part").set_value("head")
    test.run()
    test.button(key="claim_test_raise-to-1e-3").click().run()
    assert not test.exception
    queued = studio.studio().runs.list()
    assert [(one.kind, one.name) for one in queued] == [("claim", "raise-to-1e-3 on tweets")]
    of = studio.studio().claims.config(queued[0].id)
    assert (of.data.source, of.task.kind, of.seeds, of.parts) == ("tweets", "tagging", 6, ["head"])
    assert "Raise the learning rate to 1e-3 or 1e-2." in words(test)  # the run's own page


def test_the_planners_data_and_model_can_be_taken(home: Home) -> None:
    from pages.ui.planner_draft import starter_plan

    test = opened("claims")
    test.selectbox(key="claims_data").set_value("planner").run()
    test.button(key="claim_test_lower-is-faster").click().run()
    of = studio.studio().claims.config(studio.studio().runs.list()[0].id)
    assert of.data.source == starter_plan().data.source
    assert of.data.train_rows == 1000


def test_few_seeds_are_said_to_give_no_verdict(home: Home) -> None:
    test = opened("claims")
    test.number_input(key="claims_seeds").set_value(2).run()
    assert "fewer than 5 seeds there is no verdict" in words(test)


def test_the_shelf_shows_the_last_verdict(home: Home) -> None:
    with_claim(home)
    assert "Full training: does not hold" in words(opened("claims"))


def test_a_claims_page_shows_verdict_numbers_and_sample_size(home: Home) -> None:
    run_id = with_claim(home)
    test = opened("run", **{keys.RUN_ID: run_id})
    shown = words(test)
    assert "Raise the learning rate to 1e-3 or 1e-2." in shown
    assert "does not hold" in shown
    assert "15 of 15 runs are there: 5 seeds an arm." in shown
    assert "2 comparisons, corrected together (Holm). 400 test rows." in shown
    assert "A run that failed (diverged) counts with the majority's score" in shown
    table = next(item.value for item in test.dataframe if "arm" in item.value)
    assert list(table["arm"]) == ["5e-05", "1e-03", "1e-02"]
    assert list(table["failed"]) == [0, 0, 5]


def test_a_claim_on_its_way_shows_what_is_there_and_no_verdict(home: Home) -> None:
    run_id = with_claim(home, stop_at=5)
    shown = words(opened("run", **{keys.RUN_ID: run_id}))
    assert "4 of 15 runs are there" in shown
    assert "Not all runs are there yet." in shown
    assert "no verdict" in shown


def test_a_table_is_drawn_over_the_rates(home: Home) -> None:
    test = opened("run", **{keys.RUN_ID: with_claim(home, "rate-table", seeds=1)})
    assert "Nothing is claimed here." in words(test)


def test_findings_stand_on_the_runs_page_and_a_remedy_opens_the_planner(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.runs.desk import RunDesk
    from core.runs.findings import findings

    monkeypatch.setattr(RunDesk, "findings", lambda self, run_id: findings(healthy(norm=lambda step: 8.0)))
    with FakeRun(home) as fake:
        fake.advance(320)
        fake.finish()
        test = opened("run", **{keys.RUN_ID: fake.id})
        assert "The gradient was clipped in 100 % of 200 logged steps" in words(test)
        test.button(key="remedy_clipped_0").click().run()
        assert not test.exception
        draft = test.session_state["planner_draft"]
    assert draft.plan().stages[0].clip_norm > 5
    assert draft.parent == fake.id
    assert "clip at" in draft.plan().name


def test_a_run_in_which_nothing_stands_out_has_no_such_box(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    from core.runs.desk import RunDesk

    monkeypatch.setattr(RunDesk, "findings", lambda self, run_id: [])
    with FakeRun(home) as fake:
        fake.advance(320)
        test = opened("run", **{keys.RUN_ID: fake.id})
    assert "What happened and what to do" not in words(test)


def test_a_claim_without_test_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="test rows"):
        ClaimConfig.model_validate({"data": {"test_share": 0}})
