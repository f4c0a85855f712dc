"""Tables from the files of public benchmarks: NAS-Bench-201, NAS-Bench-Macro, NAS-Bench-MR."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from nasgym.architectures import Architecture, Operation, Skeleton
from nasgym.architectures.nasbench201 import parse_cell
from nasgym.architectures.skeletons import SLOTS
from nasgym.architectures.spaces import FixedSpace
from nasgym.core.errors import ArchitectureError, TableError, nearest
from nasgym.evaluation.outcome import Completed, Metrics
from nasgym.evaluation.tables.building import TableBuilder
from nasgym.evaluation.tables.description import TableDescription, TableTask
from nasgym.evaluation.tables.reading import fraction, number, read_csv, read_json_object
from nasgym.evaluation.tables.table import Table
from nasgym.networks.plan import plan
from nasgym.networks.profiles import DEFAULT
from nasgym.tasks import Fidelity

Choices = tuple[tuple[Operation, int], ...]

_CELL_TASKS = {
    "c10": TableTask(
        "cifar10", "nas-bench-201:cifar10-valid", (32, 32, 3), 10, Fidelity(12, 32), test="200 epochs, mean of seeds"
    ),
    "c100": TableTask(
        "cifar100", "nas-bench-201:cifar100", (32, 32, 3), 100, Fidelity(12, 32), test="200 epochs, mean of seeds"
    ),
    "in16": TableTask(
        "imagenet16-120",
        "nas-bench-201:ImageNet16-120",
        (16, 16, 3),
        120,
        Fidelity(12, 16),
        test="200 epochs, mean of seeds",
    ),
}
"""Tasks of NAS-Bench-201 by the prefix of their columns."""
_MACRO_SEEDS = (0, 1, 2)
_MACRO_TASK = TableTask(
    "cifar10",
    "nas-bench-macro:cifar10",
    (32, 32, 3),
    10,
    Fidelity(50, 32),
    _MACRO_SEEDS,
    metric="test accuracy: the benchmark has no validation images",
    test="mean of 3 trainings",
)
_MR_CLASSES = {
    "cls-50-1000:top1": 50,
    "cls-50-100:top1": 50,
    "cls-10-1000:top1": 10,
    "cls-10c:top1": 50,
    "seg:mIoU": 19,
    "seg-4x:mIoU": 19,
    "video:top1": 51,
    "video-p:top1": 51,
}
"""Classes by column of NAS-Bench-MR. Its file does not explain cls-10c; its top-5 accuracies look like 50 classes."""


def import_table(benchmark: str, source: str | Path, out: str | Path) -> Table:
    """Write the table of a published benchmark from its file, and return it.

    Args:
        benchmark: `nas-bench-201`, `nas-bench-macro` or `nas-bench-mr`.
        source: CSV or JSON file, plain, `.gz` or `.xz`.
        out: where the table goes.

    Raises:
        TableError: unknown benchmark, or the file cannot be read, lacks a column or holds nonsense; says where.
    """
    if benchmark not in IMPORTERS:
        raise TableError(
            f"Unknown benchmark {benchmark!r} (known: {', '.join(IMPORTERS)}).{nearest(benchmark, IMPORTERS)}"
        )
    return IMPORTERS[benchmark](Path(source)).write(out)


def nas_bench_201(source: Path) -> TableBuilder:
    """Read the 15,625 cells; a task is taken where its 12-epoch validation column is there.

    Columns: `arch`, `c10_val_12`, `c100_val_12`, `in16_val_12` (percent, what searches see) and `c10_test_200`,
    `c100_test_200`, `in16_test_200` (percent, for reporting).
    """
    rows = read_csv(source, ["arch"])
    columns = set(rows[0]) if rows else set()
    found = {prefix: task for prefix, task in _CELL_TASKS.items() if f"{prefix}_val_12" in columns}
    if not found:
        wanted = ", ".join(f"{prefix}_val_12" for prefix in _CELL_TASKS)
        raise TableError(f"{source}: none of the columns {wanted} is there, or there are no rows.")
    builder = TableBuilder(
        TableDescription(
            name="nas-bench-201",
            tasks=tuple(found.values()),
            profile=DEFAULT.name,
            estimator="published:nas-bench-201",
            source="NAS-Bench-201, arXiv 2001.00326: 12-epoch validation accuracy; 200-epoch test accuracy",
            licence="MIT (D-X-Y/NAS-Bench-201 and D-X-Y/NATS-Bench)",
            space=Skeleton.CELL201.token,
            skeleton=Skeleton.CELL201,
        )
    )
    costs = {prefix: FixedCosts(Skeleton.CELL201, task) for prefix, task in found.items()}
    for line, row in enumerate(rows, start=2):
        cell = _at(f"{source}, line {line}", parse_cell, row["arch"])
        for prefix, task in found.items():
            where = f"{source}, line {line}, column {prefix}"
            accuracy = fraction(row[f"{prefix}_val_12"], f"{where}_val_12")
            if accuracy is not None:
                builder.add(cell, task.fingerprint, 0, Completed(accuracy, costs[prefix].metrics(cell)))
            score = fraction(row.get(f"{prefix}_test_200", ""), f"{where}_test_200")
            if score is not None:
                builder.add_test(cell, task.fingerprint, score)
    return builder


def nas_bench_macro(source: Path) -> TableBuilder:
    """Read the 6,561 chains: `{"01201120": {"test_acc": [89.1, 89.4, 89.0], …}, …}` (percent).

    Seed `k` sees training `k` of three. The benchmark trains on all training images and publishes test accuracies
    only: they are what searches see, and their mean is what is reported, as in the literature.
    """
    space = FixedSpace(Skeleton.MACRO)
    costs = FixedCosts(Skeleton.MACRO, _MACRO_TASK)
    builder = TableBuilder(
        TableDescription(
            name="nas-bench-macro",
            tasks=(_MACRO_TASK,),
            profile=DEFAULT.name,
            estimator="published:nas-bench-macro",
            source="NAS-Bench-Macro, arXiv 2103.11922 (xiusu/NAS-Bench-Macro): three trainings of 50 epochs",
            licence="Apache-2.0",
            space=Skeleton.MACRO.token,
            skeleton=Skeleton.MACRO,
        )
    )
    for name, entry in read_json_object(source).items():
        where = f"{source}, network {name!r}"
        network = _at(where, lambda digits: space.filled(_macro_choices(digits)), name)
        scores = entry.get("test_acc") if isinstance(entry, dict) else None
        if not isinstance(scores, list) or len(scores) > len(_MACRO_SEEDS):
            raise TableError(f"{where}: test_acc must be a list of up to {len(_MACRO_SEEDS)} numbers, got {scores!r}.")
        known = [score for score in (fraction(score, f"{where}, test_acc") for score in scores) if score is not None]
        metrics = costs.metrics(network)
        for seed, accuracy in enumerate(known):
            builder.add(network, _MACRO_TASK.fingerprint, seed, Completed(accuracy, metrics))
        if known:
            builder.add_test(network, _MACRO_TASK.fingerprint, sum(known) / len(known))
    return builder


def nas_bench_mr(source: Path) -> TableBuilder:
    """Read the 2,507 multi-resolution networks: columns `embedding`, `params_M`, `flops_G` and one or more scores.

    One metric is taken for each of the eight tasks: top-1 accuracy, and the mean intersection over union (percent).
    Costs are the file's, counted at 224 × 224 pixels. The file does not say for how many epochs networks were trained:
    the fidelity says 1, one training as published.
    """
    rows = read_csv(source, ["embedding", "params_M", "flops_G"])
    columns = set(rows[0]) if rows else set()
    found = {
        column: TableTask(
            column.partition(":")[0],
            f"nas-bench-mr:{column.partition(':')[0]}",
            (224, 224, 3),
            n_classes,
            Fidelity(1, 224),
            metric=f"validation {column.partition(':')[2]}",
        )
        for column, n_classes in _MR_CLASSES.items()
        if column in columns
    }
    if not found:
        raise TableError(f"{source}: none of the columns {', '.join(_MR_CLASSES)} is there, or there are no rows.")
    space = FixedSpace(Skeleton.MULTI_RESOLUTION)
    builder = TableBuilder(
        TableDescription(
            name="nas-bench-mr",
            tasks=tuple(found.values()),
            profile=DEFAULT.name,
            estimator="published:nas-bench-mr",
            source="NAS-Bench-MR, arXiv 2103.13253 (dingmyu/NCP)",
            licence='BSD-2-Clause for academic use; "for commercial use, please contact the author"',
            space=Skeleton.MULTI_RESOLUTION.token,
            skeleton=Skeleton.MULTI_RESOLUTION,
        )
    )
    for line, row in enumerate(rows, start=2):
        where = f"{source}, line {line}"
        network = _at(where, lambda code: space.filled(_mr_choices(code)), row["embedding"])
        millions, billions = number(row["params_M"], f"{where}, params_M"), number(row["flops_G"], f"{where}, flops_G")
        metrics = Metrics(parameters=round((millions or 0) * 1e6), flops=2 * round((billions or 0) * 1e9))
        for column, task in found.items():
            accuracy = fraction(row[column], f"{where}, column {column}")
            if accuracy is not None:
                builder.add(network, task.fingerprint, 0, Completed(accuracy, metrics))
    return builder


IMPORTERS: Mapping[str, Callable[[Path], TableBuilder]] = MappingProxyType(
    {"nas-bench-201": nas_bench_201, "nas-bench-macro": nas_bench_macro, "nas-bench-mr": nas_bench_mr}
)
"""What reads the file of each benchmark."""


class FixedCosts:
    """Costs of the networks of a fixed skeleton on a task, without a plan for each: they add up over the slots.

    Args:
        skeleton: one that is built.
        task: image shape and classes.
    """

    def __init__(self, skeleton: Skeleton, task: TableTask) -> None:
        slots = SLOTS[skeleton]
        space = FixedSpace(skeleton)
        first = tuple(slot.choices[0] for slot in slots)

        def metrics(choices: Choices) -> Metrics:
            planned = plan(space.filled(choices), task.input_shape, task.n_classes, DEFAULT)
            return Metrics(parameters=planned.parameters, flops=planned.flops, density=planned.density)

        self._base = metrics(first)
        self._added = [
            {choice: metrics((*first[:place], choice, *first[place + 1 :])) for choice in slot.choices}
            for place, slot in enumerate(slots)
        ]

    def metrics(self, architecture: Architecture) -> Metrics:
        """Return parameters, FLOPs and density of a network: those of its plan."""
        base = self._base
        parts = [
            added[layer.operation, layer.kernel] for added, layer in zip(self._added, architecture.layers, strict=True)
        ]
        return Metrics(
            parameters=base.parameters + sum(part.parameters - base.parameters for part in parts),
            flops=base.flops + sum(part.flops - base.flops for part in parts),
            density=base.density,
        )


def _macro_choices(digits: str) -> Choices:
    slots = SLOTS[Skeleton.MACRO]
    if len(digits) != len(slots) or not set(digits) <= set("012"):
        raise ArchitectureError(f"{digits!r} is not a chain of {len(slots)} digits from 0 to 2.")
    return tuple(slot.choices[int(digit)] for slot, digit in zip(slots, digits, strict=True))


def _mr_choices(code: str) -> Choices:
    numbers = code.replace("-", "_").split("_")
    if not all(part.isascii() and part.isdecimal() for part in numbers):
        raise ArchitectureError(f"{code!r} is not a NAS-Bench-MR code: whole numbers joined by '_'.")
    return tuple((Operation.NUMBER, int(part)) for part in numbers)


def _at(where: str, read: Callable[[str], Architecture], text: str) -> Architecture:
    try:
        return read(text)
    except ArchitectureError as error:
        raise TableError(f"{where}: {error}") from error
