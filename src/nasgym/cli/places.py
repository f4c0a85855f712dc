"""What several commands share: options that say where things are kept and networks trained; the command as typed."""

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

StorePlace = Annotated[
    str | None, typer.Option(envvar="NASGYM_STORE", help="File or URL of the store; else runs/store.sqlite.")
]
CachePlace = Annotated[
    Path | None, typer.Option(envvar="NASGYM_CACHE", help="Where decoded images are kept.", hidden=True)
]
Workers = Annotated[int | None, typer.Option(help="Processes that train networks; one per core by default.")]
ExecutorName = Annotated[
    str | None, typer.Option(help="Where the workers are: processes (default) on this machine, or ray.")
]
RayAddress = Annotated[
    str | None, typer.Option(help="Ray cluster: auto, HOST:PORT or ray://HOST:PORT; else one is started here.")
]


def given_workers(workers: int | None, executor: str | None, ray_address: str | None) -> dict[str, Any]:
    """Return the settings of workers that were given."""
    given: dict[str, Any] = {"workers": workers, "executor": executor or ("ray" if ray_address else None)}
    settings = {name: value for name, value in given.items() if value is not None}
    return settings | ({"ray": {"address": ray_address}} if ray_address else {})


def typed_command() -> str:
    """Return the command as it was typed, for reports: whoever repeats it puts the store's password back."""
    from nasgym.store import without_password

    return without_password(shlex.join(["nasgym", *sys.argv[1:]]))
