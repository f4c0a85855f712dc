"""`nasgym worker`: join running searches through their store."""

from typing import TYPE_CHECKING, Annotated

import typer

from nasgym.cli.logs import LogFile, Verbose
from nasgym.cli.places import CachePlace, StorePlace

if TYPE_CHECKING:
    from nasgym.experiments.worker import WorkerEvent

EPILOG = """
**Examples**

`nasgym worker --store postgresql+psycopg://me@server/nas` - help every search that uses this store

`nasgym worker --store … --run 20261121-1 --data /mnt/photos` - one search, whose images lie elsewhere on this machine

`nasgym worker --idle-exit 10m` - on the machine of the search, until there has been nothing to do for ten minutes
"""


def worker(
    store: StorePlace = None,
    run: Annotated[str | None, typer.Option(help="Id of the search to help, or how it begins; any by default.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Training processes; one per core by default, 0 for none of its own.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Where the images of the search lie on this machine, if elsewhere.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda; that of the search by default.")] = None,
    idle_exit: Annotated[
        str | None, typer.Option(help="End after so long without work, such as 10m; else on Ctrl-C.")
    ] = None,
    lease: Annotated[
        str, typer.Option(help="Others take over so long after this worker was killed or cut off.")
    ] = "60s",
    verbose: Verbose = 0,
    log_file: LogFile = None,
    cache: CachePlace = None,
) -> None:
    """Join running searches, from this machine or another: train networks that wait in their store.

    No network is trained twice: a worker holds a lease on what it trains. Ctrl-C gives up what is in training and
    releases its leases, so that others take it over at once; a worker that is killed is missed when they run out.
    """
    del verbose, log_file
    from functools import partial

    from nasgym.executors import Workforce, local_executor, usable_cores
    from nasgym.experiments.leases import Leases
    from nasgym.experiments.worker import Worker, search_service
    from nasgym.store import DEFAULT_STORE, new_owner, open_store

    hands = usable_cores() if workers is None else workers
    seconds, patience = _seconds("--lease", lease), None if idle_exit is None else _seconds("--idle-exit", idle_exit)
    with open_store(store or DEFAULT_STORE, create=False) as opened:
        chosen = None if run is None else opened.run(run).id
        owner = new_owner()
        _say(f"Worker {owner} looks for work in {opened.url}.")
        serve = partial(search_service, data=data, device=device, cache=cache)
        try:
            with (
                Leases(opened, owner, seconds=seconds) as leases,
                Workforce(lambda: local_executor(hands)) as workforce,
            ):
                joined = Worker(opened, workforce, max(1, hands), leases, serve, _hear)
                made = joined.work(run=chosen, idle_exit=patience)
        except KeyboardInterrupt:
            _say("Stopped. What is finished is kept, and the leases are released: others take over.")
            raise
        _say(f"Nothing to do for {idle_exit}. Evaluations made: {made}.")


def _hear(event: "WorkerEvent") -> None:
    """Show what happens, a line each."""
    from nasgym.evaluation import Completed
    from nasgym.experiments.worker import Declined, Joined
    from nasgym.report.formatting import percent

    match event:
        case Joined():
            _say(f"Joined run {event.run}, which searches for a network on {event.task}.")
        case Declined():
            _say(f"Run {event.run} is left to others. {event.why}")
        case _:
            outcome = event.outcome
            words = percent(outcome.accuracy) if isinstance(outcome, Completed) else outcome.kind.value
            _say(f"{event.evaluations:4}  {words:>6}  {event.architecture}  (network {event.number} of {event.run})")


def _seconds(option: str, text: str) -> float:
    from nasgym.core.errors import ConfigurationError
    from nasgym.experiments.config import seconds

    try:
        return seconds(text)
    except ValueError as error:
        raise ConfigurationError(f"{option} is {text!r}: {error}.") from error


def _say(line: str) -> None:
    typer.echo(line, err=True)
