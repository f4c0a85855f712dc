"""Tables from stores: what many trainings found out, as one file that answers at once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nasgym.architectures import Architecture, Skeleton, architecture_id, parse_architecture
from nasgym.architectures.actions import SetHeader
from nasgym.architectures.spaces import BUILT_IN, FixedSpace, SearchSpace, load_space
from nasgym.core.errors import ConfigurationError, PlanError, TableError, nearest
from nasgym.evaluation import Metrics
from nasgym.evaluation.tables import Table, TableBuilder, TableDescription, TableTask
from nasgym.networks.plan import plan
from nasgym.networks.profiles import PROFILES, NetworkProfile, profile
from nasgym.store.base import Store
from nasgym.store.rows import EvaluationQuery, StoredEvaluation
from nasgym.tasks import Fidelity

WITNESSES = 16
"""Networks that must agree on the shape of a task's images and its number of classes."""
CHANNELS = (3, 1, 4, 2)
"""Numbers of channels tried."""


@dataclass(frozen=True)
class TableSelection:
    """Which evaluations of a store go into a table; what is left open must be unambiguous.

    Attributes:
        tasks: names of tasks; all of them where empty.
        estimator: fingerprint, or how it begins.
        epochs: of the fidelity.
        resolution: of the fidelity, pixels.
    """

    tasks: tuple[str, ...] = ()
    estimator: str = ""
    epochs: int | None = None
    resolution: int | None = None

    def takes(self, row: StoredEvaluation) -> bool:
        """Return whether `row` is wanted."""
        return (
            (not self.tasks or row.task in self.tasks)
            and row.key.estimator.startswith(self.estimator)
            and self.epochs in (None, row.key.epochs)
            and self.resolution in (None, row.key.resolution)
        )


EVERYTHING = TableSelection()


@dataclass
class _TaskRows:
    """The evaluations of one task."""

    name: str
    rows: list[tuple[StoredEvaluation, Architecture]] = field(default_factory=list)


def build_table(
    store: Store,
    out: str | Path,
    *,
    name: str,
    selection: TableSelection = EVERYTHING,
    space: str = "",
    network_profile: str | None = None,
    licence: str = "",
) -> Table:
    """Write the evaluations of a store that `selection` takes as a table, and return it.

    A store does not keep the number of channels and classes of its tasks; they follow, exactly, from the
    parameters and FLOPs kept with the networks.

    Args:
        store: where the evaluations are.
        out: where the table goes.
        name: of the table.
        selection: which evaluations.
        space: name or file of the search space; kept with the table. Only networks of its kind are taken: of its
            skeleton, with a header or without.
        network_profile: name of the profile of the networks; the one in the estimator's fingerprint unless given.
        licence: under which the table may be used.

    Raises:
        TableError: nothing is selected, or several estimators or fidelities of one task; names them. Or the profile
            is not that of the networks.
        ConfigurationError: no such space or profile.
    """
    tasks = _selected(store, selection, _kind(load_space(space)) if space else None)
    estimator = _one("estimators", sorted({row.key.estimator for task in tasks.values() for row, _ in task.rows}))
    rules = profile(network_profile or _profile_name(estimator))
    described = tuple(_described(data, task, rules) for data, task in tasks.items())
    skeletons = sorted({architecture.skeleton for task in tasks.values() for _, architecture in task.rows})
    builder = TableBuilder(
        TableDescription(
            name=name,
            tasks=described,
            profile=rules.name,
            estimator=estimator,
            source=f"nasgym store, {sum(len(task.rows) for task in tasks.values())} evaluations",
            licence=licence,
            space=_space_text(space),
            skeleton=skeletons[0],
        )
    )
    for data, task in tasks.items():
        for row, architecture in task.rows:
            builder.add(architecture, data, row.key.seed, row.outcome)
    return builder.write(out)


def _kind(space: SearchSpace) -> tuple[Skeleton, bool]:
    """Return the skeleton of the networks of a space, and whether they have a header."""
    skeleton = space.skeleton if isinstance(space, FixedSpace) else Skeleton.LAYERED
    return skeleton, any(isinstance(action, SetHeader) for action in space.actions)


