"""Puts the reports of experiments into the documentation, as the pages under docs/experiments.

    python -m benchmarks.paper_reports runs/small-1 runs/corrected-1 --docs docs/experiments

A folder is one that `nasgym experiment` has written; page and figures take its name.
"""

import argparse
import json
import shutil
from pathlib import Path

HEAD = """# {title}

Made by this command ([what it does](../paper-experiments.md), and what it says of the paper, \
[there](../paper-experiments.md#results)):

"""


def publish(folder: Path, docs: Path) -> Path:
    """Write the page of one experiment and its figures, in place of those that are there; return the page."""
    name = folder.name
    title = json.loads((folder / "report.json").read_text(encoding="utf-8"))["title"]
    text = (folder / "report.md").read_text(encoding="utf-8")
    text = text.replace("\n### ", "\n## ").replace('src="figures/', f'src="{name}/').replace("](figures/", f"]({name}/")
    shutil.rmtree(docs / name, ignore_errors=True)
    shutil.copytree(folder / "figures", docs / name)
    page = docs / f"{name}.md"
    page.write_text(HEAD.format(title=title) + text, encoding="utf-8")
    return page


def main() -> None:
    """Read the arguments and write the pages."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paper_reports", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="that holds report.md and figures")
    parser.add_argument("--docs", type=Path, default=Path("docs/experiments"), help="folder of the pages")
    options = parser.parse_args()
    for folder in options.folders:
        print(publish(folder, options.docs))


if __name__ == "__main__":
    main()
