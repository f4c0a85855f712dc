"""`nasgym table`: exact tables of networks, from stores and from the files of public benchmarks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nasgym.cli.store import JsonOption

if TYPE_CHECKING:
    from nasgym.evaluation.tables import Table

app = typer.Typer(no_args_is_help=True, help="Exact tables of networks, from stores and public benchmarks.")

OutOption = Annotated[Path, typer.Option("--out", metavar="FILE", help="The table to write.")]


@app.command()
def build(
    store: Annotated[str, typer.Argument(metavar="STORE", help="File or URL of a store.")],
    out: OutOption,
    name: Annotated[str, typer.Option(help="Name of the table; that of the file unless given.")] = "",
    task: Annotated[list[str] | None, typer.Option(help="Only the task of this name; may be repeated.")] = None,
    estimator: Annotated[str, typer.Option(help="Only this estimator: how its fingerprint begins.")] = "",
    epochs: Annotated[int | None, typer.Option(min=1, help="Only evaluations of so many epochs.")] = None,
    resolution: Annotated[int | None, typer.Option(min=1, help="Only images of this side, pixels.")] = None,
    space: Annotated[str, typer.Option(help="Search space of the networks: a name, or a YAML file.")] = "",
    profile: Annotated[str | None, typer.Option(help="How the networks were built; told by the estimator.")] = None,
    licence: Annotated[str, typer.Option(help="Under which the table may be used.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Write evaluations of a store as a table.

    Example: `nasgym table build runs/store.sqlite --out digits.table --task digits --space chain`
    """
    from nasgym.store import open_store
    from nasgym.store.tables import TableSelection, build_table

    selection = TableSelection(tuple(task or ()), estimator, epochs, resolution)
    with open_store(store, create=False) as opened:
        table = build_table(
            opened,
            out,
            name=name or out.stem,
            selection=selection,
            space=space,
            network_profile=profile,
            licence=licence,
        )
    _show(table, as_json=as_json)


@app.command("import")
def import_benchmark(
    benchmark: Annotated[str, typer.Argument(help="nas-bench-201, nas-bench-macro or nas-bench-mr.")],
    source: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or JSON; plain, .gz or .xz.")],
    out: OutOption,
    as_json: JsonOption = False,
) -> None:
    """Write the table of a public benchmark from its file.

    Example: `nasgym table import nas-bench-201 nasbench201.csv.xz --out nas-bench-201.table`
    """
    from nasgym.evaluation.tables.published import import_table

    _show(import_table(benchmark, source, out), as_json=as_json)


@app.command()
def fit(
    table: Annotated[Path, typer.Argument(metavar="FILE", help="A table.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The surrogate to write.")],
    seed: Annotated[int, typer.Option(min=0, help="Of folds and trees.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Fit a surrogate to a table: a model that predicts any network of its space, with noise.

    Example: `nasgym table fit nas-bench-mr.table --out nas-bench-mr.surrogate`
    """
    import json
    from dataclasses import asdict

    from nasgym.evaluation.surrogates.fitting import fit_surrogate
    from nasgym.evaluation.tables import Table

    surrogate = fit_surrogate(Table(table), out, seed=seed)
    fits = {task.name: asdict(fit) for task, fit in zip(surrogate.description.tasks, surrogate.fits, strict=True)}
    if as_json:
        typer.echo(json.dumps(fits, indent=1, ensure_ascii=False))
        return
    typer.echo(f"{out}, by 5-fold cross-validation:")
    for name, fit in fits.items():
        origin = "repeats" if fit["from_repeats"] else "residuals"
        typer.echo(
            f"task {name}: Spearman {fit['spearman']:.3f}, Kendall {fit['kendall']:.3f}, error {fit['error']:.4f}, "
            f"noise {fit['noise']:.4f} (from {origin})"
        )


@app.command()
def info(
    table: Annotated[Path, typer.Argument(metavar="FILE", help="A table.")],
    as_json: JsonOption = False,
) -> None:
    """Say what a table holds, and check that it is whole.

    Example: `nasgym table info nas-bench-201.table`
    """
    from nasgym.evaluation.tables import Table

    _show(Table(table), as_json=as_json)


def _show(table: "Table", *, as_json: bool) -> None:
    import json

    summary = _summary(table)
    if as_json:
        typer.echo(json.dumps(summary, indent=1, ensure_ascii=False))
        return
    for field, value in summary.items():
        if field != "tasks" and value != "":
            typer.echo(f"{field}: {value}")
    for task in summary["tasks"]:
        best = "none" if task["best"] is None else f"{task['best']:.5f} by {task['best_architecture']}"
        typer.echo(
            f"task {task['name']}: {task['evaluations']} evaluations of {task['networks']} networks, {task['failed']} "
            f"failed; {task['fidelity']}; seeds {task['seeds']}; {task['metric']}; best {best}"
        )


def _summary(table: "Table") -> dict[str, Any]:
    description = table.description
    space = description.space
    return {
        "name": description.name,
        "file": str(table.path),
        "bytes": table.path.stat().st_size,
        "networks": len(table),
        "space": space if "\n" not in space else "from a file",
        "skeleton": description.skeleton.token,
        "profile": description.profile,
        "estimator": description.estimator,
        "source": description.source,
        "licence": description.licence,
        "sha256": table.digest,
        "tasks": [_task_summary(table, number) for number in range(len(table.tasks))],
    }


def _task_summary(table: "Table", number: int) -> dict[str, Any]:
    import numpy as np

    from nasgym.evaluation.tables.table import COMPLETED, MISSING

    task = table.tasks[number]
    states, accuracies = table.states[number], table.accuracies[number]
    found = np.where(states == COMPLETED, accuracies, -1.0).max(axis=0)
    best = int(found.argmax()) if found.max() >= 0 else None
    return {
        "name": task.name,
        "fingerprint": task.fingerprint,
        "input_shape": list(task.input_shape),
        "classes": task.n_classes,
        "fidelity": str(task.fidelity),
        "seeds": list(task.seeds),
        "metric": task.metric,
        "test": task.test,
        "networks": int((states != MISSING).any(axis=0).sum()),
        "evaluations": int((states != MISSING).sum()),
        "failed": int(((states != MISSING) & (states != COMPLETED)).sum()),
        "best": None if best is None else float(found[best]),
        "best_architecture": None if best is None else str(table.architecture(best)),
    }
