"""`nasgym experiment`: the stages of an experiment, one after the other, and a report of all of them."""

import time
from pathlib import Path
from typing import Annotated

import typer

from nasgym.cli.logs import LogFile, Verbose
from nasgym.cli.places import CachePlace, ExecutorName, RayAddress, StorePlace, Workers, given_workers, typed_command

EPILOG = """
**Examples**

`nasgym experiment configs/paper/small/experiment-1.toml --data images/` - all stages; the same command goes on after
Ctrl-C or a crash

`nasgym experiment my.toml --only walk-omniglot` - one stage; another shell may do another one meanwhile

`nasgym experiment my.toml --seed 1` - the same with another seed, in a folder of its own: runs/seed-1/NAME

`nasgym experiment configs/paper/experiment-1.toml --data records/ --executor ray --workers 32` - networks are trained
on Ray
"""


def experiment(
    config: Annotated[Path, typer.Argument(metavar="FILE", help="TOML file: tasks, agents, stages.")],
    data: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where the tasks' sources are; else as the file has them.")
    ] = None,
    only: Annotated[list[str] | None, typer.Option(metavar="STAGE", help="Do this stage; repeat for more.")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of every stage that has none of its own; else as the file has it.")
    ] = None,
    workers: Workers = None,
    executor: ExecutorName = None,
    ray_address: RayAddress = None,
    device: Annotated[str, typer.Option(help="That agents compute on: cpu or cuda.")] = "cpu",
    store: StorePlace = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the results; runs/NAME, or runs/seed-N/NAME.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print report.json on standard output.")] = False,
    verbose: Verbose = 0,
    log_file: LogFile = None,
    cache: CachePlace = None,
) -> None:
    """Do the stages of an experiment, and report on all that there is.

    Each stage is a run of the store with a folder of its own. Stages that are finished are skipped, and one that was
    stopped or killed goes on. Writes report.html, report.md, report.json and figures.
    """
    del verbose, log_file
    started = time.monotonic()
    from nasgym.cli.experiment_progress import ExperimentProgress
    from nasgym.cli.stopping import stopping
    from nasgym.experiments.meta.config import make_workers
    from nasgym.experiments.stages.config import read_experiment
    from nasgym.experiments.stages.experiment import Experiment
    from nasgym.experiments.stages.home import ExperimentSurroundings, results_folder
    from nasgym.experiments.stages.records import write_report
    from nasgym.experiments.stages.running import run_experiment

    settings = read_experiment(config, data, seed)
    with ExperimentProgress() as progress, stopping(progress.stop) as asked:
        around = ExperimentSurroundings(
            command=typed_command(),
            out=out or results_folder(settings.name, seed),
            store=store,
            workers=make_workers(given_workers(workers, executor, ray_address)),
            device=device,
            listener=progress.hear,
            stopping=asked,
            decoding=progress.decoding,
            cache_dir=cache,
            started=started,
        )
        experiment = Experiment(settings, around)
        experiment.check(only or ())
        try:
            run_experiment(experiment, only or ())
        finally:
            write_report(experiment)
    progress.conclude(around.out)
    if as_json:
        typer.echo((around.out / "report.json").read_text(encoding="utf-8"), nl=False)
