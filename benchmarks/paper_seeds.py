"""Experiments with several seeds: what each seed says, and the mean over seeds with its 95 % interval.

    python -m benchmarks.paper_seeds runs/small-1 runs/seed-1/small-1 runs/seed-2/small-1

A folder is one that `nasgym experiment` has written. Folders of several experiments make a table each. `--page FILE`
renews tables of a Markdown page: each takes the place of the one with the same header.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.fidelity_report import markdown, renewed
from benchmarks.reporting import Figure, publish
from nasgym.core.errors import NasgymError
from nasgym.report.experiment_seeds import SeedReport, SeedRow, by_experiment, read_seed_report, seed_rows
from nasgym.report.formatting import UNKNOWN


def table(reports: Sequence[SeedReport]) -> str:
    """Return the numbers of one experiment by seed, and their mean, as Markdown."""
    header = (reports[0].name, "unit", *(f"seed {one.seed}" for one in reports), "mean over seeds (95 %)", "n")
    return markdown(header, (map(_plain, _cells(row)) for row in seed_rows(reports)))


def figures(reports: Sequence[SeedReport]) -> Iterator[Figure]:
    """Yield the same numbers one by one."""
    for row in seed_rows(reports):
        label, unit = f"{reports[0].name}, {row.what}", row.unit
        for report, value in zip(reports, row.values, strict=True):
            if value is not None:
                yield Figure(f"{label}, seed {report.seed}", unit.factor * value, unit.name)
        if (interval := row.interval) is not None:
            yield Figure(f"{label}, mean over {len(row.known)} seeds", unit.factor * interval.estimate, unit.name)
            yield Figure(f"{label}, lower end of its 95 % interval", unit.factor * interval.low, unit.name)
            yield Figure(f"{label}, upper end", unit.factor * interval.high, unit.name)


def _cells(row: SeedRow) -> Iterator[str]:
    written = row.unit.written
    yield row.what
    yield row.unit.name
    for value in row.values:
        yield UNKNOWN if value is None else written(value)
    mean, interval = row.mean, row.interval
    span = "" if interval is None else f" ({written(interval.low)} to {written(interval.high)})"
    yield UNKNOWN if mean is None else f"{written(mean)}{span}"
    yield str(len(row.known))


def _plain(text: str) -> str:
    return text.replace("|", "\\|")


def _renew(page: Path, tables: Sequence[str]) -> None:
    """Renew the tables of a page, or say why it cannot be."""
    try:
        page.write_text(renewed(page.read_text(encoding="utf-8"), tables), encoding="utf-8")
    except ValueError as error:
        raise SystemExit(f"{page}: {error} Write that line where the table is to be.") from error
    except OSError as error:
        raise SystemExit(f"{page} cannot be renewed: {error.strerror}.") from error


def main() -> None:
    """Read the arguments, print the tables, and write what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paper_seeds", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="that holds report.json")
    parser.add_argument("--page", type=Path, metavar="FILE", help="renew the tables of this Markdown page")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers with versions and hardware here")
    options = parser.parse_args()
    try:
        grouped = by_experiment([read_seed_report(folder) for folder in options.folders])
    except NasgymError as error:
        parser.error(str(error))
    tables = [table(reports) for reports in grouped.values()]
    print("\n\n".join(tables))
    if options.page is not None:
        _renew(options.page, tables)
    if options.json is not None:
        seeds = sorted({report.seed for reports in grouped.values() for report in reports})
        numbers = [figure for reports in grouped.values() for figure in figures(reports)]
        publish("paper_seeds", numbers, seeds=seeds, json_file=options.json)


if __name__ == "__main__":
    main()
