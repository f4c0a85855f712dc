"""The `nasgym` command. This package is the only place that reads arguments and environment variables."""

import signal
import sys
from typing import Annotated

import typer

from nasgym.cli.data import app as data_app
from nasgym.cli.evaluate import evaluate
from nasgym.cli.experiment import EPILOG as EXPERIMENT_EXAMPLES
from nasgym.cli.experiment import experiment
from nasgym.cli.logs import LogFile, Verbose
from nasgym.cli.meta_test import EPILOG as META_TEST_EXAMPLES
from nasgym.cli.meta_test import meta_test
from nasgym.cli.meta_train import EPILOG as META_TRAIN_EXAMPLES
from nasgym.cli.meta_train import meta_train
from nasgym.cli.plugins import plugins
from nasgym.cli.predict import predict
from nasgym.cli.search import EPILOG as SEARCH_EXAMPLES
from nasgym.cli.search import search
from nasgym.cli.space import app as space_app
from nasgym.cli.store import app as store_app
from nasgym.cli.table import app as table_app
from nasgym.cli.worker import EPILOG as WORKER_EXAMPLES
from nasgym.cli.worker import worker
from nasgym.core.errors import NasgymError

USAGE_ERROR = 2

app = typer.Typer(
    name="nasgym",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(epilog=SEARCH_EXAMPLES)(search)
app.command(epilog=WORKER_EXAMPLES)(worker)
app.command()(evaluate)
app.command()(predict)
app.command("meta-train", epilog=META_TRAIN_EXAMPLES)(meta_train)
app.command("meta-test", epilog=META_TEST_EXAMPLES)(meta_test)
app.command(epilog=EXPERIMENT_EXAMPLES)(experiment)
app.command()(plugins)
app.add_typer(data_app, name="data")
app.add_typer(space_app, name="space")
app.add_typer(store_app, name="store")
app.add_typer(table_app, name="table")


def _version(wanted: bool) -> None:
    if wanted:
        from nasgym import __version__

        typer.echo(f"nasgym {__version__}")
        raise typer.Exit


@app.callback()
def main(
    verbose: Verbose = 0,
    log_file: LogFile = None,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    """Search for small neural networks on your own images.

    Try `nasgym search digits` first, then `nasgym search path/to/folder --budget 15m`.
    """
    del verbose, log_file, version  # their callbacks have acted on them


def run() -> None:
    """Run the command line.

    A `NasgymError` ends it with its message and exit code 2; Ctrl-C and a request to terminate with 130.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except NasgymError as error:
        typer.echo(f"Error: {error}", err=True)
        sys.exit(USAGE_ERROR)
