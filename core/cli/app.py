"""The commands that concern the whole: the dashboard, the samples and the doctor."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

import core
from core.cli import claims, compare, data, decisions, distil, findings, graph, model, plan, predict, runs, search
from core.cli import report as run_report
from core.cli.output import FAILED, USAGE, JsonOption, answer, errors, fail, note
from core.errors import ConfigError

__all__ = ["app", "run_app"]

app = typer.Typer(
    name="bertloom",
    help="A local-first workbench for BERT-family encoders. Without a command: opens the dashboard.",
    no_args_is_help=False,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(plan.app, name="plan")
app.add_typer(data.app, name="data")
app.add_typer(graph.app, name="graph")
app.add_typer(search.app, name="search")
app.add_typer(model.app, name="model")
app.add_typer(claims.app, name="claim")
app.add_typer(compare.app, name="compare")
runs.register(app)
decisions.register(app)
predict.register(app)
findings.register(app)
run_report.register(app)
app.add_typer(distil.app, name="distil")
distil.register(app)

_DEFAULT_PORT = 8501
AddressOption = Annotated[
    str | None,
    typer.Option(help="Address to bind. Beyond loopback only with sign-in configured.", show_default="127.0.0.1"),
]
PortOption = Annotated[
    int | None, typer.Option(min=1, max=65535, help="Port.", show_default="8501, or the next free one")
]


@app.callback(invoke_without_command=True)
def _main(
    context: typer.Context,
    address: AddressOption = None,
    port: PortOption = None,
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    if version:
        typer.echo(f"bertloom {core.__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        _open_dashboard(address, port)


@app.command()
def ui(address: AddressOption = None, port: PortOption = None) -> None:
    """Open the dashboard."""
    _open_dashboard(address, port)


def _open_dashboard(address: str | None, port: int | None) -> None:
    entry = Path(core.__file__).resolve().parent.parent / "app.py"
    if not entry.is_file():
        fail(
            ConfigError("The dashboard's app.py is missing.", where=str(entry), advice="Install it again."),
            as_json=False,
            status=USAGE,
        )
    host = address or "127.0.0.1"
    if port is None:
        port = _free_port(host, _DEFAULT_PORT)
        if port != _DEFAULT_PORT:
            note(f"Port {_DEFAULT_PORT} is taken; using {port}.")
    elif not _is_free(host, port):
        fail(
            ConfigError(f"Port {port} is taken.", where=f"{host}:{port}", advice="Choose another with --port."),
            as_json=False,
            status=USAGE,
        )
    arguments = ["-m", "streamlit", "run", str(entry), "--server.address", host, "--server.port", str(port)]
    os.chdir(entry.parent)  # Streamlit reads .streamlit/config.toml from the current folder
    os.execv(sys.executable, [sys.executable, *arguments])


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _free_port(host: str, first: int) -> int:
    return next((port for port in range(first, first + 50) if _is_free(host, port)), first)


@app.command()
def samples(as_json: bool = JsonOption) -> None:
    """List the bundled samples."""
    from core.data.samples import samples as list_samples

    with errors(as_json):
        found = list_samples()
        table = Table(
            "name", "language", "tasks", "rows", "about", "there", box=None, header_style="bold", pad_edge=False
        )
        for item in found:
            rows = f"{item.rows:,}" if item.rows else "–"
            table.add_row(
                item.name,
                item.language,
                ", ".join(item.tasks) or "corpus",
                rows,
                item.about,
                "yes" if item.available else "no",
            )
        answer({"samples": [_sample_json(item) for item in found]}, as_json=as_json, text=table)
        if not all(item.available for item in found):
            note("Some samples are missing: `make samples` fetches them.")


def _sample_json(item: object) -> dict[str, object]:
    keys = ("name", "title", "language", "tasks", "rows", "licence", "about", "available")
    return {key: list(value) if isinstance(value := getattr(item, key), tuple) else value for key in keys}


@app.command()
def doctor(as_json: bool = JsonOption) -> None:
    """Check the environment and say what to do about each finding."""
    from core.doctor import examine

    checks = examine()
    ok = all(check.ok for check in checks)
    table = Table("", "check", "found", "what to do", box=None, header_style="bold", pad_edge=False)
    for check in checks:
        mark = "[green]ok[/]" if check.ok else "[red]no[/]"
        table.add_row(mark, *(escape(text) for text in (check.name, check.found, check.advice)))
    answer({"ok": ok, "checks": [check.as_dict() for check in checks]}, as_json=as_json, text=table)
    if not ok:
        raise typer.Exit(FAILED)


def run_app() -> None:
    """Run the command line with the exit statuses that the documentation promises."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader of a pipe went away, e.g. `bertloom metrics ID | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
