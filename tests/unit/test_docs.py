"""What the documentation points at exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_test_that_the_page_of_faults_names_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs/faults.md").read_text(encoding="utf-8"))
    assert len(named) > 30
    missing = []
    for file, test in named:
        path = ROOT / file
        body = ast.parse(path.read_text(encoding="utf-8")).body if path.is_file() else []
        if test not in {node.name for node in body if isinstance(node, ast.FunctionDef)}:
            missing.append(f"{file}::{test}")
    assert missing == []


def test_every_row_of_the_page_of_faults_names_a_test() -> None:
    lines = (ROOT / "docs/faults.md").read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| ") and not line.startswith("| what |")]
    assert len(rows) > 20
    assert [row for row in rows if "::test_" not in row] == []


def test_the_tables_of_the_docs_are_those_of_the_measured_files() -> None:
    from tests.benchmarks.quality import rewrite
    from tests.benchmarks.report import page

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert rewrite(readme) == readme, "run python -m tests.benchmarks.quality --render"
    written = (ROOT / "docs" / "results" / "README.md").read_text(encoding="utf-8")
    assert page() == written, "run python -m tests.benchmarks.report"
