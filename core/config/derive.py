"""How a finetuning set is made: a source, the part of it that is taken, and processing steps in order.

In YAML each step is one mapping with the step's name as its key, so that a message names the step, the field and its
line:

    source: tweets
    part: {share: 0.5}
    steps:
      - filter: {min_words: 4}
      - entity_questions
      - sample: {rows: 300}
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Literal

import yaml
from pydantic import Field, field_validator, model_validator

from core.config.base import Config
from core.config.files import apply_sets, mapping_from_yaml, read_text, validated
from core.config.plan import Columns
from core.errors import ConfigError

__all__ = [
    "STEPS", "ClozeStep", "DeriveConfig", "EntityQuestionsStep", "FilterStep", "Form", "Part", "RelabelStep",
    "SampleStep", "SentenceLabelStep", "Step", "SummariesStep", "TitlesStep", "derive_config",
]  # fmt: skip

Form = Literal["text", "classification", "tagging", "question_answering"]
#: More steps are a mistake.
MOST_STEPS = 40
_MOST_PATTERN = 500


class TitlesStep(Config):
    """Titles instead of texts."""

    column: str | None = Field(
        None,
        description="Column with the title. Empty: title, headline, subject or heading; without such a column the "
        "first line of a text of several lines.",
    )


class SummariesStep(Config):
    """One or a few sentences instead of a text."""

    method: Literal["lead", "central"] = Field(
        "lead",
        description="lead: the first sentences. central: those with the highest LexRank (Erkan and Radev 2004), in "
        "the order of the text.",
    )
    sentences: int = Field(1, ge=1, le=100, description="How many sentences.")


class EntityQuestionsStep(Config):
    """Questions for the names in tagged sentences."""

    language: Literal["en", "zh"] = Field("en", description="Language of the questions; zh joins words without spaces.")
    questions: dict[str, str] = Field(
        default_factory=dict,
        description="Entity type to its question. Empty: the questions for the types of the bundled samples.",
    )


class ClozeStep(Config):
    """Questions with a name left out of a sentence of an English text; three a text at most."""


class SentenceLabelStep(Config):
    """A label for each tagged sentence: whether it has an entity of a type. Words and tags stay beside it."""

    entity: str = Field(min_length=1, description="Type of entity, like person.")
    present: str = Field("yes", min_length=1, description="Label of sentences that have one.")
    absent: str = Field("no", min_length=1, description="Label of the others.")

    @model_validator(mode="after")
    def _two(self) -> SentenceLabelStep:
        if self.present == self.absent:
            raise ValueError(f"present and absent must be two labels, got {self.present!r} twice")
        return self


class RelabelStep(Config):
    """Other labels, or other types of entities."""

    mapping: dict[str, str | None] = Field(
        min_length=1,
        description="Label to its new name; null leaves rows of this label out, of entities only the tags.",
    )
    others: Literal["keep", "drop"] = Field(
        "keep", description="Labels that the mapping does not name. drop: as if they were mapped to null."
    )

    @field_validator("mapping")
    @classmethod
    def _named(cls, value: dict[str, str | None]) -> dict[str, str | None]:
        for old, new in value.items():
            if new is not None and not new.strip():
                raise ValueError(f"the new name of {old!r} is empty; null leaves its rows out")
        return value


class FilterStep(Config):
    """Only rows that meet every condition."""

    min_words: int | None = Field(None, ge=1, description="Fewest words of the text (of a question: of its context).")
    max_words: int | None = Field(None, ge=1, description="Most words.")
    min_characters: int | None = Field(None, ge=1, description="Fewest characters.")
    max_characters: int | None = Field(None, ge=1, description="Most characters.")
    labels: list[str] | None = Field(
        None, min_length=1,
        description="Keep rows with one of these labels; of tagged sentences: with an entity of these types; of "
        "questions: answer, no answer.",
    )  # fmt: skip
    not_labels: list[str] | None = Field(None, min_length=1, description="Leave rows with one of these out.")
    pattern: str | None = Field(None, description="Keep rows in whose text this regular expression is found.")
    not_pattern: str | None = Field(None, description="Leave rows out in whose text it is found.")
    ignore_case: bool = Field(False, description="Whether patterns ignore upper and lower case.")

    @field_validator("pattern", "not_pattern")
    @classmethod
    def _pattern(cls, value: str | None) -> str | None:
        if value is not None:
            if not value or len(value) > _MOST_PATTERN:
                raise ValueError(f"a pattern has 1 to {_MOST_PATTERN} characters")
            try:
                re.compile(value)
            except (re.error, RecursionError, OverflowError) as error:
                raise ValueError(f"this is no regular expression: {error}") from error
        return value

    @model_validator(mode="after")
    def _some(self) -> FilterStep:
        if not self.model_dump(exclude_none=True, exclude={"ignore_case"}):
            raise ValueError("a filter needs at least one condition, like min_words: 3")
        for unit in ("words", "characters"):
            low, high = getattr(self, f"min_{unit}"), getattr(self, f"max_{unit}")
            if low is not None and high is not None and low > high:
                raise ValueError(f"min_{unit} is {low} and max_{unit} is {high}: no row has both")
        return self


class SampleStep(Config):
    """Some of the rows, with the labels' shares."""

    rows: int | None = Field(None, ge=1, description="How many rows; all, if there are fewer.")
    share: float | None = Field(None, gt=0, le=1, description="Share of the rows.")
    seed: int | None = Field(None, ge=0, description="Another seed gives other rows. Empty: that of the whole.")

    @model_validator(mode="after")
    def _one(self) -> SampleStep:
        if (self.rows is None) == (self.share is None):
            raise ValueError("a sample needs either rows or share")
        return self


