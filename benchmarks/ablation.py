"""What a memory that lasts is worth, and each of the mistakes of the original agent: figures from the runs.

    python -m benchmarks.ablation_runs nasbench201.csv.xz --runs FOLDER
    python -m benchmarks.ablation nasbench201.csv.xz [--runs FOLDER] [--json FILE] [--images FOLDER]

Every agent is trained alike on the training tasks of `benchmarks.hidden_tasks` and then played, its weights frozen, on
tasks that share neither data set nor device with them. What is compared is the normalised regret: 0 is the best network
of a task, 1 its median network. All means are interquartile ones over tasks and seeds, with 95 % intervals of a
hierarchical bootstrap: tasks, and for each of them seeds. With `--runs` the runs are gathered into `ablation.jsonl.xz`
first; without, that file is read.
"""

import json
import lzma
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Drawing
from numpy.typing import NDArray

from benchmarks.ablation_baselines import BASELINES, WITHOUT_FEEDBACK
from benchmarks.ablation_runs import VARIANTS, judged
from benchmarks.hidden_tasks import EPISODES, HiddenTasks, hidden_tasks
from benchmarks.reporting import Figure, Goal, arguments, publish
from nasgym.core.randomness import stream
from nasgym.report.meta_figures import Line, over_episodes
from nasgym.report.statistics import Interval, interquartile_mean
from nasgym.report.style import PALETTE, style

GATHERED = Path(__file__).parent / "ablation.jsonl.xz"
RESAMPLES = 2000
THIRD = 2
"""Index of the first proposal that two rewards could tell of."""
SHOWN = ("rl2", "memory-reset", "none-index", "paper", "portfolio", "random")
"""Drawn, at most as many as there are colours."""

Regrets = NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """Regrets of one agent or baseline on the held-out tasks.

    Attributes:
        title: what it is called.
        proposal: of the k-th network, shape `(seeds, n_tasks, K)`.
        incumbent: of the best of the first k.
        yoked: of the k-th network that was proposed for the rewards of another task.
    """

    title: str
    proposal: Regrets
    incumbent: Regrets
    yoked: Regrets

    @property
    def late_incumbent(self) -> Regrets:
        """Mean over budgets from 3 on, shape `(seeds, n_tasks, 1)`."""
        return self.incumbent[..., THIRD:].mean(axis=-1, keepdims=True)

    @property
    def late_proposal(self) -> Regrets:
        """Mean over proposals from the third on, shape `(seeds, n_tasks, 1)`."""
        return self.proposal[..., THIRD:].mean(axis=-1, keepdims=True)

    @property
    def worse_when_yoked(self) -> Regrets:
        """How much worse proposals are from the third on, when rewards tell of another task; shape as above."""
        return (self.yoked - self.proposal)[..., THIRD:].mean(axis=-1, keepdims=True)


def intervals(values: Regrets) -> tuple[Interval, ...]:
    """Return the interquartile mean of each column with its hierarchical bootstrap interval.

    Args:
        values: shape `(seeds, n_tasks, k)`; tasks are drawn again, and seeds for each of them.
    """
    return _intervals(values, _draws(values))


def ratio(values: Regrets, others: Regrets) -> Interval:
    """Return the interquartile mean of `values` over that of `others`, the same tasks drawn for both.

    Args:
        values: shape `(seeds, n_tasks, 1)`.
        others: the same, perhaps with another number of seeds.
    """
    estimate = _mean(values[np.newaxis]) / _mean(others[np.newaxis])
    draws = _draws(values) / _draws(others)
    return Interval(float(estimate[0, 0]), *map(float, np.quantile(draws, (0.025, 0.975))))


def _draws(values: Regrets) -> NDArray[np.float64]:
    """Return interquartile means of bootstrap samples, shape `(RESAMPLES, k)`; tasks are drawn alike in every call."""
    n_seeds, n_tasks = values.shape[:2]
    tasks = stream(0, "ablation", "tasks").integers(n_tasks, size=(RESAMPLES, n_tasks))
    seeds = stream(0, "ablation", "seeds", n_seeds).integers(n_seeds, size=(RESAMPLES, n_seeds, n_tasks))
    return np.concatenate(
        [_mean(values[some_seeds, some_tasks[:, np.newaxis]]) for some_seeds, some_tasks in _batches(seeds, tasks)]
    )


def _batches(seeds: NDArray[np.int64], tasks: NDArray[np.int64], size: int = 100) -> Iterable[tuple[Any, Any]]:
    for start in range(0, RESAMPLES, size):
        yield seeds[start : start + size], tasks[start : start + size]


def _mean(samples: Regrets) -> NDArray[np.float64]:
    """Return interquartile means, shape `(m, k)`, of samples of shape `(m, seeds, n_tasks, k)`."""
    return interquartile_mean(samples.reshape(len(samples), -1, samples.shape[-1]), axis=1)


def _intervals(values: Regrets, draws: NDArray[np.float64]) -> tuple[Interval, ...]:
    estimates = _mean(values[np.newaxis])[0]
    low, high = np.quantile(draws, (0.025, 0.975), axis=0)
    return tuple(Interval(*map(float, triple)) for triple in zip(estimates, low, high, strict=True))


