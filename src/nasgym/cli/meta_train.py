"""`nasgym meta-train`: an agent learns to search, on tables or on images."""

import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from nasgym.cli.logs import LogFile, Verbose
from nasgym.cli.places import CachePlace, StorePlace

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
    workers: Annotated[int | None, typer.Option(help="Processes that train networks; one per core by default.")] = None,
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
    from nasgym.experiments.config import merged, read_config
    from nasgym.experiments.meta.config import make_meta_config
    from nasgym.experiments.meta.surroundings import MetaSurroundings
    from nasgym.experiments.meta.training import meta_train
    from nasgym.experiments.results import as_text

    given = {
        "agent": _given(name=agent, init=init),
        "run": _given(steps=steps, seed=seed, workers=workers, device=device, store=store, out=out),
    }
    settings = make_meta_config(merged(read_config(config), given), source=str(config))
    with MetaProgress() as progress, _stopping(progress.stop) as stopping:
        around = MetaSurroundings(
            command=shlex.join(["nasgym", *sys.argv[1:]]),
            listener=progress.hear,
            stopping=stopping,
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


@contextmanager
def _stopping(say: Callable[[], None]) -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C, or request to terminate, wait until a checkpoint can be written; the second does not."""
    asked = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            signal.default_int_handler(number, frame)
        asked = True
        say()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, action in before.items():
            signal.signal(number, action)