class Step(Config):
    """One processing step: exactly one of these."""

    titles: TitlesStep | None = None
    summaries: SummariesStep | None = None
    entity_questions: EntityQuestionsStep | None = None
    cloze_questions: ClozeStep | None = None
    sentence_label: SentenceLabelStep | None = None
    relabel: RelabelStep | None = None
    filter: FilterStep | None = None
    sample: SampleStep | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = {value: {}}
        if not isinstance(value, dict):
            raise ValueError(f"a step is its name with its settings, like `sample: {{rows: 100}}`, got {value!r}")
        unknown = [name for name in value if name not in STEPS]
        if unknown:
            raise ValueError(f"there is no step {str(unknown[0])[:60]!r}; there are {', '.join(STEPS)}")
        if len(value) != 1:
            raise ValueError("a step has one name; begin each with a dash of its own")
        return {name: {} if settings is None else settings for name, settings in value.items()}

    @property
    def name(self) -> str:
        """The step's name."""
        return next(name for name in STEPS if getattr(self, name) is not None)

    @property
    def settings(self) -> Config:
        """The step's settings."""
        found = getattr(self, self.name)
        assert isinstance(found, Config)
        return found


STEPS = tuple(Step.model_fields)


class Part(Config):
    """Which part of the source is taken; what is left can be kept as gate rows."""

    share: float | None = Field(None, gt=0, lt=1, description="Share of the rows, with the labels' shares.")
    first: int | None = Field(None, ge=1, description="First row, counted from 1.")
    last: int | None = Field(None, ge=1, description="Last row.")

    @model_validator(mode="after")
    def _one(self) -> Part:
        ranged = self.first is not None or self.last is not None
        if ranged == (self.share is not None):
            raise ValueError("a part is either a share, or rows from first to last")
        if self.first is not None and self.last is not None and self.first > self.last:
            raise ValueError(f"the first row is {self.first} and the last {self.last}: no row is left")
        return self


class DeriveConfig(Config):
    """How a finetuning set is made."""

    version: Literal[1] = Field(1, description="Version of this format.")
    source: str = Field(min_length=1, description="A bundled sample, a file, or hub:NAME.")
    form: Form | None = Field(
        None,
        description="What the rows are: text, classification, tagging or question_answering. Empty: what the sample "
        "is for, or what the columns say.",
    )
    multi_label: bool = Field(False, description="Classification only: a text may have several labels or none.")
    columns: Columns = Field(default_factory=Columns, description="Which column holds what, as in a plan.")
    format: Literal["auto", "csv", "tsv", "jsonl", "parquet", "conll", "conllu", "squad"] = Field(
        "auto", description="File format; auto: by the file's name and first lines."
    )
    encoding: str = Field("auto", description="Text encoding of the file; auto: detected.")
    subset: str | None = Field(None, description="Hub only: the subset (configuration) name.")
    revision: str | None = Field(None, description="Hub only: branch, tag or commit.")
    split: str = Field("validation", description="Hub only: the split to read.")
    part: Part | None = Field(None, description="Which part of the source is taken. Empty: all of it.")
    seed: int = Field(0, ge=0, description="Seed of the part and of samples.")
    steps: list[Step] = Field(default_factory=list, max_length=MOST_STEPS, description="Processing steps, in order.")


def derive_config(
    source: str | None, steps_file: str | None, steps: Iterable[str] = (), sets: Iterable[str] = ()
) -> DeriveConfig:
    """Return the config that a command line means.

    Parameters
    ----------
    source
        Takes the place of the file's source; None: that of the file.
    steps_file
        A YAML file as this module describes it, or a mere list of steps.
    steps
        Further steps as YAML on one line: ``entity_questions``, ``sample: {rows: 100}``.
    sets
        Changes of the form ``key.path=value``.

    Raises
    ------
    ConfigError
        If a file cannot be read or something is not valid; keys and lines are named.
    """
    data: dict[str, Any] = {}
    lines: dict[str, int] = {}
    where = steps_file or "data derive"
    if steps_file is not None:
        text = read_text(steps_file)
        if text.lstrip("\ufeff \n").startswith("- "):
            # The list alone: one line more above it, so that each line is one further than in the file.
            data, lines = mapping_from_yaml("steps:\n" + text, where)
            lines = {key: line - 1 for key, line in lines.items()}
        else:
            data, lines = mapping_from_yaml(text, where)
    if source is not None:
        data["source"] = source
    more = [_step(text) for text in steps]
    if more:
        listed = data.get("steps") or []
        if not isinstance(listed, list):
            raise ConfigError("The steps are no list.", where=where, expected="a dash before each step")
        data["steps"] = [*listed, *more]
    if isinstance(data.get("steps"), list):
        data["steps"] = [_spelled(step) for step in data["steps"]]
    apply_sets(data, sets)
    try:
        return validated(DeriveConfig, data, where=where, lines=lines)
    except ConfigError as error:
        raise ConfigError(
            error.what, where=where, expected=f"source, part, seed and steps; steps are {', '.join(STEPS)}",
            advice="docs/data.md lists the settings of each step.",
        ) from error  # fmt: skip


def _spelled(step: Any) -> Any:
    """Return a step with settings that can be changed: a mere name has empty ones."""
    if isinstance(step, str):
        return {step: {}}
    return {name: {} if value is None else value for name, value in step.items()} if isinstance(step, dict) else step


def _step(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(
            f"This step is not valid YAML: {text[:200]!r}.", where="--step",
            expected="a step's name, or a name with settings like 'sample: {rows: 100}'",
        ) from error  # fmt: skip