def gather(runs: Path) -> None:
    """Write the runs of a folder to `GATHERED`, a line each, in order."""
    order = list(VARIANTS)
    found = [json.loads(file.read_text(encoding="utf-8")) for file in runs.glob("*-*.json")]
    found.sort(key=lambda run: (order.index(run["variant"]), run["seed"]))
    with lzma.open(GATHERED, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(run, separators=(",", ":")) + "\n" for run in found)


def gathered() -> list[dict[str, Any]]:
    """Return the runs that were gathered."""
    with lzma.open(GATHERED, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def agents(split: str) -> dict[str, Measured]:
    """Return what was measured of each agent of which there are runs."""
    runs: dict[str, list[dict[str, Any]]] = {}
    for one in gathered():
        runs.setdefault(one["variant"], []).append(one[split])
    return {
        name: Measured(VARIANTS[name].title, *(np.array([one[what] for one in some]) for what in _JUDGED))
        for name, some in runs.items()
    }


_JUDGED = ("proposal", "incumbent", "yoked")


def baselines(train: HiddenTasks, test: HiddenTasks) -> dict[str, Measured]:
    """Return what is measured of each baseline; its repeats are averaged as the meta-episodes of an agent are."""
    measured = {}
    for name, (title, propose) in BASELINES.items():
        found = judged(propose(train, test), test.regrets)
        measured[name] = Measured(title, *(np.array(found[what])[np.newaxis] for what in _JUDGED))
    return measured


def figures(all_measured: Mapping[str, Measured]) -> list[Figure]:
    """Return the figures with goals, and the regrets of everything."""
    ours = all_measured["rl2"]
    best = min(WITHOUT_FEEDBACK, key=lambda name: float(_mean(all_measured[name].late_incumbent[np.newaxis])[0, 0]))
    against = ratio(ours.late_incumbent, all_measured[best].late_incumbent)
    (yoked,) = intervals(ours.worse_when_yoked)
    goals = [
        Figure(
            f"regret over budgets 3 to {EPISODES}, ours over {all_measured[best].title}",
            against.estimate,
            "",
            goal=Goal("value", "at most", 0.7),
        ),
        Figure("the same, upper end of its interval", against.high, "", goal=Goal("value", "at most", 1.0)),
        Figure("worse when yoked, proposals 3 on, lower end", yoked.low, "regret", goal=Goal("value", "at least", 0.0)),
    ]
    for name, measured in all_measured.items():
        for what, values in (
            ("incumbent, budgets 3 on", measured.late_incumbent),
            ("proposals 3 on", measured.late_proposal),
            ("worse when yoked", measured.worse_when_yoked),
        ):
            (interval,) = intervals(values)
            goals.append(Figure(f"{name}: {what}", interval.estimate, f"[{interval.low:.3f}, {interval.high:.3f}]"))
    return goals


def page_table(all_measured: Mapping[str, Measured]) -> str:
    """Return the table of the docs page, as Markdown."""
    lines = [
        "| | seeds | last proposal | proposals 3 on | best of the first k, k from 3 on | worse when yoked |",
        "|---|---|---|---|---|---|",
    ]
    for name, measured in all_measured.items():
        last = intervals(measured.proposal)[-1]
        rest = [*intervals(measured.late_proposal), *intervals(measured.late_incumbent)]
        yoked = intervals(measured.worse_when_yoked) if name in VARIANTS else ()
        cells = [_cell(one) for one in (last, *rest, *yoked)] + ([] if yoked else ["–"])
        seeds = str(len(measured.proposal)) if name in VARIANTS else "–"
        lines.append(f"| {measured.title} | {seeds} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(interval: Interval) -> str:
    return f"{interval.estimate:.3f} ({interval.low:.3f} to {interval.high:.3f})"


def draw(all_measured: Mapping[str, Measured], folder: Path) -> None:
    """Write the two pictures of the docs page."""
    shown = {name: all_measured[name] for name in SHOWN if name in all_measured}
    for what, label in (("proposal", "regret of the k-th network"), ("incumbent", "regret of the best network so far")):
        lines = [
            Line.by_episode(one.title, intervals(getattr(one, what)), dashed=name in BASELINES)
            for name, one in shown.items()
        ]
        _save(over_episodes(lines, label).figure, folder / f"ablation-{what}.svg")


def _save(drawing: Drawing, file: Path) -> None:
    with style():
        drawing.savefig(file, facecolor=PALETTE["paper"], metadata={"Date": None})


def main() -> None:
    """Gather, judge, publish."""
    parser = arguments("ablation", __doc__)
    parser.add_argument("source", type=Path, help="the CSV file of NAS-Bench-201, see docs/tables.md")
    parser.add_argument("--tables", type=Path, required=True, help="folder where tables of the tasks are kept")
    parser.add_argument("--runs", type=Path, help="folder of runs to gather first")
    parser.add_argument("--images", type=Path, help="draw pictures into this folder")
    parser.add_argument("--split", choices=("validation", "test"), default="test", help="tasks to judge on")
    given = parser.parse_args()
    if given.runs:
        gather(given.runs)
    train, test = (hidden_tasks(given.source, given.tables, split) for split in ("train", given.split))
    all_measured = agents(given.split) | baselines(train, test)
    print(page_table(all_measured))
    if given.images:
        draw(all_measured, given.images)
    publish("ablation", figures(all_measured), seeds=range(len(all_measured["rl2"].proposal)), json_file=given.json)


if __name__ == "__main__":
    main()
