"""`nasgym search`: from a folder of images to a small network."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from nasgym.cli.logs import LogFile, Verbose
from nasgym.cli.places import CachePlace, StorePlace, typed_command

EPILOG = """
**Examples**

`nasgym search digits` - a first look, on images that come with scikit-learn

`nasgym search photos/ --budget 15m` - the best small network within a quarter of an hour

`nasgym search signs.zip --group-pattern '{group}_*'` - frames of one track stay on one side of the split

`nasgym search photos/ --max-parameters 50000 --out runs/tiny` - a network for a small device

`nasgym search photos/ --ray-address auto --workers 64` - train networks on a Ray cluster

`nasgym search photos/ --out runs/tiny --resume` - go on after Ctrl-C, a crash or a power cut
"""


def search(
    data: Annotated[
        str | None, typer.Argument(help="Folder, archive or file of images, or a name such as digits.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file of settings; options go on top.")] = None,
    strategy: Annotated[str | None, typer.Option(help="warm-evolution (default), evolution or random.")] = None,
    evaluations: Annotated[int | None, typer.Option(help="Networks to train; 30 unless --budget is given.")] = None,
    budget: Annotated[str | None, typer.Option(help="Time for everything, such as 90s, 15m or 1h30m.")] = None,
    space: Annotated[str | None, typer.Option(help="Name or YAML file of the search space; chain by default.")] = None,
    max_layers: Annotated[int | None, typer.Option(help="Largest number of layers.")] = None,
    profile: Annotated[str | None, typer.Option(help="How a network is built and trained: default or paper.")] = None,
    estimator: Annotated[
        str | None, typer.Option(help="What tells how good a network is: training (default) or a plug-in.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of each evaluation.")] = None,
    final_epochs: Annotated[int | None, typer.Option(help="Epochs of the final training.")] = None,
    finalists: Annotated[int | None, typer.Option(help="Networks that get the final training.")] = None,
    size: Annotated[int | None, typer.Option(help="Side of the square images, pixels; 32 by default.")] = None,
    labels: Annotated[Path | None, typer.Option(help="CSV file: file, label and optionally split, group.")] = None,
    group_pattern: Annotated[
        str | None, typer.Option(help="What images of a group share in their paths, as {group}_*.")
    ] = None,
    classes: Annotated[list[str] | None, typer.Option("--class", help="Only this class; repeat for more.")] = None,
    max_per_class: Annotated[int | None, typer.Option(help="At most so many images of a class.")] = None,
    strict: Annotated[bool | None, typer.Option("--strict", help="Refuse data with unusable files.")] = None,
    max_parameters: Annotated[int | None, typer.Option(help="Largest number of parameters.")] = None,
    max_flops: Annotated[int | None, typer.Option(help="Most operations per image.")] = None,
    max_memory: Annotated[int | None, typer.Option(help="Most bytes of int8 weights and activations.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the search; 0 by default.")] = None,
    workers: Annotated[int | None, typer.Option(help="Training processes; one per core by default.")] = None,
    executor: Annotated[
        str | None, typer.Option(help="Where the workers are: processes (default) on this machine, or ray.")
    ] = None,
    ray_address: Annotated[
        str | None, typer.Option(help="Ray cluster: auto, HOST:PORT or ray://HOST:PORT; else one is started here.")
    ] = None,
    gpus_per_worker: Annotated[
        float | None, typer.Option(help="GPUs that a worker takes of Ray; 0.25 puts four workers on one.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto (default), cpu, cuda or cuda:N.")] = None,
    store: StorePlace = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the results; runs/NAME by default.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the search in --out, or the newest one.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print result.json on standard output.")] = False,
    verbose: Verbose = 0,
    log_file: LogFile = None,
    cache: CachePlace = None,
) -> None:
    """Search for a small network on your own images, and train the best one.

    Writes result.json, best.pt (weights for `nasgym predict`) and report.html into the folder of the results.
    Ctrl-C stops cleanly; --resume goes on.
    """
    del verbose, log_file
    started = time.monotonic()
    from nasgym.cli.progress import SearchProgress
    from nasgym.experiments.python_api import settle
    from nasgym.experiments.results import as_text
    from nasgym.experiments.search import Surroundings

    given = _settings(
        {
            "strategy": strategy,
            "evaluations": evaluations,
            "budget": budget,
            "space": space,
            "max_layers": max_layers,
            "final_epochs": final_epochs,
            "finalists": finalists,
            "seed": seed,
            "workers": workers,
            "executor": executor or ("ray" if (ray_address, gpus_per_worker) != (None, None) else None),
            "store": store,
            "out": out,
        },
        data={
            "source": data,
            "size": size,
            "labels": labels,
            "group_pattern": group_pattern,
            "classes": classes or None,
            "max_per_class": max_per_class,
            "strict": strict,
        },
        limits={"max_parameters": max_parameters, "max_flops": max_flops, "max_memory": max_memory},
        ray={"address": ray_address, "gpus_per_worker": gpus_per_worker},
        evaluation={"profile": profile, "estimator": estimator, "epochs": epochs, "device": device},
    )
    settled = settle(given, file=config, resume=resume)
    result = settled.known
    if result is None:
        with SearchProgress(settled.config) as progress:
            around = Surroundings(
                command=typed_command(),
                listener=progress.hear,
                decoding=progress.decoding,
                cache_dir=cache,
                started=started,
            )
            finished = settled.search(around)
        progress.conclude(finished)
        result = finished.result
    else:
        typer.echo(f"The search in {result.out} is finished: {result.architecture}", err=True)
    if as_json:
        typer.echo(as_text(result.as_json()), nl=False)


def _settings(top: dict[str, Any], **sections: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that were given, those left out left out."""
    settings = {name: value for name, value in top.items() if value is not None}
    for section, values in sections.items():
        chosen = {name: value for name, value in values.items() if value is not None}
        if chosen:
            settings[section] = chosen
    return settings
