"""The `nasgym` command. This package is the only place that reads arguments and environment variables."""

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from nasgym.cli.data import app as data_app
from nasgym.cli.evaluate import evaluate
from nasgym.cli.predict import predict
from nasgym.cli.search import EPILOG as SEARCH_EXAMPLES
from nasgym.cli.search import search
from nasgym.cli.space import app as space_app
from nasgym.cli.store import app as store_app
from nasgym.core.errors import NasgymError

USAGE_ERROR = 2
INTERRUPTED = 130

app = typer.Typer(
    name="nasgym",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(epilog=SEARCH_EXAMPLES)(search)
app.command()(evaluate)
app.command()(predict)
app.add_typer(data_app, name="data")
app.add_typer(space_app, name="space")
app.add_typer(store_app, name="store")


def _version(wanted: bool) -> None:
    if wanted:
        from nasgym import __version__

        typer.echo(f"nasgym {__version__}")
        raise typer.Exit


@app.callback()
def main(
    verbose: Annotated[int, typer.Option("--verbose", "-v", count=True, help="Say more; -vv says everything.")] = 0,
    log_file: Annotated[Path | None, typer.Option(help="Write the log to this file, too.")] = None,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    """Search for small neural networks on your own images.

    Try `nasgym search digits` first, then `nasgym search path/to/folder --budget 15m`.
    """
    del version
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    if log_file is not None:
        try:
            handlers.append(logging.FileHandler(log_file, encoding="utf-8"))
        except OSError as error:
            raise typer.BadParameter(f"cannot write {log_file}: {error.strerror}", param_hint="--log-file") from error
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        handler.setLevel(level if handler is handlers[0] else min(level, logging.INFO))
        logging.getLogger("nasgym").addHandler(handler)
    logging.getLogger("nasgym").setLevel(min(handler.level for handler in handlers))


def run() -> None:
    """Run the command line; a `NasgymError` ends it with its message and exit code 2."""
    try:
        app()
    except NasgymError as error:
        typer.echo(f"Error: {error}", err=True)
        sys.exit(USAGE_ERROR)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