def _selected(store: Store, selection: TableSelection, kind: tuple[Skeleton, bool] | None) -> dict[str, _TaskRows]:
    """Return the wanted rows by fingerprint of the data."""
    tasks: dict[str, _TaskRows] = {}
    names: set[str] = set()
    for row in store.evaluations(EvaluationQuery()):
        names.add(row.task)
        if not selection.takes(row):
            continue
        architecture = parse_architecture(row.architecture)
        if kind in (None, (architecture.skeleton, architecture.header is not None)):
            tasks.setdefault(row.key.data, _TaskRows(row.task)).rows.append((row, architecture))
    for wanted in selection.tasks:
        if wanted not in names:
            raise TableError(
                f"{store.url}: no evaluation of task {wanted!r} (it has {', '.join(sorted(names)) or 'none'})."
                + nearest(wanted, names)
            )
    if not tasks:
        raise TableError(f"{store.url}: no evaluation is selected; nothing is written. See `nasgym store ls`.")
    return tasks


def _one(what: str, found: Sequence[str]) -> str:
    if len(found) > 1:
        raise TableError(
            f"A table has one of these {what}, {len(found)} are selected: {'; '.join(found)}. "
            "Choose with --estimator, --epochs or --resolution."
        )
    return found[0]


def _profile_name(estimator: str) -> str:
    """Return the profile named in the fingerprint of a training estimator."""
    for part in estimator.split(":"):
        if part in PROFILES:
            return part
    raise TableError(
        f"Estimator {estimator!r} does not say how its networks were built; name the profile with --profile "
        f"({', '.join(PROFILES)})."
    )


def _described(data: str, task: _TaskRows, rules: NetworkProfile) -> TableTask:
    fidelities = {Fidelity(row.key.epochs, row.key.resolution, row.key.samples or None) for row, _ in task.rows}
    _one(f"fidelities of task {task.name!r}", sorted(map(str, fidelities)))
    fidelity = fidelities.pop()
    for row, architecture in task.rows:
        if architecture_id(architecture, rules.leaves) != row.key.architecture_id:
            raise TableError(
                f"'{row.architecture}' has id {row.key.architecture_id} in the store and another in profile "
                f"{rules.name!r}: it was built by another profile; name that one with --profile."
            )
    channels, n_classes = _shape(task, fidelity.resolution, rules)
    seeds = tuple(sorted({row.key.seed for row, _ in task.rows}))
    return TableTask(task.name, data, (fidelity.resolution,) * 2 + (channels,), n_classes, fidelity, seeds)


def _shape(task: _TaskRows, side: int, rules: NetworkProfile) -> tuple[int, int]:
    """Return the one number of channels and of classes with which the networks cost what was kept with them."""
    witnesses = [(row, architecture) for row, architecture in task.rows if row.outcome.metrics.parameters]
    for channels in CHANNELS:
        found = {
            _classes(architecture, row.outcome.metrics, (side, side, channels), rules)
            for row, architecture in witnesses[:WITNESSES]
        }
        if len(found) == 1 and (n_classes := found.pop()) is not None:
            return channels, n_classes
    raise TableError(
        f"Task {task.name!r}: no number of channels and classes gives its networks the parameters and FLOPs kept with "
        f"them under profile {rules.name!r}; name the right one with --profile."
    )


def _classes(
    architecture: Architecture, costs: Metrics, shape: tuple[int, int, int], rules: NetworkProfile
) -> int | None:
    """Return the number of classes with which a network has these costs; `None` if there is none."""
    try:
        one, two = (plan(architecture, shape, n_classes, rules) for n_classes in (1, 2))
        more, rest = divmod(costs.parameters - one.parameters, two.parameters - one.parameters)
        if rest or more < 0:
            return None
        return 1 + more if plan(architecture, shape, 1 + more, rules).flops == costs.flops else None
    except PlanError:
        return None


def _space_text(space: str) -> str:
    """Return the name of a built-in space, or the text of a file."""
    if not space or space in BUILT_IN:
        return space
    try:
        return Path(space).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"Space {space!r} is a plug-in; a table names a built-in space or a file.") from error
