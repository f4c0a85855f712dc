"""Small tables of any space, in which some networks are missing and some have failed."""

from pathlib import Path

from nasgym.architectures import Architecture, architecture_id
from nasgym.architectures.spaces import SearchSpace
from nasgym.core.randomness import stream
from nasgym.evaluation import Completed, Failed, FailureKind, Metrics, Outcome
from nasgym.evaluation.tables import Table, TableBuilder, TableDescription, TableTask
from nasgym.networks.profiles import DEFAULT, NetworkProfile
from nasgym.tasks import Fidelity

TASKS = (
    TableTask("small", "data-small", (8, 8, 3), 10, Fidelity(1, 8), seeds=(0, 1)),
    TableTask("large", "data-large", (32, 32, 3), 10, Fidelity(2, 32), seeds=(5,)),
)


def networks_of(space: SearchSpace, n: int, profile: NetworkProfile, seed: int = 0) -> list[Architecture]:
    """Return networks that random legal actions come upon, each once."""
    generator = stream(seed, "networks", space.name)
    found: dict[str, Architecture] = {}
    for _ in range(n):
        draft = space.start()
        while draft.ending is None:
            actions = space.legal(draft).nonzero()[0]
            draft = space.apply(draft, int(generator.choice(actions)))
            architecture = space.architecture(draft)
            if architecture is not None:
                found[architecture_id(architecture, profile.leaves)] = architecture
    return list(found.values())


def small_table(folder: Path, space: SearchSpace, n: int = 60, profile: NetworkProfile = DEFAULT) -> Table:
    """Return a table of two thirds of the networks that `n` random episodes come upon; one in ten has failed."""
    networks = networks_of(space, n, profile)
    skeleton = networks[0].skeleton
    builder = TableBuilder(TableDescription("small table", TASKS, profile.name, "made up", skeleton=skeleton))
    generator = stream(1, "accuracies", space.name)
    for number, network in enumerate(networks):
        if number % 3 == 2:
            continue
        for task in TASKS:
            for seed in task.seeds:
                metrics = Metrics(parameters=1000 + number, flops=10_000 + number, density=1.0)
                outcome: Outcome = Completed(generator.random(), metrics)
                if generator.random() < 0.1:
                    outcome = Failed(FailureKind.DIVERGED, "Its loss became infinite.", metrics)
                builder.add(network, task.fingerprint, seed, outcome)
    return builder.write(folder / f"{space.kind}.nasgym-table")
