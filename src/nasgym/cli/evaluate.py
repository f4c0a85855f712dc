"""`nasgym evaluate`: train one network on a data set, once or several times."""

import json
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nasgym.cli.logs import LogFile, Verbose
from nasgym.cli.places import CachePlace, StorePlace

if TYPE_CHECKING:
    from rich.table import Table

    from nasgym.store import StoredEvaluation


def evaluate(
    data: Annotated[str, typer.Argument(help="Folder, archive or file of images, or a name such as digits.")],
    architecture: Annotated[
        str,
        typer.Option("--architecture", "-a", help="Network, such as 'conv3 maxpool2 conv3'; or vgg19-like."),
    ],
    profile: Annotated[
        str | None, typer.Option(help="How it is built and trained: default, paper or paper-intensive.")
    ] = None,
    estimator: Annotated[
        str, typer.Option(help="What tells how good it is: training, or a plug-in of `nasgym plugins`.")
    ] = "training",
    repeats: Annotated[int, typer.Option(min=1, help="Train it so many times, with seeds of their own.")] = 1,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs; the profile's own number by default.")] = None,
    size: Annotated[int, typer.Option(help="Side of the square images, pixels.")] = 32,
    labels: Annotated[Path | None, typer.Option(help="CSV file: file, label and optionally split, group.")] = None,
    group_pattern: Annotated[
        str | None, typer.Option(help="What images of a group share in their paths, as {group}_*.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the first training.")] = 0,
    workers: Annotated[int | None, typer.Option(min=0, help="Training processes; one per core by default.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    store: StorePlace = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
    verbose: Verbose = 0,
    log_file: LogFile = None,
    cache: CachePlace = None,
) -> None:
    """Train one network on a data set and tell its validation accuracy.

    Outcomes are kept in the store; what it holds already is not trained again.

    Example: `nasgym evaluate photos/ -a "conv3 conv3 maxpool2 conv3" --repeats 5`
    """
    del verbose, log_file
    from dataclasses import replace

    from rich.console import Console
    from rich.status import Status

    from nasgym.evaluation.loading import load_estimator
    from nasgym.executors import usable_cores
    from nasgym.experiments.single import evaluate_repeatedly, network_to_evaluate
    from nasgym.store import DEFAULT_STORE, open_store
    from nasgym.tasks import Fidelity, make_task

    console = Console(stderr=True)
    network = network_to_evaluate(architecture, profile)
    chosen = load_estimator(estimator, network.profile, device=device, threads=1)
    with Status("Reading images", console=console) as status:
        task = make_task(
            data,
            size=size,
            labels=labels,
            group_pattern=group_pattern,
            cache_dir=cache,
            fidelity=Fidelity(epochs or network.profile.search.epochs, size),
        )
        status.update(f"Training {network.architecture}")
        with open_store(store or DEFAULT_STORE) as opened:
            rows = evaluate_repeatedly(
                network,
                replace(task, evaluation_seed=seed),
                opened,
                repeats,
                workers=usable_cores() if workers is None else workers,
                estimator=chosen,
                listener=lambda repeat, _: status.update(f"Training {network.architecture}: {repeat + 1} of {repeats}"),
            )
    if as_json:
        typer.echo(json.dumps([row.record() for row in rows], indent=2, ensure_ascii=False))
        return
    output = Console()
    output.print(_table(rows))
    accuracies = [row.accuracy for row in rows if row.accuracy is not None]
    if len(accuracies) > 1:
        mean, deviation = statistics.mean(accuracies), statistics.stdev(accuracies)
        output.print(f"mean ± 2 sd of {len(accuracies)}: {mean:.2%} ± {2 * deviation:.2%}")


def _table(rows: "list[StoredEvaluation]") -> "Table":
    from rich.table import Table

    from nasgym.evaluation import Failed
    from nasgym.report.formatting import duration, percent, quantity

    first = rows[0]
    table = Table(title=f"{first.architecture} on {first.task}, {first.key.epochs} epochs", title_justify="left")
    for name in ("seed", "validation accuracy", "loss", "parameters", "FLOPs", "time"):
        table.add_column(name, justify="right")
    for row in rows:
        metrics = row.outcome.metrics
        losses = metrics.validation_losses
        table.add_row(
            str(row.key.seed),
            row.outcome.message if isinstance(row.outcome, Failed) else percent(row.accuracy, 2),
            f"{losses[-1]:.3f}" if losses else "",
            quantity(metrics.parameters),
            quantity(metrics.flops),
            duration(metrics.seconds),
        )
    return table
