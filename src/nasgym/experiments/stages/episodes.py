"""From rows of a store to episodes, step by step, with the networks that they led to."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from nasgym.architectures import architecture_id, parse_architecture
from nasgym.architectures.spaces import SearchSpace
from nasgym.envs.positions import PositionTree, Stop
from nasgym.networks.profiles import NetworkProfile
from nasgym.report.experiment_report import EpisodeRecord
from nasgym.store import PlayedMetaEpisode, Trace
from nasgym.tasks import Task

_NO_NETWORK = (Stop.ILLEGAL, Stop.INVALID)


@dataclass
class _Open:
    """An episode that is under way in one environment.

    Attributes:
        actions: so far.
        rewards: so far.
        meta_episode: its number, from 1.
        place: which of its meta-episode it is, from 1.
    """

    meta_episode: int
    place: int = 1
    actions: list[int] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Networks:
    """Finds the networks that actions lead to, by walking the search space.

    Attributes:
        space: of the actions.
        tasks: by name; they decide which networks can exist.
        profile: how architectures become networks.
    """

    space: SearchSpace
    tasks: Mapping[str, Task]
    profile: NetworkProfile
    _trees: dict[str, PositionTree] = field(default_factory=dict, init=False, repr=False, compare=False)

    def after(self, actions: Iterable[int], task: str) -> tuple[str | None, ...]:
        """Return the text of the network after each action, `None` where there is none."""
        if task not in self._trees:
            self._trees[task] = PositionTree(self.space, self.tasks[task], self.profile)
        tree = self._trees[task]
        position, texts = tree.start(), []
        for action in actions:
            position = tree.step(position, action)
            texts.append(None if position.stop in _NO_NETWORK else position.text or None)
        return tuple(texts)

    def best(self, episodes: Iterable[EpisodeRecord], n: int) -> list[tuple[str, float]]:
        """Return text and reward of the `n` best networks of episodes, the best first, no network twice."""
        found: dict[str, tuple[str, float]] = {}
        for episode in episodes:
            for text, reward in zip(episode.networks, episode.rewards, strict=True):
                if text is not None and reward > 0:
                    key = architecture_id(parse_architecture(text), self.profile.leaves)
                    if key not in found or reward > found[key][1]:
                        found[key] = text, reward
        return sorted(found.values(), key=lambda pair: -pair[1])[:n]


def played_episodes(rows: Iterable[PlayedMetaEpisode], networks: Networks) -> Iterator[EpisodeRecord]:
    """Yield the episodes of meta-episodes that were played with frozen weights.

    Rows of stores that kept no steps give nothing.
    """
    for number, row in enumerate(rows, start=1):
        steps = zip(row.actions or (), row.step_rewards or (), strict=True)
        for place, (actions, rewards) in enumerate(steps, start=1):
            texts = networks.after(actions, row.task)
            yield EpisodeRecord(actions, rewards, texts, place=place, meta_episode=number)


def traced_episodes(
    traces: Iterable[Trace], tasks: Sequence[tuple[str, str]], networks: Networks
) -> Iterator[EpisodeRecord]:
    """Yield the episodes of a training in the order in which they ended; what has not ended is left out.

    Args:
        traces: of its updates, in their order.
        tasks: by number, what the stage calls it and its own name.
        networks: finds the networks.
    """
    several = len({called for called, _ in tasks}) > 1
    under_way: list[_Open] = []
    numbers = count(1)
    for trace in traces:
        for row, (actions, rewards, ends) in enumerate(zip(trace.actions, trace.rewards, trace.ends, strict=True)):
            if row in trace.resets or len(under_way) != len(actions):
                under_way = [_Open(next(numbers)) for _ in actions]
            for place, (one, action, reward, end) in enumerate(zip(under_way, actions, rewards, ends, strict=True)):
                one.actions.append(action)
                one.rewards.append(reward)
                if end:
                    called, task = tasks[trace.tasks[row][place] if trace.tasks else 0]
                    texts = networks.after(one.actions, task)
                    yield EpisodeRecord(
                        tuple(one.actions),
                        tuple(one.rewards),
                        texts,
                        place=one.place,
                        task=called if several else "",
                        meta_episode=one.meta_episode,
                    )
                    goes_on = end == 1
                    under_way[place] = _Open(one.meta_episode, one.place + 1) if goes_on else _Open(next(numbers))
