"""The helper process itself: ``python -m core.runs.helper_main --home FOLDER --idle SECONDS``.

Reads requests as JSON lines from standard input and answers on what was standard output; whatever libraries print
goes to standard error, the log. It ends when its parent is gone or when it was idle for long enough.
"""

from __future__ import annotations

import argparse
import functools
import json
import logging
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from core.config import DataConfig, EncoderConfig, ModelConfig, Plan, TaskConfig
from core.errors import HubError, ModelError
from core.runs.plain import plain
from core.runs.trouble import error_of
from core.settings import Home

__all__ = ["REQUESTS", "TELLING", "main"]

_log = logging.getLogger(__name__)
#: Seconds between two reports of how far a request has come.
_TELL_SECONDS = 0.2

Tell = Callable[[float, str], None]


def _predict(home: Home, source: str, texts: list[Any]) -> Any:
    from core.models import predict

    return predict(_loaded(source, _state(source)), texts)


def _point(home: Home, source: str, texts: list[Any]) -> Any:
    from core.models.pointing import point

    return point(_loaded(source, _state(source)), texts)


@functools.lru_cache(maxsize=2)
def _loaded(source: str, state: tuple[Any, ...]) -> Any:
    from core.models import load_finished

    return load_finished(source)


def _state(source: str) -> tuple[Any, ...]:
    """Return what changes when a model folder is written again."""
    files = sorted(Path(source).glob("*"))
    return tuple((file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files)


def _estimate(home: Home, plan: dict[str, Any]) -> Any:
    from core.training import dry_run

    return dry_run(Plan.model_validate(plan), cache=home.cache)


def _steps(home: Home, plan: dict[str, Any]) -> Any:
    from core.training import count_steps

    return count_steps(Plan.model_validate(plan), cache=home.cache)


def _check_plan(home: Home, plan: dict[str, Any]) -> Any:
    from core.training.plan_check import check_plan

    return check_plan(Plan.model_validate(plan), cache=home.cache)


def _check_joint(home: Home, plan: dict[str, Any]) -> Any:
    from core.config.joint import JointPlan
    from core.training.joint.check import check_joint

    return check_joint(JointPlan.model_validate(plan), cache=home.cache)


def _parameters(
    home: Home, source: str, revision: str | None, task: dict[str, Any], labels: int, keep_layers: Any = None
) -> Any:
    from core.training.parameters import model_parameters

    return model_parameters(source, revision, TaskConfig.model_validate(task), labels, keep_layers)


def _preview(home: Home, data: dict[str, Any], task: dict[str, Any], rows: int) -> Any:
    from core.data import preview

    return preview(DataConfig.model_validate(data), TaskConfig.model_validate(task), rows)


def _gazetteer(home: Home, task: dict[str, Any]) -> Any:
    from core.data.gazetteer import gazetteer_facts

    return gazetteer_facts(TaskConfig.model_validate(task))


def _check(home: Home, data: dict[str, Any], task: dict[str, Any], model: dict[str, Any]) -> Any:
    from core.data import check
    from core.models import resolve

    encoder = ModelConfig.model_validate(model)
    folder, missing = None, None
    try:
        folder = resolve(encoder.source, encoder.revision).folder
    except (ModelError, HubError) as error:  # the data can be looked at without it; lengths are then in characters
        missing = error
    config = DataConfig.model_validate(data)
    report = check(config, TaskConfig.model_validate(task), folder, encoder.max_length, cache=home.cache)
    if missing is not None:
        report.add("warning", "no_model", missing.what, where=missing.where or "", advice=missing.advice or "")
    return report.as_dict()


def _bench(home: Home, sources: dict[str, str], seconds: float, tell: Tell) -> Any:
    from core.models.bench import bench_models
    from core.runs.speed import told

    return told(bench_models(sources, seconds=seconds, tell=tell))


def _export(home: Home, source: str, target: str, overwrite: bool, format: str, tell: Tell) -> Any:
    from core.models import export_model

    return export_model(source, target, overwrite=overwrite, format=format, cache=home.cache, tell=tell)


def _prune(
    home: Home, source: str, out: str, data: dict[str, Any], wanted: dict[str, Any], task: dict[str, Any] | None,
    tell: Tell,
) -> Any:  # fmt: skip
    from core.training.pruning import Pruning, prune_folder

    return prune_folder(
        source, out, Pruning(**wanted), DataConfig.model_validate(data), cache=home.cache,
        task=None if task is None else TaskConfig.model_validate(task), tell=tell,
    )  # fmt: skip


def _alike_layers(
    home: Home, source: str, keep: int, data: dict[str, Any], task: dict[str, Any], max_length: int
) -> Any:
    from core.search.keeping import layers_to_keep

    return layers_to_keep(
        source, keep, DataConfig.model_validate(data), cache=home.cache, task=TaskConfig.model_validate(task),
        max_length=max_length,
    )  # fmt: skip


def _match_layers(home: Home, plan: dict[str, Any], index: int) -> Any:
    from core.training.distil.matching import pairs_now

    return pairs_now(Plan.model_validate(plan), index, cache=home.cache)


def _new_encoder(home: Home, shape: dict[str, Any], out: str, tokenizer: str, seed: int) -> Any:
    from core.config.shape import EncoderShape
    from core.models.shaped.files import new_encoder

    return str(new_encoder(EncoderShape.model_validate(shape), out, tokenizer=tokenizer, seed=seed))


def _probe_tree(home: Home, probe: str, model: dict[str, Any], sentence: dict[str, Any]) -> Any:
    import numpy as np

    from core.graph.probe.file import load_probe
    from core.graph.probe.heads import probe_trees
    from core.graph.types import Sentence

    trained = load_probe(Path(probe))
    one = Sentence(
        sentence["text"], sentence["tokens"], np.zeros(len(sentence["tokens"]), dtype=np.int64),
        tags=sentence.get("tags") or [],
    )  # fmt: skip
    (heads,) = probe_trees(trained, [one], _encoder(json.dumps(model, sort_keys=True)))
    return {"layer": trained.best, "heads": None if heads is None else [int(head) for head in heads]}


def _plausibility(home: Home, file: str, words: list[str], layer: int | None) -> Any:
    from core.graph.quality import path_plausibility

    state = Path(file).stat()
    graph, sentences = _unseen(file, (state.st_size, state.st_mtime_ns))
    return path_plausibility(graph, words, sentences, layer=layer)


@functools.lru_cache(maxsize=1)
def _unseen(file: str, state: tuple[int, int]) -> Any:
    from core.graph.file import load_graph
    from core.graph.quality import held_out_sentences

    graph = load_graph(file)
    return graph, held_out_sentences(graph)


@functools.lru_cache(maxsize=1)
def _encoder(model: str) -> Any:
    from core.graph.encoder import load_encoder

    return load_encoder(EncoderConfig.model_validate(json.loads(model)))


#: What can be asked: the home folder and the arguments by name → plain data.
REQUESTS: dict[str, Callable[..., Any]] = {
    "predict": _predict,
    "point": _point,
    "estimate": _estimate,
    "steps": _steps,
    "check_plan": _check_plan,
    "check_joint": _check_joint,
    "parameters": _parameters,
    "preview": _preview,
    "gazetteer": _gazetteer,
    "check": _check,
    "export": _export,
    "bench": _bench,
    "prune": _prune,
    "alike_layers": _alike_layers,
    "match_layers": _match_layers,
    "new_encoder": _new_encoder,
    "plausibility": _plausibility,
    "probe_tree": _probe_tree,
}
#: Those that say how far they have come; they are called with ``tell`` (share of 0 to 1, what is being done).
TELLING: set[str] = {"bench", "export", "prune"}


def main() -> int:
    """Serve requests until the parent is gone or nothing was asked for a while."""
    parser = argparse.ArgumentParser(prog="core.runs.helper_main")
    parser.add_argument("--home", required=True, type=Path)
    parser.add_argument("--idle", required=True, type=float)
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    home = Home(options.home)
    while True:
        try:
            line = requests.get(timeout=options.idle)
        except queue.Empty:
            return 0
        _answer(home, line, answers)


def _listen(requests: queue.SimpleQueue[bytes]) -> None:
    for line in sys.stdin.buffer:
        requests.put(line)
    os._exit(0)  # the parent is gone: nobody waits for what is being computed


def _answer(home: Home, line: bytes, answers: BinaryIO) -> None:
    request = json.loads(line)
    reply: dict[str, Any] = {"id": request["id"]}
    more: dict[str, Any] = {"tell": _teller(request["id"], answers)} if request["name"] in TELLING else {}
    try:
        reply["answer"] = plain(REQUESTS[request["name"]](home, **request["arguments"], **more))
    except Exception as error:
        _log.exception("the request %s failed", request["name"])
        reply["error"] = error_of(error, doing=f"the request {request['name']!r}")
    answers.write(json.dumps(reply).encode() + b"\n")
    answers.flush()


def _teller(number: int, answers: BinaryIO) -> Tell:
    last = 0.0

    def tell(share: float, doing: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _TELL_SECONDS:
            last = now
            answers.write(json.dumps({"id": number, "progress": [round(share, 4), doing]}).encode() + b"\n")
            answers.flush()

    return tell


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)
