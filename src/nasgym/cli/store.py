"""`nasgym store`: look into a store, and bring evaluations out of it and into it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from nasgym.store import Run, Store, StoredEvaluation

app = typer.Typer(no_args_is_help=True, help="Look into a store; bring evaluations out of it and into it.")

WIDTH = 200
"""Columns of a table that goes into a file or a pipe."""

StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store", envvar="NASGYM_STORE", metavar="URL", help="File or URL of the store; else runs/store.sqlite."
    ),
]
TaskOption = Annotated[str | None, typer.Option(help="Only the task of this name.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.command("ls")
def list_contents(
    store: StoreOption = None,
    task: TaskOption = None,
    limit: Annotated[int, typer.Option(min=0, help="At most so many runs, and so many evaluations.")] = 20,
    failed: Annotated[bool, typer.Option("--failed", help="Only networks that failed.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List runs and evaluations, the newest first.

    Example: `nasgym store ls --task digits --failed`
    """
    from nasgym.store import EvaluationQuery, Order

    query = EvaluationQuery(task=task, failed=True if failed else None, order=Order.NEWEST, limit=limit)
    with _opened(store) as opened:
        runs = list(opened.runs(limit=limit))
        evaluations = list(opened.evaluations(query))
    if as_json:
        shown = {"runs": [_run_summary(run) for run in runs], "evaluations": [row.record() for row in evaluations]}
        _print_json(shown)
        return
    _print_table("Runs", [_run_summary(run) for run in runs])
    _print_table("Evaluations", [_summary(row) for row in evaluations])


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="ID", help="Id of an evaluation or a run, or how it begins.")],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show all that is known of one evaluation, epoch by epoch, or of one run, step by step.

    Example: `nasgym store show 32fbac53`
    """
    from nasgym.store import StoredEvaluation
    from nasgym.store.exchange import json_text, run_record

    with _opened(store) as opened:
        found = _find(opened, name)
        if isinstance(found, StoredEvaluation):
            record, rows = found.record() | {"nsc": found.nsc}, _epochs(found)
        else:
            record = run_record(opened, found)
            rows = record["steps"]
    if as_json:
        _print_json(record)
        return
    for field, value in record.items():
        if not _is_series(field):
            typer.echo(f"{field}: {json_text(value) if isinstance(value, dict | list) else value}")
    _print_table("Epochs" if isinstance(found, StoredEvaluation) else "Steps", rows)


@app.command()
def best(
    store: StoreOption = None,
    task: TaskOption = None,
    n: Annotated[int, typer.Option("-n", min=1, help="How many.")] = 10,
    as_json: JsonOption = False,
) -> None:
    """List the networks of highest validation accuracy.

    Accuracies compare within one task and one fidelity: see the columns, and name the task.

    Example: `nasgym store best --task digits -n 5`
    """
    with _opened(store) as opened:
        rows = opened.best(n, task=task)
    if as_json:
        _print_json([row.record() for row in rows])
        return
    _print_table("Best", [_summary(row) for row in rows])


@app.command()
def export(
    store: StoreOption = None,
    form: Annotated[Literal["csv", "json"], typer.Option("--format", help="CSV, or JSON with the runs.")] = "csv",
    out: Annotated[Path | None, typer.Option(help="File to write; else the screen.")] = None,
    task: TaskOption = None,
) -> None:
    """Write every evaluation as CSV or JSON.

    Example: `nasgym store export --format json --out evaluations.json`
    """
    import sys

    from nasgym.store import EvaluationQuery
    from nasgym.store.exchange import export_store

    with _opened(store) as opened:
        count = export_store(opened, sys.stdout if out is None else out, form=form, query=EvaluationQuery(task=task))
    if out is not None:
        typer.echo(f"{count} evaluations written to {out}.")


@app.command("import")
def import_file(
    source: Annotated[str, typer.Argument(metavar="FILE", help="Another store (file or URL), or NASGym's CSV.")],
    store: StoreOption = None,
    label: Annotated[
        str | None,
        typer.Option(help="For a CSV: names how its networks were trained; files of one label answer each other."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Import another store, or the CSV of NASGym as the answers of a foreign estimator.

    Importing again adds nothing. Of two outcomes for the same request the first stays.

    Example: `nasgym store import db_experiments.csv --label omniglot-12-epochs`
    """
    from dataclasses import asdict

    from nasgym.store.exchange import import_into

    with _opened(store, create=True) as opened:
        report = import_into(opened, source, label=label)
    if as_json:
        _print_json(asdict(report))
        return
    added = report.evaluations
    typer.echo(
        f"{added.new} new, {added.duplicate} known, {added.conflicting} contradicting what is known (left out), "
        f"{report.merged} merged with the same network in the file, {len(report.skipped)} not readable; "
        f"{report.runs} new runs."
    )
    for reason in report.skipped:
        typer.echo(f"  {reason}", err=True)


def _opened(location: str | None, *, create: bool = False) -> "Store":
    from nasgym.store import DEFAULT_STORE, open_store

    return open_store(location or DEFAULT_STORE, create=create)


def _find(store: "Store", name: str) -> "Run | StoredEvaluation":
    """Return the evaluation or the run whose id starts with `name`; an error speaks of evaluations."""
    runs = list(store.runs(id_prefix=name, limit=2))
    return runs[0] if len(runs) == 1 and not store.evaluations_with_id(name) else store.evaluation(name)


def _run_summary(run: "Run") -> dict[str, Any]:
    return {
        "id": run.id,
        "command": run.command,
        "status": run.status.value,
        "seed": run.seed,
        "started_at": run.started_at.isoformat(timespec="seconds"),
        "finished_at": None if run.finished_at is None else run.finished_at.isoformat(timespec="seconds"),
    }


def _summary(row: "StoredEvaluation") -> dict[str, Any]:
    from nasgym.evaluation import Failed

    outcome = row.outcome
    return {
        "id": row.id[:8],
        "task": row.task,
        "architecture": row.architecture,
        "accuracy": outcome.kind.value if isinstance(outcome, Failed) else f"{outcome.accuracy:.4f}",
        "epochs": row.key.epochs,
        "pixels": row.key.resolution,
        "seed": row.key.seed,
        "parameters": f"{outcome.metrics.parameters:,}",
    }


def _epochs(row: "StoredEvaluation") -> list[dict[str, Any]]:
    metrics = row.outcome.metrics
    series = {
        "training loss": metrics.train_losses,
        "validation loss": metrics.validation_losses,
        "validation accuracy": metrics.validation_accuracies,
    }
    count = max(map(len, series.values()))
    return [
        {"epoch": epoch + 1}
        | {name: f"{values[epoch]:.4f}" if epoch < len(values) else "" for name, values in series.items()}
        for epoch in range(count)
    ]


def _is_series(field: str) -> bool:
    return field in ("train_losses", "validation_losses", "validation_accuracies", "steps")


def _print_json(value: Any) -> None:
    from nasgym.store.exchange import json_text

    typer.echo(json_text(value))


def _print_table(title: str, rows: list[dict[str, Any]]) -> None:
    import sys

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not rows:
        typer.echo(f"{title}: none.")
        return
    table = Table(title=title, title_justify="left")
    for name in rows[0]:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if value is None else str(value)) for value in row.values()))
    Console(width=None if sys.stdout.isatty() else WIDTH).print(table)
