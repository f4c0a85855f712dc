"""Tables of any size for measurements: real networks of a space, accuracies drawn from a generator."""

import hashlib
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np

from nasgym.architectures import Architecture, Layer, architecture_id, canonical
from nasgym.architectures.spaces import SearchSpace, load_space
from nasgym.core.randomness import stream
from nasgym.evaluation.tables import Table, TableDescription, TableTask
from nasgym.evaluation.tables.container import write_container
from nasgym.evaluation.tables.layout import Layout
from nasgym.evaluation.tables.table import COMPLETED, STATES, TABLE
from nasgym.networks.profiles import DEFAULT
from nasgym.tasks import Fidelity


def synthetic_table(folder: Path, space_name: str, n: int, n_tasks: int = 1) -> Table:
    """Return a table of the `n` smallest networks of a space of chains or cells, or of `n` walked ones of graphs."""
    path = folder / f"{space_name}-{n}-{n_tasks}.nasgym-table"
    if not path.exists():
        _write(path, load_space(space_name), n, n_tasks)
    return Table(path)


def _write(path: Path, space: SearchSpace, n: int, n_tasks: int) -> None:
    ids: dict[int, Architecture] = {}
    for architecture in _networks(space):
        ids.setdefault(int(architecture_id(architecture, DEFAULT.leaves), 16), canonical(architecture, DEFAULT.leaves))
        if len(ids) == n:
            break
    names = sorted(ids)
    architectures = [ids[name] for name in names]
    layout = Layout.of(architectures)
    generator = stream(0, "synthetic table", space.name, n)
    shape = (n_tasks, 1, len(names))
    arrays = {
        **layout.encode(architectures),
        "ids": np.array(names, dtype=np.uint64),
        "states": np.full(shape, COMPLETED, dtype=np.uint8),
        "accuracies": generator.random(shape),
        "seconds": np.zeros(shape, dtype=np.float32),
        "test": np.full((n_tasks, len(names)), np.nan),
        "parameters": np.zeros((n_tasks, len(names)), dtype=np.int64),
        "flops": np.zeros((n_tasks, len(names)), dtype=np.int64),
        "densities": np.zeros((n_tasks, len(names)), dtype=np.float64),
    }
    tasks = tuple(
        TableTask(f"task {number}", hashlib.sha256(b"%d" % number).hexdigest()[:16], (32, 32, 3), 10, Fidelity(8))
        for number in range(n_tasks)
    )
    description = TableDescription("synthetic", tasks, "default", "synthetic", skeleton=layout.skeleton)
    contents = {
        "table": description.to_json(),
        "layout": layout.to_json(),
        "states": list(STATES),
        "profile_fingerprint": DEFAULT.fingerprint,
    }
    write_container(path, TABLE, contents, arrays)


def _networks(space: SearchSpace) -> Iterator[Architecture]:
    """Yield networks of `space`: all of them by depth, or those that random walks come upon."""
    if space.kind == "chain":
        words = space.actions[:-1]
        for depth in range(space.max_layers + 1):
            for chosen in product(words, repeat=depth):
                yield Architecture(
                    tuple(Layer(word.operation, word.kernel, (place,)) for place, word in enumerate(chosen))
                )
        return
    if hasattr(space, "architectures"):
        yield from space.architectures()
        return
    generator = stream(0, "networks", space.name)
    while True:
        draft = space.start()
        while draft.ending is None:
            draft = space.apply(draft, int(generator.choice(np.flatnonzero(space.legal(draft)))))
            architecture = space.architecture(draft)
            if architecture is not None:
                yield architecture
