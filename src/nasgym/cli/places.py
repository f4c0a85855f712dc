"""The options that say where a command keeps things; several commands have them."""

from pathlib import Path
from typing import Annotated

import typer

StorePlace = Annotated[
    str | None, typer.Option(envvar="NASGYM_STORE", help="File or URL of the store; else runs/store.sqlite.")
]
CachePlace = Annotated[
    Path | None, typer.Option(envvar="NASGYM_CACHE", help="Where decoded images are kept.", hidden=True)
]
