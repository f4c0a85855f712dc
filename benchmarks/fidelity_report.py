"""The tables of docs/fidelity.md, as `python -m benchmarks.fidelity report` prints them: in Markdown."""

from collections.abc import Iterable, Iterator

import numpy as np

from benchmarks.fidelity_figures import SCORES, Verdict, last_accuracy, top, verdict
from benchmarks.fidelity_searches import halving, mean_regret, plain, pools
from benchmarks.fidelity_table import FULL, Curves, Name, Training
from benchmarks.reporting import Figure, Goal
from nasgym.evaluation.recipes import training_profile
from nasgym.evaluation.stopping import Stopping

DEFAULT_EPOCHS = training_profile("default").search.epochs
FULL_NAME = (FULL, training_profile("default").final.epochs)
NEAR_ENOUGH = 0.02
"""A fidelity passes where its τ lies at most so far below the noise ceiling (BENCH A)."""
BUDGETS, PROMOTED = (4, 8, 16, 32), (1, 5)
"""Of simulated searches: trainings of an average network for the default epochs; networks promoted in the end."""
SLACKS = (0.0, 0.25, 0.5, 1.0)


def lengths(curves: Curves) -> list[Name]:
    """Return the search fidelities that are complete on every task for some seed, the shortest first."""
    names = {(training.recipe, training.epochs) for training in curves.trainings if training.recipe != FULL}
    return sorted(name for name in names if all(curves.seeds(task, name) for task in curves.tasks))


