"""The command line as a person uses it: real processes, a tiny encoder, Ctrl-C, a second shell, hostile input."""

from __future__ import annotations

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from core.api import Studio
from core.runs.records import RunRecord, Status
from core.settings import Home
from tests.tiny import tiny_encoder

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
BERTLOOM = [sys.executable, "-P", "-c", "from core.cli import main; main()"]
HOSTILE = '<b onclick="x()">bad</b> [red]&amp; :smile:'

#: Notes every address that any of our processes asks for, and lets none through.
NO_NETWORK = """
import os, socket
def _note(*words):
    with open(os.environ["BERTLOOM_TEST_NETWORK"], "a") as file:
        print(os.getpid(), *words, file=file)
_connect, _resolve = socket.socket.connect, socket.getaddrinfo
def connect(self, address):
    if self.family != socket.AF_UNIX:
        _note("connect", address)
        raise OSError(101, "Network is unreachable")
    return _connect(self, address)
def getaddrinfo(host, *rest, **more):
    _note("getaddrinfo", host)
    raise socket.gaierror(-3, "Temporary failure in name resolution")
socket.socket.connect = socket.socket.connect_ex = connect
socket.getaddrinfo = getaddrinfo
_note("started")
"""


def _hear_ctrl_c() -> None:
    """Let a shell be interrupted also where the tests' own process ignores Ctrl-C and hands that on."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Shell:
    """A folder with data, an encoder and plans, and commands that run in it."""

    def __init__(self, folder: Path, encoder: Path) -> None:
        self.folder, self.encoder, self.home = folder, encoder, folder / "home"
        self.started: list[subprocess.Popen[str]] = []

    def environment(self, **more: str) -> dict[str, str]:
        paths = os.pathsep.join([*filter(None, [more.pop("PYTHONPATH", "")]), str(ROOT)])
        return {
            **os.environ, "BERTLOOM_HOME": str(self.home), "BERTLOOM_WARM": "0", "OMP_NUM_THREADS": "1",
            "OMP_WAIT_POLICY": "PASSIVE", "PYTHONPATH": paths, "COLUMNS": "100", **more,
        }  # fmt: skip

    def call(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*BERTLOOM, *arguments], cwd=self.folder, env=self.environment(**environment), capture_output=True,
            text=True, timeout=120,
        )  # fmt: skip

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*BERTLOOM, *arguments], cwd=self.folder, env=self.environment(**environment), stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, preexec_fn=_hear_ctrl_c,
        )  # fmt: skip
        self.started.append(process)
        return process

    def rows(self, name: str, labels: tuple[str, ...] = ("good", "bad"), rows: int = 60) -> str:
        with (self.folder / name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["text", "label"])
            writer.writerows(
                [f"{name} film {n} was {labels[n % len(labels)]}", labels[n % len(labels)]] for n in range(rows)
            )
        return name

    def plan(self, name: str = "plan.yaml", *, steps: int = 8, **parts: Any) -> str:
        plan = {
            "name": name,
            "data": {"source": self.rows("rows.csv"), **parts.pop("data", {})},
            "model": {"source": str(self.encoder), "max_length": 32, **parts.pop("model", {})},
            "stages": [{"steps": steps, "lr": 1e-3, "batch_size": 8, **parts.pop("stage", {})}],
            "runtime": {"device": "cpu", "precision": "fp32", "threads": 1},
            **parts,
        }
        (self.folder / name).write_text(yaml.safe_dump(plan), encoding="utf-8")
        return name


def one_object(text: str) -> dict[str, Any]:
    assert text.count("\n") == 1, text
    value = json.loads(text)
    assert isinstance(value, dict)
    return value


def ended(process: subprocess.Popen[str], seconds: float = 150) -> tuple[int, dict[str, Any], str]:
    out, error = process.communicate(timeout=seconds)
    return process.returncode, one_object(out), error


def until(home: Path, name: str, test: Callable[[RunRecord], bool], seconds: float = 90) -> RunRecord:
    """Wait until the newest run of a name passes a test, as a second shell sees it."""
    end = time.monotonic() + seconds
    while not (home / "bertloom.sqlite").exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    with Studio(Home(home), watch=False) as studio:
        while True:
            found = [record for record in studio.runs.list() if record.name == name]
            if found and test(found[0]):
                return found[0]
            assert time.monotonic() < end, found
            time.sleep(0.05)


def at_step(step: int) -> Callable[[RunRecord], bool]:
    return lambda record: record.status is Status.RUNNING and record.progress.get("step", 0) >= step


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("encoder") / "bert")


@pytest.fixture
def shell(tmp_path: Path, encoder: Path) -> Iterator[Shell]:
    made = Shell(tmp_path, encoder)
    yield made
    for process in made.started:
        if process.poll() is None:
            process.kill()
        process.communicate()
    if (made.home / "bertloom.sqlite").exists():
        with Studio(Home(made.home), watch=False) as studio:
            for record in studio.runs.list(status="active"):
                if record.pid and psutil.pid_exists(record.pid):
                    os.kill(record.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, encoder: Path) -> tuple[Shell, dict[str, Any], Path]:
    """A run of hostile labels, done while every request to a network is noted."""
    folder = tmp_path_factory.mktemp("finished")
    made = Shell(folder, encoder)
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text(NO_NETWORK)
    asked = folder / "network.txt"
    made.rows(f"{HOSTILE.replace('/', '_')}\n'.csv", ("good", HOSTILE))
    plan = made.plan(data={"source": f"{HOSTILE.replace('/', '_')}\n'.csv"})
    done = made.call("run", plan, "--json", PYTHONPATH=str(folder / "site"), BERTLOOM_TEST_NETWORK=str(asked))
    assert done.returncode == 0, done.stderr + done.stdout
    value = one_object(done.stdout)
    assert set(value) == {"id", "status", "metrics"}
    assert value["status"] == "finished"
    assert 0 <= value["metrics"]["test/accuracy"] <= 1
    return made, value, asked


def test_no_request_at_all_when_no_hub_source_is_named(finished: tuple[Shell, dict[str, Any], Path]) -> None:
    shell, value, asked = finished
    environment = {"PYTHONPATH": str(shell.folder / "site"), "BERTLOOM_TEST_NETWORK": str(asked)}
    predicted = shell.call("predict", value["id"], "--text", "a film", "--json", **environment)
    assert predicted.returncode == 0, predicted.stderr
    lines = asked.read_text().splitlines()
    assert all(line.endswith("started") for line in lines), lines
    assert len({line.split()[0] for line in lines}) >= 4  # two commands, a worker and a helper were listened to
    asked.write_text("")
    done = shell.call("data", "check", "hub:someone/nothing", "--model", str(shell.encoder), "--json", **environment)
    assert done.returncode == 2
    assert one_object(done.stdout)["error"] == "HubError"
    assert "getaddrinfo" in asked.read_text()  # the ear is good


def test_texts_and_labels_come_back_as_they_are(finished: tuple[Shell, dict[str, Any], Path]) -> None:
    shell, value, _ = finished
    (shell.folder / "texts.txt").write_text(
        f"a good film\n\n{HOSTILE}\n\x1b[31mred\x1b]0;title\x07\n", encoding="utf-8"
    )
    done = shell.call("predict", value["id"], "--file", "texts.txt", "--json")
    assert done.returncode == 0, done.stderr
    predictions = one_object(done.stdout)["predictions"]
    assert [item["text"] for item in predictions] == ["a good film", HOSTILE, "\x1b[31mred\x1b]0;title\x07"]
    assert all(set(item["scores"]) == {"good", HOSTILE} for item in predictions)
    target = shell.folder / "exported"
    exported = shell.call("export", value["id"], str(target), "--json")
    assert exported.returncode == 0, exported.stderr
    assert one_object(exported.stdout)["folder"] == str(target)
    again = shell.call("predict", str(target), "--file", "texts.txt")  # for people, from the folder
    assert again.returncode == 0, again.stderr
    assert "\x1b" not in again.stdout
    assert "\\x1b[31mred" in again.stdout
    assert HOSTILE in again.stdout


def test_a_folder_that_is_not_empty_is_no_export_target(finished: tuple[Shell, dict[str, Any], Path]) -> None:
    shell, value, _ = finished
    target = shell.folder / "mine"
    target.mkdir()
    (target / "thesis.txt").write_text("years of work")
    for more in ([], ["--overwrite"]):
        done = shell.call("export", value["id"], str(target), "--json", *more)
        assert done.returncode == 1
        assert one_object(done.stdout)["error"] == "ExportError"
    assert [file.name for file in target.iterdir()] == ["thesis.txt"]


def test_bad_data_a_diverging_run_and_a_bad_model_are_one_object_each(shell: Shell) -> None:
    shell.rows("gate.csv", ("good", "unknown <i>label</i>"), 6)
    shell.plan("data.yaml", data={"gate_source": "gate.csv"})
    pickled = shell.folder / "pickled"
    pickled.mkdir()
    for file in shell.encoder.iterdir():
        if file.suffix != ".safetensors":
            (pickled / file.name).write_bytes(file.read_bytes())
    trap = shell.folder / "trap"
    (pickled / "pytorch_model.bin").write_bytes(f"cos\nsystem\n(S'touch {trap}'\ntR.".encode())
    shell.plan("model.yaml", model={"source": str(pickled)})
    shell.plan("diverges.yaml", steps=200, stage={"lr": 10.0, "clip_norm": None, "guards": {"explode_factor": 1.5}})
    expected = {
        "data.yaml": ("DataError", "unknown <i>label</i>"),
        "model.yaml": ("ModelError", "pickle"),
        "diverges.yaml": ("TrainingDiverged", "loss"),
    }
    processes = {plan: shell.start("run", plan, "--json", "--now") for plan in expected}
    for plan, (kind, said) in expected.items():
        code, value, error = ended(processes[plan])
        assert (code, value["status"]) == (1, "failed"), value
        assert value["error"]["error"] == kind
        assert said in value["error"]["message"]
        assert value["error"]["advice"] or value["error"]["expected"]
        assert said in " ".join(error.split())
    assert not trap.exists()


def test_ctrl_c_cancels_and_the_run_goes_on_from_a_second_shell(shell: Shell) -> None:
    plan = shell.plan(steps=100_000)
    process = shell.start("run", plan, "--json")
    run = until(shell.home, "plan.yaml", at_step(5)).id
    process.send_signal(signal.SIGINT)
    code, value, _ = ended(process)
    assert (code, value["id"], value["status"]) == (130, run, "cancelled")

    process = shell.start("resume", run, "--json")
    until(shell.home, "plan.yaml", at_step(5))
    asked = shell.call("pause", run, "--json")
    assert (asked.returncode, one_object(asked.stdout)) == (0, {"id": run, "status": "paused"})
    code, value, _ = ended(process)
    assert (code, value["id"], value["status"]) == (1, run, "paused")

    process = shell.start("resume", run[:-1], "--json")
    until(shell.home, "plan.yaml", at_step(5))
    asked = shell.call("cancel", run, "--json")
    assert (asked.returncode, one_object(asked.stdout)) == (0, {"id": run, "status": "cancelled"})
    code, value, _ = ended(process)
    assert (code, value["id"], value["status"]) == (130, run, "cancelled")
    with Studio(Home(shell.home), watch=False) as studio:
        assert studio.runs.get(run).has_checkpoint
        steps = studio.runs.series(run, names=["train/loss"], max_points=0).series["train/loss"]["steps"]
    assert steps == list(range(1, len(steps) + 1))  # nothing was lost or told twice


def test_ctrl_c_twice_leaves_the_run_to_itself(shell: Shell) -> None:
    process = shell.start("run", shell.plan(steps=100_000), "--json")
    record = until(shell.home, "plan.yaml", at_step(5))
    assert record.pid is not None
    worker = psutil.Process(record.pid)
    worker.suspend()  # so that it cannot answer at once
    process.send_signal(signal.SIGINT)
    until(shell.home, "plan.yaml", lambda one: one.status is Status.CANCELLING)
    process.send_signal(signal.SIGINT)
    code, value, error = ended(process, 60)
    assert (code, value["id"], value["status"]) == (130, record.id, "cancelling")
    assert "left to itself" in " ".join(error.split())
    worker.resume()
    record = until(shell.home, "plan.yaml", lambda one: one.status is Status.CANCELLED)
    assert record.has_checkpoint


def test_data_check_answers_by_its_exit_status(shell: Shell) -> None:
    (shell.folder / "empty.csv").write_text("")
    (shell.folder / "sheet.xlsx").write_bytes(b"PK\x03\x04 and so on")
    with (shell.folder / "giant.csv").open("w") as file:
        file.write((shell.folder / shell.rows("rows.csv")).read_text() + "x" * 10_000_000 + ",good\n")
    model = ("--model", str(shell.encoder))
    shell.rows("one.csv", ("good",))
    expected = [
        ("rows.csv", (), 0),
        ("giant.csv", (), 0),
        ("one.csv", (), 1),
        ("rows.csv", ("--label", "klass"), 1),
        ("empty.csv", (), 2),
        ("sheet.xlsx", (), 2),
        ("../nowhere.csv", (), 2),
    ]
    processes = [shell.start("data", "check", file, *model, *more, "--json") for file, more, _ in expected]
    for process, (file, _, status) in zip(processes, expected, strict=True):
        code, value, error = ended(process)
        assert code == status, (file, value, error)
        assert value["ok"] is (status == 0) if status < 2 else value["error"] == "DataError"
        assert "Traceback" not in error


# Every process takes seconds: one name is hostile in all ways that fit together.
@pytest.mark.parametrize("name", ["-dash new\nline quo\"te' ünï–😀 esc\x1b[31m rtl\u202egpj.csv", "x" * 251 + ".csv"])
def test_hostile_file_names_are_read_and_shown_escaped(shell: Shell, name: str) -> None:
    shell.rows("rows.csv")
    (shell.folder / "rows.csv").rename(shell.folder / name)
    done = shell.call("data", "check", "--label", "klass", "--", name)
    assert done.returncode == 1, done.stderr
    assert "There is no column 'klass'" in " ".join(done.stderr.split())
    assert not any(sign in done.stderr for sign in ("\x1b", "\u202e", "new\nline"))


def test_a_hub_that_never_answers_is_given_up_within_seconds(shell: Shell) -> None:
    kept: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:

        def accept() -> None:
            try:
                while True:
                    kept.append(silent.accept()[0])
            except OSError:  # closed
                return

        threading.Thread(target=accept, daemon=True).start()
        hub = {"HF_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}", "HF_HOME": str(shell.folder / "hf")}
        shell.plan("hub.yaml", model={"source": "hub:someone/nothing"})
        data = shell.start("data", "check", "hub:someone/nothing", "--model", str(shell.encoder), "--json", **hub)
        model = shell.start("run", "hub.yaml", "--json", **hub)
        code, value, _ = ended(data)
        assert (code, value["error"]) == (2, "HubError")
        assert "did not answer" in value["message"]
        code, value, _ = ended(model)
        assert (code, value["error"]["error"]) == (1, "HubError")
        assert "did not answer" in value["error"]["message"]
        assert 2 <= len(kept) <= 4  # each was asked once or twice, for five seconds, and no more
        silent.shutdown(socket.SHUT_RDWR)
    for connection in kept:
        connection.close()


def test_a_read_only_home_is_told_and_left_alone(shell: Shell, tmp_path: Path) -> None:
    """As an unprivileged user, for whom permissions hold: root may write everywhere."""
    Home(shell.home).ensure()
    with Studio(Home(shell.home), watch=False):
        pass
    before = sorted((str(file), file.stat().st_mtime_ns) for file in shell.home.rglob("*"))
    for folder in (shell.home, *shell.home.rglob("*")):
        folder.chmod(0o555 if folder.is_dir() else 0o444)
    script = textwrap.dedent(
        """
        import os, sys
        sys.argv = ["bertloom", "runs", "--json"]
        from core.cli import main
        import core.cli.app, core.api  # before the privileges go: the packages may lie in a private folder
        if os.getuid() == 0:
            os.setgroups([]); os.setgid(65534); os.setuid(65534)
        main()
        """
    )
    opened = [parent for parent in (tmp_path, *tmp_path.parents) if parent.stat().st_uid == os.getuid()]
    modes = {parent: parent.stat().st_mode for parent in opened if not parent.stat().st_mode & 0o001}
    try:
        for parent in modes:
            parent.chmod(0o755)
        done = subprocess.run(
            [sys.executable, "-P", "-c", script], env=shell.environment(), capture_output=True, text=True, timeout=120,
            cwd=shell.folder,
        )  # fmt: skip
    finally:
        for parent, mode in modes.items():
            parent.chmod(mode)
        for folder in (shell.home, *shell.home.rglob("*")):
            folder.chmod(0o755 if folder.is_dir() else 0o644)
    value = one_object(done.stdout)
    assert (done.returncode, value["error"]) == (1, "StorageError"), done.stderr
    assert "BERTLOOM_HOME" in value["advice"]
    assert "Permission denied" in value["what"]
    assert before == sorted((str(file), file.stat().st_mtime_ns) for file in shell.home.rglob("*"))


PAIRS = zip("abcdefgh", "bcdefghi", strict=True)
BOMB = "a: &a [x, x]\n" + "".join(f"{two}: &{two} [{', '.join([f'*{one}'] * 9)}]\n" for one, two in PAIRS)


@pytest.mark.parametrize(
    "text", [BOMB, "a: &a [*a]\n", "[" * 5000, "\x00", "name: !!python/object/apply:os.system ['false']\n"]
)
def test_a_hostile_plan_is_refused_at_once(shell: Shell, text: str) -> None:
    (shell.folder / "plan.yaml").write_text(text)
    done = shell.call("run", "plan.yaml", "--json")
    assert done.returncode == 2
    assert one_object(done.stdout)["error"] == "ConfigError"
    assert "Traceback" not in done.stderr


def test_texts_that_cannot_be_read_are_told(shell: Shell) -> None:
    (shell.folder / "deep.jsonl").write_text('{"text": ' + "[" * 100_000)
    (shell.folder / "digits.jsonl").write_text('{"text": ' + "1" * 5000 + "}")
    (shell.folder / "giant.txt").write_text("x" * 10_000_000)
    (shell.folder / "giant.csv").write_text("text\n" + "x" * 10_000_000)
    for file in ("deep.jsonl", "digits.jsonl", "giant.txt", "giant.csv"):
        done = shell.call("predict", str(shell.encoder), "--file", file, "--json")
        assert done.returncode == 1, file
        assert one_object(done.stdout)["error"] == "DataError"
        assert "Traceback" not in done.stderr
        assert len(done.stderr) < 2000
    command = [*BERTLOOM, "predict", "x", "--json", "--text", b"half \xff"]
    done = subprocess.run(command, env=shell.environment(), capture_output=True, text=True)
    assert "not UTF-8" in one_object(done.stdout)["message"]


def test_any_stream_takes_the_json(shell: Shell) -> None:
    shell.rows("rows.csv")
    done = shell.call("data", "check", "ü😀.csv", "--json", PYTHONIOENCODING="ascii")
    assert done.returncode == 2
    assert "ü😀.csv" in one_object(done.stdout)["message"]
