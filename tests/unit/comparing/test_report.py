"""Desk, command line and report of a comparison: the same verdicts everywhere, and nothing that leads elsewhere."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.api import Studio
from core.cli.app import app
from core.config import Comparison, load_config
from core.errors import ConfigError
from core.render.comparison_report import answer_words
from core.render.comparison_svg import band_of
from core.render.report_block import Block
from core.render.report_page import html_report, markdown_report
from core.settings import Home
from core.studies.comparing import desk
from tests.unit.comparing.made import Trainer, comparison, execute, learns
from tests.unit.render.test_pointer_report import write_looks


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Home, str]:
    home = Home(tmp_path_factory.mktemp("home"))
    slow, fast = ({"name": name, "stage": {"lr": lr}} for name, lr in (("slow http", 1e-5), ("fast", 1e-3)))
    of = comparison(strategies=[slow, fast])
    with Studio(home, watch=False) as studio:
        run_id = studio.comparisons.submit(of)
    execute(home, run_id, of, Trainer(learns))
    return home, run_id


def _invoke(made: tuple[Home, str], monkeypatch, *arguments: str):
    monkeypatch.setenv("BERTLOOM_HOME", str(made[0].root))
    return CliRunner().invoke(app, ["compare", *arguments])


def test_the_desk_tells_everything_that_is_known(made) -> None:
    with Studio(made[0], watch=False) as studio:
        view = studio.comparisons.view(made[1])
        more = studio.comparisons.with_seeds(made[1], 8)
        with pytest.raises(ConfigError, match="5 seeds already"):
            studio.comparisons.with_seeds(made[1], 5)
        assert studio.comparisons.models(made[1]) == []  # nothing was kept here
    assert (view["total"], view["done"], view["failed"], view["complete"]) == (20, 20, 0, True)
    assert [one["verdict"] for one in view["verdicts"]] == ["b", "b"]
    assert view["curves"]["reviews"]["fast"][0]["steps"] == [12, 24]
    assert (more.seeds, more.continues) == (8, made[1])


def test_a_page_needs_nothing_from_anywhere(made, monkeypatch, tmp_path: Path) -> None:
    target, other = tmp_path / "report.html", tmp_path / "report.md"
    result = _invoke(made, monkeypatch, "report", made[1], "--html", str(target), "--markdown", str(other))
    assert result.exit_code == 0, result.output
    page = target.read_text(encoding="utf-8")
    assert "http" not in page.lower()
    assert not re.search(r"<(link|script|img|iframe)\b|url\(", page)
    assert "fast is better than slow &#104;ttp" in page
    assert page.count("<svg") == 1 + 2 + 2  # differences; scores and curves of two tasks
    assert "Where heads point" not in page
    assert f"bertloom compare report {made[1]}" in page
    text = other.read_text(encoding="utf-8")
    assert "reviews: fast is better than slow" in text
    assert text.count("data:image/svg+xml;base64,") == 5


def test_heads_that_point_show_their_first_seeds_test_sentences(made, monkeypatch, tmp_path: Path) -> None:
    home, run_id = made
    monkeypatch.setattr(desk, "pointing_strategies", lambda config: {"fast": ["moods"]})
    with Studio(home, watch=False) as studio:
        first = min((one for one in studio.comparisons.children(run_id) if one.strategy == "fast" and "moods" in
                     one.tasks), key=lambda one: one.seed)  # fmt: skip
        write_looks(home.run(first.run_id), texts=["one http://a.b", "two", "three"])
        (told,) = studio.comparisons.pointed(run_id)
    assert told["name"] == f"moods, fast, seed {first.seed}"
    assert [one["text"] for one in told["sentences"]] == ["one http://a.b", "two"]
    target = tmp_path / "pointing.html"
    result = _invoke(made, monkeypatch, "report", run_id, "--html", str(target))
    assert result.exit_code == 0, result.output
    page = target.read_text(encoding="utf-8")
    assert page.count("Where heads point") == 1
    assert page.count("<svg") == 5 + 2
    assert "three" not in page
    assert "http" not in page.lower()


def test_the_command_line_tells_the_same_as_json(made, monkeypatch) -> None:
    result = _invoke(made, monkeypatch, "report", made[1], "--json")
    found = json.loads(result.output)
    assert set(found["verdicts"][0]) >= {
        "task", "a", "b", "difference", "interval", "p", "verdict", "margin", "seeds", "seeds_needed",
    }  # fmt: skip
    shown = _invoke(made, monkeypatch, "show", made[1])
    assert "moods: fast is better than slow" in " ".join(shown.output.split())
    assert _invoke(made, monkeypatch, "report", made[1]).exit_code == 2


def test_a_new_comparison_is_a_file_that_can_be_run(made, monkeypatch, tmp_path: Path) -> None:
    result = _invoke(made, monkeypatch, "new", "--tasks", "reviews,tweets", "--seeds", "7", "--budget", "examples")
    assert result.exit_code == 0, result.output
    (tmp_path / "compare.yaml").write_text(result.output, encoding="utf-8")
    config = load_config(tmp_path / "compare.yaml")
    assert isinstance(config, Comparison)
    assert [one.name for one in config.strategies] == ["single", "single-frozen"]
    assert [one.task.kind for one in config.tasks] == ["classification", "tagging"]
    assert (config.seeds, config.budget.rule) == (7, "examples")
    refused = _invoke(made, monkeypatch, "new", "--strategies", "single,magic")
    assert refused.exit_code == 2
    assert "magic" in refused.output


def test_words_of_users_stay_words() -> None:
    blocks = [Block("title", "<b>x</b> http://a.b"), Block("table", rows=(("a|b",), ("`c`\n*d*",)))]
    page = html_report(blocks)
    assert "<b>x" not in page
    assert "http" not in page
    assert "| a\\|b |" in markdown_report(blocks)
    assert "| \\`c\\` \\*d\\* |" in markdown_report(blocks)
    assert answer_words([{"type": "PER", "text": "Anna"}]) == "Anna (PER)"
    assert answer_words([]) == "none"


def test_a_band_is_the_mean_and_range_of_the_curves_at_each_step() -> None:
    curves = [{"steps": [1, 2], "values": [0.5, 0.6]}, {"steps": [1, 2], "values": [0.7, None]}]
    assert band_of(curves) == [(1.0, pytest.approx(0.6), 0.5, 0.7), (2.0, 0.6, 0.6, 0.6)]
