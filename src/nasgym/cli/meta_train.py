"""`nasgym meta-train`: an agent learns to search, on tables or on images."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from nasgym.cli.logs import LogFile, Verbose
from nasgym.cli.places import CachePlace, ExecutorName, RayAddress, StorePlace, Workers, given_workers, typed_command

EPILOG = """
**Examples**

`nasgym meta-train configs/meta/nasbench201.toml` - learn on a table; the same command goes on after Ctrl-C or a crash

`nasgym meta-train configs/meta/digits-live.toml --workers 2` - learn on images, every network really trained

`nasgym meta-train my.toml --seed 1 --out runs/my-1` - the same with another seed

`nasgym meta-train my.toml --init runs/first/policy.safetensors` - begin with what another run has learned
"""


def meta_train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="TOML file: agent, environment, tasks, run.")],
    init: Annotated[Path | None, typer.Option(metavar="POLICY", help="Begin with the weights of this policy.")] = None,
    agent: Annotated[str | None, typer.Option(help="Another agent than the file's, such as rl2, paper or dqn.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of all environments together.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything; 0 by default.")] = None,
    workers: Workers = None,
    executor: ExecutorName = None,
    ray_address: RayAddress = None,
    device: Annotated[str | None, typer.Option(help="That the agent computes on: cpu (default) or cuda.")] = None,
    store: StorePlace = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the results; runs/CONFIG by default.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print result.json on standard output.")] = False,
    verbose: Verbose = 0,
    log_file: LogFile = None,
    cache: CachePlace = None,
) -> None:
    """Train an agent to search, on the training tasks of a configuration file.

    Writes policy.safetensors (the best on the validation tasks, for `nasgym meta-test`), last.safetensors, result.json
    and report.html into the folder of the results. Stopped or killed, the same command goes on.
    """
    del verbose, log_file
    started = time.monotonic()
    from nasgym.cli.meta_progress import MetaProgress
    from nasgym.cli.stopping import stopping
    from nasgym.experiments.config import merged, read_config
    from nasgym.experiments.meta.config import make_meta_config
    from nasgym.experiments.meta.surroundings import MetaSurroundings
    from nasgym.experiments.meta.training import meta_train
    from nasgym.experiments.results import as_text

    given = {
        "agent": _given(name=agent, init=init),
        "run": _given(steps=steps, seed=seed, device=device, store=store, out=out)
        | given_workers(workers, executor, ray_address),
    }
    settings = make_meta_config(merged(read_config(config), given), source=str(config))
    with MetaProgress() as progress, stopping(progress.stop) as asked:
        around = MetaSurroundings(
            command=typed_command(),
            listener=progress.hear,
            stopping=asked,
            decoding=progress.decoding,
            cache_dir=cache,
            started=started,
        )
        result = meta_train(settings, config.stem, around)
    progress.conclude(result)
    if as_json:
        typer.echo(as_text(result.as_json()), nl=False)


def _given(**settings: Any) -> dict[str, Any]:
    """Return the settings that were given."""
    return {name: value for name, value in settings.items() if value is not None}