def markdown(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table in Markdown."""
    head = list(header)
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)).replace(" --- ", "---")


def renewed(page: str, tables: Iterable[str]) -> str:
    """Return the Markdown `page` with each of `tables` in place of the one that has the same header."""
    for table in tables:
        header = table.partition("\n")[0]
        before, found, after = page.partition(header)
        if not found:
            raise ValueError(f"The page has no table with the header {header!r}.")
        rows = after.split("\n")
        end = next(number for number, row in enumerate(rows) if number and not row.startswith("|"))
        page = "\n".join([before + table, *rows[end:]])
    return page


def measured(curves: Curves) -> str:
    """Return what was trained, and how well: by set the networks, the seeds, and accuracies by the full recipe."""
    rows = []
    for task in curves.tasks:
        full = curves.accuracies(task, FULL_NAME)
        low, middle, high = np.quantile(np.mean(list(full.values()), axis=0), [0, 0.5, 1])
        seeds = [len(curves.seeds(task, name)) for name in (FULL_NAME, ("search", DEFAULT_EPOCHS), ("search", 1))]
        accuracies = (f"{value:.2f}" for value in (low, middle, high, curves.linear[task]))
        rows.append((task, str(len(curves.networks)), *map(str, seeds), *accuracies))
    header = "set, networks, seeds of the full recipe, of 8 epochs, of others, worst, median, best, linear model"
    return markdown(header.split(", "), rows)


def all_tables(curves: Curves) -> tuple[tuple[str, ...], list[Figure]]:
    """Return every table, and the figures of the default fidelity."""
    table, figures = agreements(curves)
    return (measured(curves), table, scores(curves), searches(curves), stopping(curves)), figures


def agreements(curves: Curves) -> tuple[str, list[Figure]]:
    """Return τ of every fidelity with the full recipe beside the noise ceiling, and the figures of the default one."""
    rows, figures = [], []
    for name in lengths(curves):
        for tasks in (*([task] for task in curves.tasks), list(curves.tasks)):
            where = tasks[0] if len(tasks) == 1 else "**mean**"
            found = verdict(curves, tasks, name, FULL_NAME)
            half = verdict(curves, tasks, name, FULL_NAME, best=0.5)
            rows.append(
                (
                    *(str(name[1]), where, str(found.agreement), f"{found.ceiling.value:.3f}", str(found.shortfall)),
                    *(f"{half.agreement.value:.3f}", f"{half.ceiling.value:.3f}", str(found.accuracy_lost)),
                )
            )
            if name[1] == DEFAULT_EPOCHS:
                figures += _figures(where.strip("*"), found)
    header = "epochs, set, τ with the full recipe, ceiling, shortfall, τ of the best half, its ceiling, accuracy lost"
    return markdown(header.split(", "), rows), figures


def _figures(where: str, found: Verdict) -> list[Figure]:
    label = f"{where}: τ of {DEFAULT_EPOCHS} epochs with the full recipe"
    gate = Goal("value", "at most", NEAR_ENOUGH)
    return [
        Figure(label, found.agreement.value, "", found.ceiling.value),
        Figure(f"{where}: τ below the ceiling", found.shortfall.value, "", goal=gate),
        Figure(f"{where}: mean accuracy below the full recipe", found.accuracy_lost.value, ""),
    ]


def scores(curves: Curves) -> str:
    """Return τ of other scores of the same trainings with the full recipe, averaged over the tasks."""
    rows = []
    for name in lengths(curves):
        found = [verdict(curves, curves.tasks, name, FULL_NAME, score) for score in SCORES.values()]
        rows.append((str(name[1]), *(str(one.agreement) for one in found)))
    return markdown(("epochs", *SCORES), rows)


def searches(curves: Curves) -> str:
    """Return the regret of random searches at equal seconds: one fidelity for all networks, or successive halving."""
    epochs = [name[1] for name in lengths(curves)]
    ways = {f"{n} epochs": plain(n) for n in epochs} | {
        f"halving {' → '.join(map(str, rungs))}": halving(*rungs)
        for rungs in ((1, 2, 4, 8), (2, 4, 8), (4, 8))
        if set(rungs) <= set(epochs)
    }
    found = pools(curves, curves.tasks, epochs, FULL_NAME)
    columns = [(promoted, n) for promoted in PROMOTED for n in BUDGETS]
    rows = []
    for label, way in ways.items():
        regrets = [
            [mean_regret(pool, way, n, promoted, epochs=DEFAULT_EPOCHS) for promoted, n in columns]
            for pool in found.values()
        ]
        rows.append((label, *(f"{regret:.3f}" for regret in np.mean(regrets, axis=0))))
    return markdown(("search", *(f"{n}, best {promoted}" for promoted, n in columns)), rows)


def stopped(rule: Stopping, training: Training) -> int:
    """Return after how many epochs `rule` ends `training`."""
    curve = training.accuracies
    return next((n for n in range(1, len(curve)) if rule.hopeless(curve[:n], len(curve))), len(curve))


def stopping(curves: Curves) -> str:
    """Return what rules with the linear model as floor save and lose, replayed on the stored curves."""
    rows = [
        (str(name[1]), f"{slack:g}", task, *_stopping(curves, task, name, Stopping(curves.linear[task], slack=slack)))
        for name in lengths(curves)
        if name[1] >= DEFAULT_EPOCHS
        for slack in SLACKS
        for task in curves.tasks
    ]
    header = (
        "epochs, slack, set, floor, below it in the end, given up, wrongly, wrongly by the full recipe, "
        "of the best tenth, seconds saved, τ, τ without the rule"
    )
    return markdown(header.split(", "), rows)


def _stopping(curves: Curves, task: str, name: Name, rule: Stopping) -> Iterator[str]:
    seeds = curves.seeds(task, name)
    trainings = [one for seed in seeds for one in curves.of(task, name, seed)]
    last = np.array([one.accuracies[-1] for one in trainings])
    ends = np.array([stopped(rule, one) for one in trainings])
    given_up = ends < name[1]
    full = np.mean(list(curves.accuracies(task, FULL_NAME).values()), axis=0)
    best = np.isin(np.arange(len(full)), top(full, 0.1))
    rates = np.array([curves.seconds[one.network] for one in trainings])
    yield f"{rule.floor:.2f}"
    yield f"{np.mean(last < rule.floor):.0%}"
    yield f"{np.mean(given_up):.0%}"
    yield f"{np.mean(given_up & (last >= rule.floor)):.1%}"
    yield f"{np.mean(given_up & (np.tile(full, len(seeds)) >= rule.floor)):.1%}"
    yield f"{np.sum(given_up & np.tile(best, len(seeds)))}"
    yield f"{np.dot(name[1] - ends, rates) / (name[1] * np.sum(rates)):.0%}"

    def so_far(training: Training) -> float:
        return training.accuracies[stopped(rule, training) - 1]

    for score in (so_far, last_accuracy):
        yield f"{verdict(curves, [task], name, FULL_NAME, score).agreement.value:.3f}"
