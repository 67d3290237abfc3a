"""``docs/claims.md`` says what the measured files beside it say."""

from __future__ import annotations

from core.studies import CLAIMS
from core.studies.records import read_records
from tests.benchmarks.claims import PAGE, PICTURE, RESULTS, every_job
from tests.benchmarks.report_claims import SEEDS, page, picture
from tests.unit.studies.made import config, made_record


def test_the_page_and_its_picture_are_those_of_the_measured_files() -> None:
    records = read_records(RESULTS)
    assert len(records) >= 40
    assert page(records) == PAGE.read_text(encoding="utf-8"), "run python -m tests.benchmarks.claims --render"
    assert picture(records) == PICTURE.read_text(encoding="utf-8"), "run python -m tests.benchmarks.claims --render"


def test_every_measured_file_belongs_to_a_planned_run() -> None:
    planned = {job.key for job in every_job()}
    assert {record.key for record in read_records(RESULTS)} <= planned


def test_the_page_names_what_is_missing() -> None:
    claim = CLAIMS[0]
    jobs = [job for job in every_job() if job.part == "head"]
    some = [made_record(claim, config(claim.name), lambda plan: (0.7, 10.0), job) for job in jobs]
    text = page(some)
    assert "*Not finished*" in text
    assert f"*unfinished* (0 of {3 * SEEDS} runs)" in text
    assert text.count("## <a id=") == sum(not one.is_table for one in CLAIMS)
