"""From rows to episodes: by hand, and against what environments themselves told."""

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from nasgym.architectures.spaces import load_space
from nasgym.envs import MetaEpisodes
from nasgym.envs.vector import make_vector_env
from nasgym.experiments.meta.watching import Traced, Unmasked
from nasgym.experiments.stages.episodes import Networks, played_episodes, traced_episodes
from nasgym.networks.profiles import profile
from nasgym.report.experiment_report import EpisodeRecord
from nasgym.store import PlayedMetaEpisode, Trace
from nasgym.tasks import Budget, Fidelity, Task
from nasgym.testing.closed_form import ClosedFormEstimator

TASK = Task("eight", "eight", (8, 8, 1), 10, Budget(), Fidelity(1, 8))
OTHER = Task("nine", "nine", (9, 9, 1), 10, Budget(), Fidelity(1, 9))


def networks(kind: str = "chain", layers: int = 3) -> Networks:
    space = load_space(kind, max_layers=layers)
    return Networks(space, {"eight": TASK, "nine": OTHER}, profile("paper"))


def test_each_action_leads_to_the_network_so_far():
    found = networks()
    assert found.after((1, 3, 7), "eight") == ("conv3", "conv3 maxpool2", "conv3 maxpool2")
    assert found.after((7,), "eight") == ("empty",)


def test_a_network_that_cannot_exist_is_none():
    found = networks()
    assert found.after((2, 2), "eight") == ("conv5", None)
    assert found.after((2, 2), "nine") == ("conv5", "conv5 conv5")


def test_a_pointer_that_leaves_its_range_leads_to_no_network():
    found = networks("multi-branch")
    down = load_space("multi-branch", max_layers=3)
    labels = [down.describe(action) for action in range(len(down.actions))]
    p1_down = labels.index("p1 down")
    assert found.after((0, 1, p1_down), "eight") == ("conv1", "conv1 conv3", "conv1 conv3")
    assert found.after((p1_down,), "eight") == (None,)


def test_the_best_networks_are_those_of_the_highest_rewards_and_none_comes_twice():
    found = networks()
    episodes = [
        EpisodeRecord((1, 7), (0.5, 0.5), ("conv3", "conv3")),
        EpisodeRecord((2, 2), (0.25, 0.0), ("conv5", None)),
        EpisodeRecord((0, 1), (0.125, 0.75), ("conv1", "conv1 conv3")),
    ]
    assert found.best(episodes, 2) == [("conv1 conv3", 0.75), ("conv3", 0.5)]
    assert found.best(episodes, 9)[2:] == [("conv5", 0.25), ("conv1", 0.125)]


def test_episodes_go_on_from_one_update_to_the_next_until_environments_begin_anew():
    traces = [
        Trace(((1, 0), (3, 7)), ((0.5, 0.25), (0.75, 0.25)), ((0, 0), (0, 2)), (0,)),
        Trace(((7, 2), (1, 2)), ((0.75, 0.5), (0.5, 0.0)), ((1, 0), (0, 2))),
        Trace(((7, 7),), ((0.125, 0.125),), ((2, 2),), (0,)),
    ]
    assert list(traced_episodes(traces, [("eight", "eight")], networks())) == [
        EpisodeRecord((0, 7), (0.25, 0.25), ("conv1", "conv1"), meta_episode=2),
        EpisodeRecord((1, 3, 7), (0.5, 0.75, 0.75), ("conv3", "conv3 maxpool2", "conv3 maxpool2"), meta_episode=1),
        EpisodeRecord((2, 2), (0.5, 0.0), ("conv5", None), meta_episode=3),
        EpisodeRecord((7,), (0.125,), ("empty",), meta_episode=5),
        EpisodeRecord((7,), (0.125,), ("empty",), meta_episode=6),
    ]


def test_the_place_in_a_meta_episode_and_the_task_are_told():
    trace = Trace(((2,), (2,), (7,), (7,)), ((0.5,),) * 4, ((0,), (1,), (2,), (2,)), (0,), ((1,), (1,), (1,), (0,)))
    episodes = list(traced_episodes([trace], [("small", "eight"), ("large", "nine")], networks()))
    assert [(one.meta_episode, one.place, one.task, one.networks) for one in episodes] == [
        (1, 1, "large", ("conv5", "conv5 conv5")),
        (1, 2, "large", ("empty",)),
        (2, 1, "small", ("empty",)),
    ]
    (first, *_) = traced_episodes([trace], [("both", "eight"), ("both", "nine")], networks())
    assert first.task == ""


def test_rows_without_steps_give_no_episodes():
    old = PlayedMetaEpisode("run", "frozen", 0, 0, "eight", (0.5,), (0.5,), (1,), ("empty",))
    new = PlayedMetaEpisode("run", "frozen", 0, 1, "eight", (0.5,), (0.5,), (1,), ("empty",), ((7,),), ((0.5,),))
    assert list(played_episodes([old, new], networks())) == [EpisodeRecord((7,), (0.5,), ("empty",), meta_episode=2)]


@pytest.mark.parametrize("kind", ["chain", "multi-branch"])
def test_traces_of_random_actions_tell_what_the_environments_told(kind):
    """Property: walking the space again finds each evaluated network, and the steps of each episode."""
    estimator = ClosedFormEstimator()
    envs = make_vector_env(
        3,
        meta=MetaEpisodes(2, (TASK, OTHER)),
        autoreset_mode=AutoresetMode.SAME_STEP,
        space=load_space(kind, max_layers=3),
        task=TASK,
        estimator=estimator,
    )
    traced = Traced(Unmasked(envs), ("eight", "nine"))
    draws = np.random.default_rng(0)
    _, infos = traced.reset(seed=[0, 1, 2])
    assert "action_mask" not in infos
    told: list[list[tuple[str | None, str]]] = [[] for _ in range(3)]
    traces = []
    for step in range(200):
        tasks = [task.name for task in envs.tasks]
        actions = draws.integers(envs.single_action_space.n, size=3)
        _, _, over, cut, infos = traced.step(actions)
        assert "action_mask" not in infos
        for place in range(3):
            source = infos["final_info"] if (over | cut)[place] else infos
            texts = source.get("architecture")
            told[place].append((None if texts is None else texts[place], tasks[place]))
        if step % 7 == 6:
            traces.append(traced.take())
    traces.append(traced.take())
    assert sum(len(trace.actions) for trace in traces) == 200
    found = Networks(envs.search_space, {"eight": TASK, "nine": OTHER}, estimator.profile)
    episodes = list(traced_episodes(traces, [("eight", "eight"), ("nine", "nine")], found))
    assert {one.place for one in episodes} == {1, 2}
    assert {one.task for one in episodes} == {"eight", "nine"}
    by_environment = [iter(one) for one in told]
    order = [place for trace in traces for ends in trace.ends for place, end in enumerate(ends) if end]
    compared = 0
    for place, episode in zip(order, episodes, strict=True):
        for network in episode.networks:
            text, task = next(by_environment[place])
            assert task == episode.task
            assert text in (None, network)
            compared += text is not None
    assert compared > 100
