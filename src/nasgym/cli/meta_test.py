"""`nasgym meta-test`: a trained policy searches, its weights frozen."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from nasgym.cli.logs import LogFile, Verbose
from nasgym.cli.places import CachePlace, ExecutorName, RayAddress, StorePlace, Workers, given_workers, typed_command

EPILOG = """
**Examples**

`nasgym meta-test runs/nasbench201/policy.safetensors --tasks imagenet16-120 --baseline random` - on a task of its table

`nasgym meta-test policy.safetensors --tasks cifar10 --yoked imagenet16-120` - does it use what it is shown?

`nasgym meta-test policy.safetensors --tasks photos/ --size 32 --meta-episodes 2` - on your own images, really trained

`nasgym meta-test policy.safetensors --config other.toml` - on the test tasks of another configuration
"""


def meta_test(
    policy: Annotated[Path, typer.Argument(metavar="POLICY", help="File that nasgym meta-train wrote.")],
    tasks: Annotated[
        list[str] | None,
        typer.Option("--tasks", metavar="NAME", help="Task of the table, or images; repeat for more. Else tasks.test."),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file to take environment, tables and tasks from.")] = None,
    table: Annotated[Path | None, typer.Option(help="Table that answers; that of the training by default.")] = None,
    episodes: Annotated[int | None, typer.Option(min=1, help="K, networks in a meta-episode.")] = None,
    meta_episodes: Annotated[int, typer.Option(min=1, help="Meta-episodes on each task.")] = 100,
    greedy: Annotated[bool, typer.Option("--greedy", help="Take the most probable action, draw none.")] = False,
    yoked: Annotated[
        str | None, typer.Option(metavar="NAME", help="Also play while shown the rewards of this task.")
    ] = None,
    baseline: Annotated[list[str] | None, typer.Option(help="Also play a baseline: random.")] = None,
    size: Annotated[int | None, typer.Option(help="Side of images, pixels; 32 by default.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of each evaluation on images.")] = None,
    samples: Annotated[int | None, typer.Option(min=1, help="Training images of each evaluation.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of actions.")] = 0,
    workers: Workers = None,
    executor: ExecutorName = None,
    ray_address: RayAddress = None,
    store: StorePlace = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the results; meta-test beside the policy else.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print result.json on standard output.")] = False,
    verbose: Verbose = 0,
    log_file: LogFile = None,
    cache: CachePlace = None,
) -> None:
    """Let a policy with frozen weights search, and report how good its networks are, episode by episode.

    Writes result.json and report.html. Test accuracies are reported where a table has them; nothing is chosen by them.
    """
    del verbose, log_file
    started = time.monotonic()
    from rich.console import Console

    from nasgym.cli.meta_progress import test_table
    from nasgym.core.errors import ConfigurationError
    from nasgym.experiments.config import merged, read_config
    from nasgym.experiments.meta.config import TaskSettings, make_workers
    from nasgym.experiments.meta.stored import StoredAgent
    from nasgym.experiments.meta.testing import MetaTestSettings, MetaTestSurroundings, meta_test, test_result
    from nasgym.experiments.results import as_text

    stored = StoredAgent.read(policy)
    of_images = {name: value for name, value in {"size": size, "epochs": epochs, "samples": samples}.items() if value}
    over: dict[str, Any] = {} if config is None else read_config(config)
    named = [{"source": name, **of_images} for name in tasks or ()]
    if named:
        over = merged(over, {"tasks": {"test": named}})
    if of_images or (named and table is None and all(Path(name).exists() for name in tasks or ())):
        over = merged(over, {"tasks": {"table": None, "surrogate": None}})
    if table is not None:
        over = merged(over, {"tasks": {"table": str(table), "surrogate": None}})
    if episodes is not None:
        over = merged(over, {"environment": {"episodes": episodes}})
    settled = stored.config(over)
    if not settled.tasks.test:
        raise ConfigurationError("Nothing says which tasks to play; name them with --tasks.")
    settings = MetaTestSettings(
        policy=policy,
        tasks=settled.tasks.test,
        meta_episodes=meta_episodes,
        greedy=greedy,
        yoked=None if yoked is None else TaskSettings.model_validate({"source": yoked, **of_images}),
        baselines=tuple(baseline or ()),
        seed=seed,
    )
    console = Console(stderr=True)
    with console.status("Preparing …") as status:
        around = MetaTestSurroundings(
            command=typed_command(),
            out=out or policy.parent / "meta-test",
            store=store,
            workers=make_workers(given_workers(workers, executor, ray_address)),
            hear=lambda who: status.update(f"Playing: {who} …"),
            cache_dir=cache,
            started=started,
        )
        report = meta_test(stored, settled, settings, around)
    console.print(test_table(report))
    console.print(f"Report: {around.out / 'report.html'}", soft_wrap=True, highlight=False)
    if as_json:
        typer.echo(as_text(test_result(report)), nl=False)
