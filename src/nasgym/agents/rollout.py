"""Playing: a policy acts in environments for some steps, and what happens is written to arrays."""

import time
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nasgym.agents.config import Rollout
from nasgym.agents.memory import State
from nasgym.agents.playing import Environments, Flags, Seen, Transition
from nasgym.agents.policy import Inputs, Policy
from nasgym.agents.voices import Voice, voice_of

NOISE_STEPS = 32
"""Steps for which noise is drawn at once."""


@dataclass(frozen=True)
class Batch:
    """What happened in a rollout of T steps; arrays, of which the buffer keeps the memory.

    Attributes:
        seen: what the policy was fed with, T + 1 times: the last one follows the rollout.
        actions: shape `(T, n)`.
        rewards: shape `(T, n)`.
        logits: of the actions when they were taken, shape `(T, n, n_actions)`.
        values: of what was seen, shape `(T + 1, n)`.
        final_values: of what was seen last, where truncated, shape `(T, n)`.
        terminated: where a meta-episode ended for good, shape `(T, n)`.
        truncated: where one was cut off, shape `(T, n)`.
        episode_ended: where an episode ended, shape `(T, n)`.
        indices: of the episodes, shape `(T, n)`.
        state: memory before the first step.
    """

    seen: Seen
    actions: NDArray[np.int64]
    rewards: NDArray[np.float32]
    logits: NDArray[np.float32]
    values: NDArray[np.float32]
    final_values: NDArray[np.float32]
    terminated: Flags
    truncated: Flags
    episode_ended: Flags
    indices: NDArray[np.int64]
    state: State

    def __len__(self) -> int:
        return len(self.actions)


@dataclass
class Clock:
    """Seconds spent in environments and in the policy."""

    environment: float = 0.0
    policy: float = 0.0


@dataclass
class Course:
    """Where playing stands between rollouts.

    Attributes:
        state: the memory.
        finished: which environments have ended a meta-episode since the last reset.
        taken: the actions of each rollout since the last reset, each of shape `(T, n)`: with the seeds of the reset
            they lead environments to where they are.
        reset_number: number of the update that began with a reset, which names its seeds; -1 before the first.
    """

    state: State
    finished: Flags
    taken: list[NDArray[np.integer]] = field(default_factory=list)
    reset_number: int = -1


class Recorder:
    """Plays, with arrays that are used again for each rollout.

    Args:
        environments: where to play.
        policy: who plays.
        rollout: for how long.
    """

    def __init__(self, environments: Environments, policy: Policy, rollout: Rollout) -> None:
        n, steps, n_actions = environments.n, rollout.steps, policy.spec.n_actions
        self._environments, self._policy, self._rollout = environments, policy, rollout
        self.seen = Seen.empty(policy.spec, steps + 1, n)
        self._inputs = [Inputs(*(torch.from_numpy(part[t]) for part in self.seen)) for t in range(steps + 1)]
        self._actions = np.zeros((steps, n), dtype=np.int64)
        self._rewards = np.zeros((steps, n), dtype=np.float32)
        self._logits = np.zeros((steps, n, n_actions), dtype=np.float32)
        self._values = np.zeros((steps + 1, n), dtype=np.float32)
        self._final_values = np.zeros((steps, n), dtype=np.float32)
        self._terminated, self._truncated, self._episode_ended = np.zeros((3, steps, n), dtype=np.bool_)
        self._indices = np.zeros((steps, n), dtype=np.int64)

    def play(self, course: Course, noise: np.random.Generator, clock: Clock) -> Batch:
        """Play one rollout from what stands in the first row of `seen`; `course` goes on with it.

        Args:
            course: where playing stands.
            noise: by which actions are drawn.
            clock: is added to.
        """
        first = tuple(part.clone() for part in course.state)
        voice = voice_of(self._policy)
        state, length = course.state, 0
        while length < self._rollout.steps and not (self._rollout.whole_meta_episodes and course.finished.all()):
            if length % NOISE_STEPS == 0:
                gumbel = gumbel_noise(noise, (NOISE_STEPS, *self._logits.shape[1:])).numpy()
            began = time.perf_counter()
            said, following = voice(self._inputs[length], state)
            self._logits[length], self._values[length] = said
            np.argmax(said.logits + gumbel[length % NOISE_STEPS], axis=1, out=self._actions[length])
            acted = time.perf_counter()
            transition = self._environments.step(self._actions[length], self.seen.at(length + 1))
            clock.policy += acted - began
            clock.environment += time.perf_counter() - acted
            self._note(length, transition)
            if transition.truncated.any():
                self._value_the_last(length, transition, following, voice)
            course.finished |= transition.ended
            state = following
            length += 1
        ahead = tuple(part.clone() for part in state)
        self._values[length] = voice(self._inputs[length], ahead)[0].values
        course.state = state
        course.taken.append(smallest(self._actions[:length]))
        return self._batch(length, first)

    def begin_where_it_ended(self, length: int) -> None:
        """Let the next rollout begin with what was seen after `length` steps of the last one."""
        for part in self.seen:
            part[0] = part[length]

    def _note(self, step: int, transition: Transition) -> None:
        self._rewards[step] = transition.rewards
        self._terminated[step] = transition.terminated
        self._truncated[step] = transition.truncated
        self._episode_ended[step] = transition.episode_ended
        self._indices[step] = transition.indices

    def _value_the_last(self, step: int, transition: Transition, state: State, voice: Voice) -> None:
        """Value what was seen last in meta-episodes that were cut off."""
        reader = self._environments.reader
        for place in np.flatnonzero(transition.truncated).tolist():
            rows, numbers = reader.read_one(transition.infos["final_obs"][place])
            everything = torch.ones(1, reader.spec.n_actions, dtype=torch.bool)
            inputs = Inputs(
                torch.from_numpy(rows), torch.from_numpy(numbers), everything, torch.zeros(1, dtype=torch.bool)
            )
            said, _ = voice(inputs, tuple(part[place : place + 1].clone() for part in state))
            self._final_values[step, place] = said.values[0]

    def _batch(self, length: int, state: State) -> Batch:
        return Batch(
            self.seen.at(slice(length + 1)),
            self._actions[:length],
            self._rewards[:length],
            self._logits[:length],
            self._values[: length + 1],
            self._final_values[:length],
            self._terminated[:length],
            self._truncated[:length],
            self._episode_ended[:length],
            self._indices[:length],
            state,
        )


def gumbel_noise(generator: np.random.Generator, shape: tuple[int, ...]) -> Tensor:
    """Return noise which, added to logits, makes the largest of them a draw from their distribution."""
    return torch.from_numpy(generator.standard_exponential(shape, dtype=np.float32)).clamp_(min=1e-20).log_().neg_()


def smallest(actions: NDArray[np.int64]) -> NDArray[np.integer]:
    """Return a copy in the smallest type that holds the actions."""
    return actions.astype(np.min_scalar_type(int(actions.max(initial=0))))
