"""`nasgym plugins`: what is installed beside nasgym's own spaces, estimators, readers and stores."""

import json
from typing import Annotated

import typer


def plugins(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the installed plug-ins: what each is, which package it comes from, and whether it can be imported.

    Example: `nasgym plugins`
    """
    from rich.console import Console
    from rich.table import Table

    from nasgym.core.errors import PluginError
    from nasgym.core.plugins import GROUPS, available, load

    found = []
    for group in GROUPS:
        for name, point in available(group).items():
            problem = ""
            try:
                load(group, name)
            except PluginError as error:
                problem = str(error)
            package = f"{point.dist.name} {point.dist.version}" if point.dist else ""
            found.append({"group": group, "name": name, "object": point.value, "package": package, "problem": problem})
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    if not found:
        typer.echo("No plug-ins are installed; docs/plugins.md says how to write one.")
        return
    table = Table("Kind", "Name", "Package", "Loads")
    for plugin in found:
        kind = plugin["group"].removeprefix("nasgym.")
        table.add_row(kind, plugin["name"], plugin["package"], "no" if plugin["problem"] else "yes")
    console = Console(markup=False, highlight=False)
    console.print(table)
    for plugin in found:
        if plugin["problem"]:
            console.print(plugin["problem"])
