"""Made-up experiments to report on: their episodes really walk the search space, their rewards are made up."""

from dataclasses import replace

import numpy as np

from nasgym.architectures import format_architecture, parse_architecture
from nasgym.architectures.actions import ShiftPointer, action_label
from nasgym.architectures.spaces import load_space
from nasgym.architectures.spaces.space import Ending
from nasgym.core.errors import PlanError
from nasgym.core.randomness import stream
from nasgym.networks.plan import plan
from nasgym.networks.profiles import PAPER, PAPER_INTENSIVE, VGG19_LIKE
from nasgym.report.experiment_report import (
    EpisodeRecord,
    ExperimentFacts,
    ExperimentReport,
    FinalRecord,
    HardnessRecord,
    PaperAgent,
    StageKind,
    StageRecord,
    TaskRecord,
)

SIDE = 20
TASKS = (
    TaskRecord("omniglot", "omniglot", (3200, 800, 800), 242, (SIDE, SIDE, 1)),
    TaskRecord("flowers5", "vgg_flower", (1800, 600, 600), 5, (SIDE, SIDE, 3)),
    TaskRecord("sign_digits", "aircraft", (1200, 400, 400), 10, (SIDE, SIDE, 3)),
    TaskRecord("traffic_sign", "cu_birds", (5000, 1500, 1500), 43, (SIDE, SIDE, 3)),
)
FACTS = ExperimentFacts(
    command="nasgym experiment 'my <file>.toml'",
    settings=(("space", "chain"), ("steps", "400")),
    seeds=(0, 1),
    store="runs/experiment.db",
    started="1 May 2026",
    seconds=5400.0,
    versions=(("nasgym", "0.1.0"),),
    hardware="2 processors",
    commit="abcdef",
)


def walk(
    episodes: int, *, space: str = "chain", layers: int = 6, gain: float = 0.0, seed: int = 0, places: int = 1
) -> tuple[EpisodeRecord, ...]:
    """Uniformly drawn actions; the longer a network, the more it earns, and `gain` more at the end than at first."""
    known, generator = load_space(space, max_layers=layers), stream(seed, "test", "walk")
    made = []
    for number in range(episodes):
        draft, actions, rewards, networks = known.start(), [], [], []
        while draft.ending is None and len(actions) < 2 * layers:
            action = int(generator.integers(len(known.actions)))
            draft = known.apply(draft, action)
            text, reward = None, 0.0
            if draft.ending is not Ending.ILLEGAL:
                architecture = known.architecture(draft)
                try:
                    plan(architecture, (SIDE, SIDE, 3), 10, PAPER)
                    text = format_architecture(architecture)
                    reward = 0.2 + 0.05 * len(architecture) + gain * number / episodes + 0.02 * generator.random()
                except PlanError:
                    pass
            shifted = isinstance(known.actions[action], ShiftPointer)
            actions.append(action)
            rewards.append(0.0 if shifted else reward)
            networks.append(text)
            if text is None:
                break
        whole = number // places + 1 if places > 1 else 0
        made.append(
            EpisodeRecord(
                tuple(actions), tuple(rewards), tuple(networks), place=1 + number % places, meta_episode=whole
            )
        )
    return tuple(made)


def labels(space: str = "chain") -> tuple[str, ...]:
    return tuple(action_label(action) for action in load_space(space).actions)


def entropies(updates: int) -> tuple[tuple[int, float], ...]:
    return tuple((5 * number, float(np.log(8) - number / updates)) for number in range(1, updates + 1))


META = StageRecord(
    name="omniglot-a2c",
    kind=StageKind.TRAIN,
    agent="meta-A2C",
    paper_agent=PaperAgent.META,
    task="omniglot",
    actions=labels(),
    episodes=walk(300, gain=0.3, seed=1),
    entropies=entropies(220),
    seconds=3000.0,
    networks_evaluated=260,
    networks_trained=210,
)
DQN = replace(
    META,
    name="omniglot-dqn",
    agent="DQN",
    paper_agent=PaperAgent.DQN,
    episodes=walk(200, gain=0.1, seed=2),
    entropies=(),
)
RANDOM = replace(
    META,
    name="omniglot-random",
    kind=StageKind.WALK,
    agent="random",
    paper_agent=PaperAgent.RANDOM,
    episodes=walk(200, seed=3),
    entropies=(),
    seconds=1200.0,
)
FLOWERS = replace(META, name="flowers5-a2c", task="flowers5", init="omniglot-a2c", episodes=walk(120, seed=4, places=4))
FROZEN = tuple(
    replace(META, name=f"{task}-frozen", kind=StageKind.FROZEN, task=task, episodes=walk(150, seed=seed), entropies=())
    for seed, task in enumerate(("sign_digits", "traffic_sign"), start=5)
)
BRANCHES = tuple(
    replace(
        META,
        name=f"sigma-{sigma}",
        agent=f"meta-A2C, σ = {sigma}",
        actions=labels("multi-branch"),
        episodes=walk(150, space="multi-branch", gain=0.1, seed=seed),
        sigma=sigma,
    )
    for seed, sigma in enumerate((0.0, 0.1), start=8)
)
VGG = format_architecture(parse_architecture("conv3 conv3 maxpool2 conv3 conv3 maxpool2"))
FINALS = (
    FinalRecord(
        "sign_digits", "best", 1, "conv3 maxpool2 conv3", (0.8, 0.82), (0.79, 0.81), 500_000, 60.0, 0.7, PAPER_INTENSIVE
    ),
    FinalRecord(
        "sign_digits", "second", 2, "conv5 maxpool2", (0.7, 0.72), (0.69, 0.71), 400_000, 50.0, 0.68, PAPER_INTENSIVE
    ),
    FinalRecord("sign_digits", "VGG19-like", 0, VGG, (0.5, 0.6), (0.5, 0.6), 9_000_000, 80.0, None, VGG19_LIKE),
)
HARDNESS = tuple(
    HardnessRecord(task.name, tuple(0.1 * number + 0.01 * index for index in range(40)), 30.0)
    for number, task in enumerate(TASKS)
)
NOTHING = ExperimentReport("nothing", "Nothing has begun", FACTS, TASKS[:1])
ONE = ExperimentReport("one", "One stage", FACTS, TASKS[:1], PAPER, stages=(RANDOM,))
MANY = ExperimentReport(
    name="many",
    title="All three experiments at once",
    facts=FACTS,
    tasks=TASKS,
    profile=PAPER,
    scaled=("Images have 20 pixels instead of 84.", "Episodes have at most 6 layers <instead> of 10."),
    stages=(META, DQN, RANDOM, FLOWERS, *FROZEN),
    finals=FINALS,
    hardness=HARDNESS,
)
BRANCHED = replace(MANY, name="branched", title="Experiment 3", stages=BRANCHES, finals=(), hardness=())
