"""`nasgym data`: look at a data set, and write it for other programs."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from nasgym.data.summary import DataSummary

app = typer.Typer(
    no_args_is_help=True,
    help="Look at image data: what is read, what is left out, how it is split. Write it for other programs.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

CACHE_VARIABLE = "NASGYM_CACHE"

Source = Annotated[
    str,
    typer.Argument(
        metavar="PATH",
        help="Folder of class folders, zip, tar, .npz, .npy, .csv, idx, CIFAR .bin or .tfrecords files, or a name: "
        "digits, hf:NAME.",
    ),
]
Size = Annotated[int, typer.Option(help="Side of the square images, pixels.")]
Labels = Annotated[Path | None, typer.Option(help="CSV file with the columns file,label[,split][,group].")]
Strict = Annotated[bool, typer.Option("--strict", help="Refuse the data if anything has to be left out.")]
CacheDir = Annotated[
    Path | None, typer.Option(help=f"Where decoded images are kept. [default: {CACHE_VARIABLE}, or the user's cache]")
]


def cache_directory(option: Path | None = None) -> Path | None:
    """Return the folder for decoded images: the option, else the environment variable, else `None` for the default."""
    if option is not None:
        return option
    value = os.environ.get(CACHE_VARIABLE)
    return Path(value) if value else None


@contextmanager
def decoding_progress(shown: bool = True) -> Iterator[Callable[[int], None]]:
    """Show on the terminal how many images have been handled; give the function to call with their number."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not shown) as progress:
        bar = progress.add_task("Reading images", total=None)
        yield lambda count: progress.update(bar, description=f"Reading images: {count:,}") if count % 100 == 0 else None


@app.command()
def info(
    path: Source = "digits",
    size: Size = 32,
    labels: Labels = None,
    group_pattern: Annotated[
        str | None, typer.Option(help="What images of a group share in their path: '{group}_*' for track_frame.jpg.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the split.")] = 0,
    contact_sheet: Annotated[Path | None, typer.Option(help="Write a picture with images of every class.")] = None,
    strict: Strict = False,
    cache_dir: CacheDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show sizes, classes and their balance, what was left out, the split, and near copies on two sides of it.

    Examples:

        nasgym data info photos --contact-sheet photos.png

        nasgym data info traffic_sign.tar.xz --group-pattern '{group}_*'

        nasgym data info scans.zip --labels labels.csv --json
    """
    from nasgym.data import SplitRules, load_dataset
    from nasgym.data.contact_sheet import save_contact_sheet
    from nasgym.data.summary import summarise

    with decoding_progress(not as_json) as progress:
        dataset = load_dataset(
            path, size=size, labels=labels, strict=strict, cache_dir=cache_directory(cache_dir), progress=progress
        )
        summary = summarise(dataset, SplitRules(seed=seed, group_pattern=group_pattern), strict=strict)
    if contact_sheet is not None:
        save_contact_sheet(dataset, contact_sheet)
    if as_json:
        typer.echo(json.dumps(summary.to_json(), indent=2, ensure_ascii=False))
    else:
        _print(summary, contact_sheet)


@app.command()
def export(
    path: Source,
    file_format: Annotated[str, typer.Option("--format", help="npz, csv or tfrecord.")],
    out: Annotated[Path, typer.Option(help="File to write.")],
    size: Size = 32,
    labels: Labels = None,
    strict: Strict = False,
    cache_dir: CacheDir = None,
) -> None:
    """Write the images, resized, with their labels.

    npz holds x, y, class_names (and split, groups); csv one row an image, f0 … fn in [0, 1] and label; tfrecord
    JPEG images and int64 labels as meta-dataset has them. Labels count the class names in sorted order.

    Examples:

        nasgym data export photos --format npz --size 64 --out photos.npz

        nasgym data export dtd.tar.xz --format tfrecord --size 84 --out dtd/0.tfrecords
    """
    from nasgym.core.errors import ConfigurationError, nearest
    from nasgym.data import load_dataset
    from nasgym.data.export import ExportFormat
    from nasgym.data.export import export as write

    if file_format not in set(ExportFormat):
        formats = [one.value for one in ExportFormat]
        hint = nearest(file_format, formats)
        raise ConfigurationError(f"Unknown format {file_format!r} (known: {', '.join(formats)}).{hint}")
    with decoding_progress() as progress:
        dataset = load_dataset(
            path, size=size, labels=labels, strict=strict, cache_dir=cache_directory(cache_dir), progress=progress
        )
        write(dataset, out, ExportFormat(file_format), progress)
    typer.echo(f"{len(dataset):,} images of {dataset.n_classes} classes written to {out}")


def _print(summary: "DataSummary", sheet: Path | None) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    console.print(f"[bold]{summary.name}[/bold]  {summary.images:,} images, {len(summary.classes)} classes")
    facts = Table.grid(padding=(0, 2))
    for name, text in _facts(summary):
        facts.add_row(name, text)
    console.print(facts)
    console.print(_class_table(summary))
    if summary.near_duplicates:
        table = Table("Held out", "Near copy", "Difference", title="Near copies on two sides", title_justify="left")
        for pair in summary.near_duplicates[:10]:
            table.add_row(
                f"{pair.path} ({pair.side})", f"{pair.copy_path} ({pair.copy_side})", f"{pair.difference:.4f}"
            )
        console.print(table)
    if summary.problems:
        console.print(f"Left out: {len(summary.problems):,}")
        for problem in summary.problems[:10]:
            console.print(f"  {problem}", markup=False)
        if len(summary.problems) > 10:
            console.print(f"  … and {len(summary.problems) - 10:,} more (--json lists all)")
    if sheet is not None:
        console.print(f"Contact sheet: {sheet}")


def _facts(summary: "DataSummary") -> Iterator[tuple[str, str]]:
    (least_h, least_w), (mid_h, mid_w), (most_h, most_w) = summary.original_sizes
    sizes = f"{mid_h} × {mid_w}" if summary.original_sizes[0] == summary.original_sizes[2] else (
        f"from {least_h} × {least_w} to {most_h} × {most_w}, median {mid_h} × {mid_w}"
    )  # fmt: skip
    yield "original size", f"{sizes} pixels"
    yield "read as", f"{summary.size} × {summary.size} pixels, {'grey' if summary.channels == 1 else 'colour'}"
    yield "balance", f"{summary.balance:.3f} (1 = classes of equal size)"
    yield "split", f"{summary.split_kind}: " + ", ".join(f"{n:,} {side}" for side, n in summary.split.items())
    count = len(summary.near_duplicates)
    yield "near copies", f"{count:,} across sides" + (", of which same files: " + str(summary.exact) if count else "")
    yield "left out", f"{len(summary.problems):,}"


def _class_table(summary: "DataSummary") -> "Table":
    from rich.table import Table

    table = Table("Class", "Images", "")
    most = max(summary.classes.values())
    shown = list(summary.classes.items())
    hidden = shown[25:] if len(shown) > 30 else []
    for name, count in shown[: len(shown) - len(hidden)]:
        table.add_row(name, f"{count:,}", "█" * max(1, round(30 * count / most)))
    if hidden:
        counts = [count for _, count in hidden]
        table.add_row(f"… {len(hidden)} more", f"{min(counts):,} to {max(counts):,}", "")
    return table
