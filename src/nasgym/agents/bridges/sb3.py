"""DQN and masked PPO of Stable-Baselines3 and sb3-contrib behind the common protocol.

They observe everything as one flat row of numbers. Their policies are files of the same kind as this package's own:
weights as safetensors and a JSON header; nothing is unpickled. They keep no checkpoints: to resume is to train again
from the beginning, which repeats itself, since every draw follows from the seed.
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from sb3_contrib import MaskablePPO
from stable_baselines3 import DQN
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor

from nasgym.agents.acting import Played, ShownRewards, Steps, play
from nasgym.agents.bridges.dueling import DuelingPolicy
from nasgym.agents.bridges.protocol import Environments, Learner, Lesson, Player, Progress
from nasgym.agents.bridges.sb3_environments import Sb3Environments
from nasgym.agents.bridges.sb3_settings import DqnSettings, MaskedPpoSettings, read_settings
from nasgym.agents.config import Defects
from nasgym.agents.files import read_tensors, write_tensors
from nasgym.agents.playing import Seen
from nasgym.agents.spec import PolicySpec
from nasgym.core.errors import CheckpointError
from nasgym.core.randomness import stream

FORMAT = "nasgym sb3 policy"
DQN_INTERVAL = 500
"""Environment steps that make one update of a DQN in reports, unless a twentieth of all are fewer; it learns after each
of them."""
_NEVER = 10**9

Model = DQN | MaskablePPO
Settings = DqnSettings | MaskedPpoSettings


class Sb3Actor:
    """A policy of Stable-Baselines3 as an actor.

    Args:
        model: whose weights stay as they are.
        spec: what it speaks.
        exploration: share of actions that a DQN draws from all alike, unless it is greedy.
    """

    def __init__(self, model: Model, spec: PolicySpec, exploration: float) -> None:
        self.spec = spec
        self.defects = Defects()
        self._model = model
        self._exploration = exploration
        self.begin(1, 0)

    def begin(self, n: int, seed: int) -> None:
        """Begin in `n` environments; there is no memory."""
        del n
        self._draws = stream(seed, "actions", "sb3")

    def act(self, seen: Seen, *, greedy: bool) -> NDArray[np.int64]:
        """Return an action for each environment."""
        observations = torch.from_numpy(seen.numbers).to(self._model.device)
        with torch.no_grad():
            if isinstance(self._model, DQN):
                return self._explored(self._model.q_net(observations).argmax(dim=1).cpu().numpy(), greedy=greedy)
            distribution = self._model.policy.get_distribution(observations, action_masks=seen.mask)
        probabilities = cast("Any", distribution).distribution.probs.cpu().numpy().astype(np.float64)
        if greedy:
            return cast("NDArray[np.int64]", probabilities.argmax(axis=1))
        thresholds = self._draws.random(len(probabilities))[:, np.newaxis] * probabilities.sum(axis=1, keepdims=True)
        return cast("NDArray[np.int64]", (probabilities.cumsum(axis=1) <= thresholds).sum(axis=1))

    def _explored(self, actions: NDArray[np.int64], *, greedy: bool) -> NDArray[np.int64]:
        if greedy:
            return actions
        explores = self._draws.random(len(actions)) < self._exploration
        return np.where(explores, self._draws.integers(self.spec.n_actions, size=len(actions)), actions)


@dataclass(frozen=True)
class Sb3Player:
    """A policy of Stable-Baselines3 with frozen weights.

    Attributes:
        model: the agent.
        spec: what it speaks.
        exploration: share of actions that a DQN draws from all alike.
    """

    model: Model
    spec: PolicySpec
    exploration: float = 0.0

    def play(
        self,
        envs: Environments,
        length: int | Steps,
        *,
        seed: int,
        greedy: bool = False,
        tell: Sequence[str] = (),
        shown: ShownRewards | None = None,
    ) -> Played:
        """Play, learning nothing."""
        actor = Sb3Actor(self.model, self.spec, self.exploration)
        return play(actor, envs, length, seed=seed, greedy=greedy, tell=tuple(tell), shown=shown)


class Sb3Learner:
    """An agent of Stable-Baselines3 that is being trained.

    Args:
        name: of the agent.
        settings: of it.
        envs: to learn in.
        spec: what it speaks.
        lesson: steps, seed, device, first weights.
    """

    def __init__(self, name: str, settings: Settings, envs: Environments, spec: PolicySpec, lesson: Lesson) -> None:
        self._name, self._settings, self._spec, self._lesson = name, settings, spec, lesson
        seed = int(stream(lesson.seed, "sb3").integers(2**31))
        self._envs = Sb3Environments(envs, seed)
        with _global_generators_left_alone():
            self.model = _model(settings, self._envs, lesson.steps, seed, lesson.device)
        self.number = 0
        if lesson.initial is not None:
            initial = _read(lesson.initial, lesson.device)
            initial.spec.check(spec)
            self.model.policy.load_state_dict(initial.model.policy.state_dict())

    @property
    def steps(self) -> int:
        """Steps of all environments together so far."""
        return int(self.model.num_timesteps)

    @property
    def total_steps(self) -> int:
        """Steps after which learning ends."""
        return self._lesson.steps

    @property
    def _exploration(self) -> float:
        """Share of actions that a DQN draws from all alike."""
        if isinstance(self._settings, DqnSettings) and not self.steps:
            return self._settings.exploration_start
        return float(self.model.exploration_rate) if isinstance(self.model, DQN) else 0.0

    def learn(self, hear: Callable[[Progress], None]) -> None:
        """Learn until all steps are done; call `hear` after every update."""
        with _global_generators_left_alone():
            torch.manual_seed(stream(self._lesson.seed, "sb3", "torch").integers(2**31))
            np.random.seed(int(stream(self._lesson.seed, "sb3", "numpy").integers(2**31)))  # noqa: NPY002 - SB3's own
            self.model.learn(self._lesson.steps, callback=_Telling(self, hear), log_interval=_NEVER)

    def player(self) -> Player:
        """Return the policy as it is now."""
        return Sb3Player(self.model, self._spec, self._exploration)

    def save(self, path: Path, provenance: Mapping[str, Any]) -> None:
        """Write nothing: resuming is training again from the beginning."""

    def save_policy(self, path: Path, provenance: Mapping[str, Any]) -> None:
        """Write the policy as it is now."""
        header = {
            "agent": self._name,
            "settings": asdict(self._settings),
            "spec": asdict(self._spec),
            "exploration": self._exploration,
            "provenance": dict(provenance),
        }
        write_tensors(path, FORMAT, header, {f"policy.{k}": v for k, v in self.model.policy.state_dict().items()})

    def progress(self, seconds: float) -> Progress:
        """Return what happened since the last call."""
        self.number += 1
        told = self.model.logger.name_to_value
        numbers = {name.removeprefix("train/"): float(v) for name, v in told.items() if name.startswith("train/")}
        entropy = None if isinstance(self.model, DQN) else -numbers.pop("entropy_loss", float("nan"))
        if isinstance(self.model, DQN):
            numbers["exploration"] = self._exploration
        known = entropy is not None and np.isfinite(entropy)
        return self._envs.tally.progress(
            self.number, self.steps, seconds, entropy=entropy if known else None, metrics=numbers
        )


class _Telling(BaseCallback):
    """Tells of updates: a DQN's every so many steps, PPO's when the next rollout begins and at the end."""

    def __init__(self, learner: Sb3Learner, hear: Callable[[Progress], None]) -> None:
        super().__init__()
        self._learner, self._hear = learner, hear
        self._interval = max(1, min(DQN_INTERVAL, learner.total_steps // 20))
        self._at, self._told = time.monotonic(), 0

    def _on_step(self) -> bool:
        if isinstance(self.model, DQN) and self.num_timesteps - self._told >= self._interval:
            self._tell()
        return True

    def _on_rollout_start(self) -> None:
        if not isinstance(self.model, DQN) and self._learner.steps > self._told:
            self._tell()

    def _on_training_end(self) -> None:
        if self._learner.steps > self._told:
            self._tell()

    def _tell(self) -> None:
        now = time.monotonic()
        self._told = self._learner.steps
        self._hear(self._learner.progress(now - self._at))
        self._at = time.monotonic()


@dataclass(frozen=True)
class Sb3Agent:
    """An agent of Stable-Baselines3 or sb3-contrib.

    Attributes:
        name: `dqn` or `masked-ppo`.
        observation: flat, as it wants them.
    """

    name: str
    observation: str = "one-hot"

    @property
    def environments(self) -> int | None:
        """A DQN plays one environment unless told otherwise."""
        return 1 if self.name == "dqn" else None

    def check(self, settings: Mapping[str, Any]) -> None:
        """Refuse wrong settings."""
        _settings(self.name, settings)

    def start(self, envs: Environments, spec: PolicySpec, lesson: Lesson) -> Learner:
        """Return a learner that has not learned anything yet."""
        return Sb3Learner(self.name, _settings(self.name, lesson.settings), envs, spec, lesson)

    def resume(self, checkpoint: Path, envs: Environments, lesson: Lesson) -> Learner:
        """Refuse: these agents write no checkpoints."""
        del envs, lesson
        raise CheckpointError(f"{checkpoint}: agent {self.name!r} writes no checkpoints; train it with another --out.")

    def load(self, path: Path) -> Player:
        """Return the policy in a file."""
        return _read(path, "cpu")


def _settings(name: str, given: Mapping[str, Any]) -> Settings:
    if name == "dqn":
        return read_settings(DqnSettings, name, given)
    return read_settings(MaskedPpoSettings, name, given)


def _model(settings: Settings, envs: Any, steps: int, seed: int, device: str) -> Model:
    """Return the agent with new weights."""
    network: dict[str, Any] = {"net_arch": list(settings.hidden), "activation_fn": torch.nn.Tanh}
    common: dict[str, Any] = {"seed": seed, "device": device, "learning_rate": settings.learning_rate}
    if isinstance(settings, MaskedPpoSettings):
        return MaskablePPO(
            "MlpPolicy",
            envs,
            n_steps=settings.steps,
            batch_size=settings.batch_size,
            n_epochs=settings.epochs,
            gamma=settings.discount,
            gae_lambda=settings.gae_lambda,
            clip_range=settings.clip,
            ent_coef=settings.entropy,
            vf_coef=settings.value,
            max_grad_norm=settings.gradient_norm,
            policy_kwargs=network,
            **common,
        )
    return DQN(
        DuelingPolicy if settings.dueling else "MlpPolicy",
        envs,
        buffer_size=settings.replay or max(1, steps // 2),
        learning_starts=settings.learning_starts,
        batch_size=settings.batch_size,
        gamma=settings.discount,
        train_freq=1,
        target_update_interval=settings.target_update,
        exploration_initial_eps=settings.exploration_start,
        exploration_final_eps=settings.exploration_end,
        exploration_fraction=settings.exploration_fraction,
        policy_kwargs=network | ({"dueling": settings.dueling} if settings.dueling else {}),
        **common,
    )


class _Nowhere(gymnasium.Env[NDArray[np.float32], np.int64]):
    """Has the spaces of a policy, and nothing in them: what a model is made from that is to have stored weights."""

    def __init__(self, spec: PolicySpec) -> None:
        self.observation_space = spaces.Box(0.0, 1.0, (spec.n_numbers,), np.float32)
        self.action_space = spaces.Discrete(spec.n_actions)


def _read(path: Path, device: str) -> Sb3Player:
    """Return the policy in a file.

    Raises:
        CheckpointError: it cannot be read, is damaged, or is something else.
    """
    header, tensors = read_tensors(path, FORMAT)
    try:
        spec = PolicySpec(**{name: _frozen(value) for name, value in header["spec"].items()})
        settings = _settings(header["agent"], header["settings"])
        with _global_generators_left_alone():
            model = _model(settings, _Nowhere(spec), 2, 0, device)
        weights: dict[str, Tensor] = {name.removeprefix("policy."): value for name, value in tensors.items()}
        model.policy.load_state_dict(weights)
        return Sb3Player(model, spec, float(header["exploration"]))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path}: damaged: {error}") from error


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


@contextmanager
def _global_generators_left_alone() -> Iterator[None]:
    """Give back the global generators as they were; Stable-Baselines3 seeds them and draws from them."""
    before, numpy_before = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(before)
        np.random.set_state(numpy_before)  # noqa: NPY002
