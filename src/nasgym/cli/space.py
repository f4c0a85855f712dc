"""`nasgym space`: look at search spaces."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from nasgym.architectures.spaces import SearchSpace

app = typer.Typer(
    no_args_is_help=True,
    help="Look at search spaces: what can be built, and by which actions.",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def show(
    space: Annotated[str, typer.Argument(metavar="FILE_OR_NAME", help="A YAML file, or a name that `list` shows.")],
    kind: Annotated[
        str | None, typer.Option(help="How actions build architectures: chain, multi-branch or explicit.")
    ] = None,
    max_layers: Annotated[int | None, typer.Option(help="Another d than the file's max_nlayers.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the actions of a search space with their ids, its dimensions, and how many networks it holds.

    Examples:

        nasgym space show chain

        nasgym space show my-space.yaml --kind explicit --max-layers 6
    """
    from nasgym.architectures.spaces import load_space

    found = load_space(space, kind=kind, max_layers=max_layers)
    if as_json:
        typer.echo(json.dumps(_facts(found), indent=2))
    else:
        _print(found)


@app.command("list")
def list_spaces() -> None:
    """List the search spaces that come with nasgym, and those of installed plug-ins.

    Example:

        nasgym space list
    """
    from rich.console import Console
    from rich.table import Table

    from nasgym.architectures.spaces import BUILT_IN, load_space
    from nasgym.core.plugins import available

    table = Table("Name", "Kind", "Actions", "Layers", "Observation", "From")
    for name in BUILT_IN:
        space = load_space(name)
        sizes = (str(len(space.actions)), str(space.max_layers), str(space.observation_length))
        table.add_row(name, space.kind, *sizes, "nasgym")
    for name, point in available("nasgym.spaces").items():
        table.add_row(name, "", "", "", "", f"plug-in {point.value}")
    Console().print(table)


def _facts(space: "SearchSpace") -> dict[str, Any]:
    from nasgym.architectures import LeafMerge

    return {
        "name": space.name,
        "kind": space.kind,
        "max_layers": space.max_layers,
        "rows": space.n_rows,
        "observation_length": space.observation_length,
        "default_max_steps": space.default_max_steps,
        "actions": [{"id": number, "meaning": space.describe(number)} for number in range(len(space.actions))],
        "networks_by_depth": space.count_by_depth(LeafMerge.TOGETHER),
    }


def _print(space: "SearchSpace") -> None:
    from rich.console import Console
    from rich.table import Table

    facts = _facts(space)
    sizes = Table(title=f"Search space {space.name}", show_header=False, title_justify="left")
    sizes.add_row("kind", space.kind)
    sizes.add_row("actions", str(len(space.actions)))
    sizes.add_row("most layers (d)", str(space.max_layers))
    sizes.add_row("NSC rows", f"{space.n_rows} × 5")
    sizes.add_row("observation", f"{space.observation_length} numbers")
    sizes.add_row("steps an episode (τ)", str(space.default_max_steps))
    actions = Table("Id", "Action", title="Actions", title_justify="left")
    for action in facts["actions"]:
        actions.add_row(str(action["id"]), action["meaning"])
    counts = Table("Layers", "Distinct networks", title="Networks by depth", title_justify="left")
    counts.columns[1].justify = "right"
    known = [count for count in facts["networks_by_depth"] if count is not None]
    for depth, count in enumerate(known):
        counts.add_row(str(depth), f"{count:,}")
    if len(known) <= space.max_layers:
        counts.add_row(f"{len(known)} … {space.max_layers}", "too many to count")
    console = Console()
    for table in (sizes, actions, counts):
        console.print(table)
