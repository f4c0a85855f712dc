"""What an agent is, and how it is trained, as one frozen value."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, with_config

from nasgym.agents.schedules import Constant, Schedule
from nasgym.core.errors import ConfigurationError

_STRICT = ConfigDict(extra="forbid")


@with_config(_STRICT)
@dataclass(frozen=True)
class Lstm:
    """Long short-term memory (Hochreiter and Schmidhuber 1997), as of the paper."""

    size: int = 128
    kind: Literal["lstm"] = "lstm"


@with_config(_STRICT)
@dataclass(frozen=True)
class Gru:
    """Gated recurrent units (1406.1078), as of RL² (1611.02779)."""

    size: int = 128
    kind: Literal["gru"] = "gru"


@with_config(_STRICT)
@dataclass(frozen=True)
class Attention:
    """One block of causal attention over the meta-episode so far (1706.03762).

    Attributes:
        size: width.
        heads: of attention; they share the width equally.
        context: steps that are remembered at most, the present one included.
    """

    size: int = 128
    heads: int = 4
    context: int = 256
    kind: Literal["attention"] = "attention"

    def __post_init__(self) -> None:
        if self.size % self.heads:
            raise ConfigurationError(f"{self.heads} attention heads cannot share a width of {self.size} equally.")


@with_config(_STRICT)
@dataclass(frozen=True)
class NoMemory:
    """One hidden layer (tanh): nothing is remembered but what is observed."""

    size: int = 128
    kind: Literal["none"] = "none"


MemoryConfig = Lstm | Gru | Attention | NoMemory


class Encoding(StrEnum):
    """How whole numbers enter: the same function, by other arithmetic."""

    EMBEDDING = "embedding"
    """Each selects a row of a table, and the rows are added."""
    ONE_HOT = "one-hot"
    """Each becomes a one-hot vector, which is multiplied by the table."""


@with_config(_STRICT)
@dataclass(frozen=True)
class A2C:
    """Advantage actor-critic (1602.01783): one step along the gradient for each rollout."""

    kind: Literal["a2c"] = "a2c"


@with_config(_STRICT)
@dataclass(frozen=True)
class Ppo:
    """Proximal policy optimisation (1707.06347).

    Attributes:
        epochs: passes over each rollout.
        minibatches: into which the environments of a rollout are dealt in each pass; their sequences stay whole.
        clip: ε, by how much the probability of an action may change before its gradient is cut.
    """

    epochs: int = 4
    minibatches: int = 4
    clip: float = 0.2
    kind: Literal["ppo"] = "ppo"


@with_config(_STRICT)
@dataclass(frozen=True)
class Reinforce:
    """REINFORCE with a moving average of returns as baseline (1611.01578, section 3.2); the value head is not used.

    Attributes:
        baseline_decay: of the moving average, for each rollout.
    """

    baseline_decay: float = 0.95
    kind: Literal["reinforce"] = "reinforce"


AlgorithmConfig = A2C | Ppo | Reinforce


@with_config(_STRICT)
@dataclass(frozen=True)
class Rollout:
    """How long the environments are played before each update.

    Attributes:
        steps: of each environment, at most.
        whole_meta_episodes: begin meta-episodes anew for each update, and play until every environment has ended one;
            all steps are learned from, and what is unfinished then is bootstrapped. Meta-episodes that are not over
            after `steps` go on in the next update, with their memory carried over. Without, each update plays exactly
            `steps`, and memory is always carried over; gradients end there.
    """

    steps: int = 512
    whole_meta_episodes: bool = True


@with_config(_STRICT)
@dataclass(frozen=True)
class Returns:
    """What an action is credited with (1506.02438).

    Attributes:
        discount: γ.
        gae_lambda: λ; with 1, returns as far as the rollout goes.
        normalize_advantages: to mean 0 and standard deviation 1 in each batch.
    """

    discount: float = 0.99
    gae_lambda: float = 0.95
    normalize_advantages: bool = True


_ENTROPY, _LEARNING_RATE = Constant(0.01), Constant(1e-3)


@with_config(_STRICT)
@dataclass(frozen=True)
class Losses:
    """What is minimised beside the policy's own loss.

    Attributes:
        value: weight of the mean squared error of the values.
        entropy: weight of the entropy, which is maximised.
        auxiliary: weight of the mean squared error of a head that predicts, before it is known, the reward of the
            action taken; there is no such head with 0.
        value_shapes_memory: whether the gradient of the values reaches memory and encoder, and not their head alone.
    """

    value: float = 0.5
    entropy: Annotated[Schedule, Discriminator("kind")] = _ENTROPY
    auxiliary: float = 0.0
    value_shapes_memory: bool = True


@with_config(_STRICT)
@dataclass(frozen=True)
class Optimizer:
    """How weights follow gradients.

    Attributes:
        kind: `adam` (1412.6980) or `rmsprop`.
        learning_rate: over the training.
        decay: of the moving average of squared gradients (β₂ of Adam).
        epsilon: added to its root.
        gradient_norm: larger gradients are scaled down to it.
    """

    kind: Literal["adam", "rmsprop"] = "adam"
    learning_rate: Annotated[Schedule, Discriminator("kind")] = _LEARNING_RATE
    decay: float = 0.999
    epsilon: float = 1e-5
    gradient_norm: float = 0.5


@with_config(_STRICT)
@dataclass(frozen=True)
class Defects:
    """What was wrong with the agent of nas-dmrl; each can be switched on, to see what it does.

    Attributes:
        memory_reset_each_episode: memory is lost at the start of every episode, not of every meta-episode, and what was
            done last and came of it is not observed there.
        return_as_reward: in training, not in acting, the return that the value head is to predict in a step is observed
            in the same step, where the previous reward belongs.
        shifted_inputs: in training the step is one too high; the null action is action 0; it is not observed that an
            episode ended, nor how many have.
        returns_cut_at_episodes: returns end with the episode, γ is 0.9, and rollouts have 5 steps where they would have
            been whole meta-episodes.
    """

    memory_reset_each_episode: bool = False
    return_as_reward: bool = False
    shifted_inputs: bool = False
    returns_cut_at_episodes: bool = False


@with_config(_STRICT)
@dataclass(frozen=True)
class AgentConfig:
    """An agent and its training.

    Attributes:
        algorithm: what is done with a rollout.
        memory: what lasts from step to step.
        encoding: how whole numbers enter.
        rollout: how long the environments are played before each update.
        returns: what an action is credited with.
        losses: weights.
        optimizer: how weights follow gradients.
        defects: of the original agent; none unless switched on.

    Raises:
        ConfigurationError: a value out of its range; names it.
    """

    algorithm: Annotated[AlgorithmConfig, Discriminator("kind")] = Ppo()
    memory: Annotated[MemoryConfig, Discriminator("kind")] = Lstm()
    encoding: Encoding = Encoding.EMBEDDING
    rollout: Rollout = Rollout()
    returns: Returns = Returns()
    losses: Losses = Losses()
    optimizer: Optimizer = Optimizer()
    defects: Defects = Defects()

    def __post_init__(self) -> None:
        wrong = [f"{name} is {what}, got {value!r}" for name, value, holds, what in self._limits() if not holds(value)]
        if wrong:
            raise ConfigurationError(f"{'; '.join(wrong)}.")

    def _limits(self) -> list[tuple[str, Any, Callable[[Any], bool], str]]:
        """Return name, value, check and meaning of every setting that has a range."""
        limits: list[tuple[str, Any, Callable[[Any], bool], str]] = [
            ("memory.size", self.memory.size, _at_least_one, "at least 1"),
            ("rollout.steps", self.rollout.steps, _at_least_one, "at least 1"),
            ("returns.discount", self.returns.discount, _is_share, "from 0 to 1"),
            ("returns.gae_lambda", self.returns.gae_lambda, _is_share, "from 0 to 1"),
            ("losses.value", self.losses.value, _not_negative, "at least 0"),
            ("losses.auxiliary", self.losses.auxiliary, _not_negative, "at least 0"),
            ("optimizer.decay", self.optimizer.decay, _is_share, "from 0 to 1"),
            ("optimizer.epsilon", self.optimizer.epsilon, _positive, "above 0"),
            ("optimizer.gradient_norm", self.optimizer.gradient_norm, _positive, "above 0"),
        ]
        for name, schedule in (
            ("losses.entropy", self.losses.entropy),
            ("optimizer.learning_rate", self.learning_rate),
        ):
            limits += [(name, schedule.at(progress), _not_negative, "at least 0") for progress in (0.0, 1.0)]
        if isinstance(self.memory, Attention):
            limits += [
                ("memory.heads", self.memory.heads, _at_least_one, "at least 1"),
                ("memory.context", self.memory.context, _at_least_one, "at least 1"),
            ]
        match self.algorithm:
            case Ppo(epochs, minibatches, clip):
                limits += [
                    ("algorithm.epochs", epochs, _at_least_one, "at least 1"),
                    ("algorithm.minibatches", minibatches, _at_least_one, "at least 1"),
                    ("algorithm.clip", clip, _positive, "above 0"),
                ]
            case Reinforce(decay):
                limits.append(("algorithm.baseline_decay", decay, _is_share, "from 0 to 1"))
            case A2C():
                pass
        return limits

    @property
    def learning_rate(self) -> Schedule:
        """Of the optimizer."""
        return self.optimizer.learning_rate

    @property
    def as_trained(self) -> "AgentConfig":
        """The configuration with what a defect makes of its settings."""
        if not self.defects.returns_cut_at_episodes:
            return self
        returns = replace(self.returns, discount=0.9)
        rollout = Rollout(steps=5, whole_meta_episodes=False) if self.rollout.whole_meta_episodes else self.rollout
        return replace(self, rollout=rollout, returns=returns)

    def to_json(self) -> dict[str, Any]:
        """Return the configuration as `agent_config` reads it."""
        return asdict(self)


def _at_least_one(value: int) -> bool:
    return value >= 1


def _is_share(value: float) -> bool:
    return 0 <= value <= 1


def _not_negative(value: float) -> bool:
    return math.isfinite(value) and value >= 0


def _positive(value: float) -> bool:
    return value > 0
