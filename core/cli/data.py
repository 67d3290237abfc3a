"""``bertloom data …``: checking a file before training; :mod:`core.cli.data_derive` makes finetuning sets."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.markup import escape

from core.cli import data_derive, data_trees
from core.cli.output import DONE, FAILED, USAGE, JsonOption, answer, console, errors, fail, visible
from core.config import plan_from_dict
from core.errors import BertloomError, DataError

__all__ = ["app"]

app = typer.Typer(help="Look at data before training; make finetuning sets.", no_args_is_help=True)
data_derive.register(app)
data_trees.register(app)

#: No head is chosen yet: the one that takes all spans.
_SPANS = {"gold": "spans", "head": "pointer", "pointer": {"kind": "global"}}
_COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}


@app.command("check")
def check(
    file: Annotated[str, typer.Argument(help="A file, a bundled sample, or hub:NAME.")],
    task: Annotated[
        str | None,
        typer.Option(
            help="classification, tagging, question_answering or dependency.", show_default="what the sample is for"
        ),
    ] = None,
    text: Annotated[str | None, typer.Option(help="Column with the text.")] = None,
    text_pair: Annotated[str | None, typer.Option(help="Column with a second text.")] = None,
    label: Annotated[str | None, typer.Option(help="Column with the label.")] = None,
    tokens: Annotated[str | None, typer.Option(help="Column with the words.")] = None,
    tags: Annotated[str | None, typer.Option(help="Column with the tags.")] = None,
    spans: Annotated[
        str | None, typer.Option(help="Column with the spans of a sentence, which may nest; without tags.")
    ] = None,
    span_offsets: Annotated[
        str, typer.Option(help="What spans count: words, words_inclusive or characters.")
    ] = "words",
    heads: Annotated[str | None, typer.Option(help="Column with the heads of the words.")] = None,
    relations: Annotated[str | None, typer.Option(help="Column with the relations to the heads.")] = None,
    question: Annotated[str | None, typer.Option(help="Column with the question.")] = None,
    context: Annotated[str | None, typer.Option(help="Column with the context of a question.")] = None,
    answers: Annotated[str | None, typer.Option(help="Column with the answer, or the list of answers.")] = None,
    start: Annotated[str | None, typer.Option(help="Column with the answer's first character.")] = None,
    no_answer: Annotated[bool, typer.Option("--no-answer", help="A question may have no answer (SQuAD 2.0).")] = False,
    no_tree: Annotated[bool, typer.Option("--no-tree", help="Heads need not form a tree.")] = False,
    no_relations: Annotated[bool, typer.Option("--no-relations", help="Heads alone, without relations.")] = False,
    multi_label: Annotated[bool, typer.Option("--multi-label", help="A text may have several labels.")] = False,
    format: Annotated[str, typer.Option(help="csv, tsv, jsonl, parquet, conll, conllu, squad or auto.")] = "auto",
    encoding: Annotated[str, typer.Option(help="Text encoding, or auto.")] = "auto",
    finetuning: Annotated[
        str | None, typer.Option(help="A finetuning set (`data derive` makes one), held against the file.")
    ] = None,
    training: Annotated[
        str, typer.Option(help="What would be learnt from: original, finetuning or together.")
    ] = "original",
    model: Annotated[str, typer.Option(help="Encoder whose tokenizer cuts the texts.")] = "bundled",
    max_length: Annotated[int, typer.Option(min=8, help="Sub-words a text may have.")] = 128,
    as_json: bool = JsonOption,
) -> None:
    """Check a data set: 0 usable, 1 not usable, 2 unreadable."""
    from core.data.samples import samples

    columns = {
        "text": text, "text_pair": text_pair, "label": label, "tokens": tokens, "tags": tags,
        "question": question, "context": context, "answers": answers, "start": start,
        "heads": heads, "relations": relations, "spans": spans,
    }  # fmt: skip
    sample = next((one for one in samples() if one.name == file and task in (None, *one.tasks)), None)
    kind = task or ("tagging" if spans else None) or (sample.tasks[0] if sample and sample.tasks else "classification")
    settings = {
        "no_answer": no_answer, "tree": not no_tree, "relations": not no_relations,
        **(_SPANS if spans else {}), **(sample.settings if sample else {}),
    }  # fmt: skip
    with errors(as_json):
        plan = plan_from_dict(
            {
                "task": {"kind": kind, "multi_label": multi_label, **settings},
                "data": {
                    "source": file,
                    "format": format,
                    "encoding": encoding,
                    "columns": columns,
                    "span_offsets": span_offsets,
                    "finetuning_source": finetuning,
                    "training": training,
                },
                "model": {"source": model, "max_length": max_length},
            },
            where="data check",
        )
    report = _report(plan, as_json)
    answer(report, as_json=as_json, text=None)
    if not as_json:
        _show(report)
    raise typer.Exit(DONE if report["ok"] else FAILED)


def _report(plan: Any, as_json: bool) -> dict[str, Any]:
    from core.api import Studio

    studio = Studio(watch=False)
    try:
        return studio.data.check(plan.data, plan.task, plan.model)
    except DataError as error:
        fail(error, as_json=as_json, status=USAGE)
    except BertloomError as error:
        fail(error, as_json=as_json, status=USAGE)
    finally:
        studio.close()


def _show(report: dict[str, Any]) -> None:
    for finding in report.get("findings", []):
        colour = _COLOURS.get(finding["level"], "white")
        parts = [
            finding["message"],
            f"({finding['where']})" if finding.get("where") else "",
            finding.get("advice") or "",
        ]
        console.print(f"[{colour}]{finding['level']:8}[/] {escape(visible(' '.join(part for part in parts if part)))}")
    console.print("[green]usable[/]" if report["ok"] else "[red]not usable[/]")
