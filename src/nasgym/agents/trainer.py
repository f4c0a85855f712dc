"""The trainer: play, credit, learn, report. One for A2C, PPO and REINFORCE, with any memory."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from nasgym.agents.config import AgentConfig, Ppo, Reinforce
from nasgym.agents.files import Checkpoint, load_weights, policy_tensors, read_checkpoint, write_checkpoint
from nasgym.agents.learners import learner_of
from nasgym.agents.losses import Sample, dealt, sample_of
from nasgym.agents.optimizers import make_optimizer, optimizer_tensors, restore_optimizer
from nasgym.agents.playing import Environments, environment_seeds
from nasgym.agents.policy import Policy
from nasgym.agents.rollout import Clock, Course, Recorder
from nasgym.agents.spec import PolicySpec
from nasgym.agents.tally import Tally
from nasgym.agents.update import Learned, Seconds, Update
from nasgym.core.errors import CheckpointError, ConfigurationError
from nasgym.core.randomness import stream, torch_seed


class Trainer:
    """Trains a policy in environments, update by update.

    Everything random follows from the seed and the number of the update, so that a trainer that is saved and resumed
    goes on as if nothing had happened: bit for bit, on the same machine with as many threads.

    Args:
        config: of the agent.
        envs: where it plays; see `PolicySpec.of`.
        spec: what is observed in them.
        seed: of weights, actions, environments and minibatches.
        total_steps: of all environments together, that schedules are made for; training may go on beyond.
        policy: whose weights to begin with; new ones if `None`.
        device: of the network, as torch names it; environments and arrays stay in main memory.

    Attributes:
        policy: as it is now.
        steps: taken so far in all environments together.
        number: updates so far.
        provenance: what was saved with the checkpoint that the trainer was resumed from.

    Raises:
        SpecError: the policy was made for another space.
        ConfigurationError: the policy has another network than the configuration, or `total_steps` is not positive.
    """

    def __init__(
        self,
        config: AgentConfig,
        envs: "VectorEnv[Any, Any, NDArray[Any]]",
        *,
        spec: PolicySpec,
        seed: int,
        total_steps: int,
        policy: Policy | None = None,
        device: str = "cpu",
    ) -> None:
        if total_steps < 1:
            raise ConfigurationError(f"total_steps is at least 1, got {total_steps}.")
        self.config, self.spec, self.seed, self.total_steps = config, spec, seed, total_steps
        self.policy = Policy(spec, config, torch_seed(seed, "weights"))
        if policy is not None:
            policy.spec.check(spec)
            load_weights(self.policy, policy_tensors(policy), "the policy to begin with")
        self.policy.to(device)
        self.steps, self.number = 0, 0
        self.provenance: Mapping[str, Any] = {}
        self._settings = config.as_trained
        self._environments = Environments(envs, spec, config.defects)
        self._recorder = Recorder(self._environments, self.policy, self._settings.rollout)
        self._optimizer = make_optimizer(self.policy, config.optimizer)
        self._learner = learner_of(self.policy, self._settings, self._optimizer)
        self._baseline: float | None = None
        n = self._environments.n
        self._course = Course(self.policy.initial(n), np.ones(n, dtype=np.bool_))
        self._tally = Tally.nothing(n)

    def update(self) -> Update:
        """Play one rollout and learn from it."""
        clock = Clock()
        progress = self.steps / self.total_steps
        began = time.perf_counter()
        if self._wants_a_beginning(self._course):
            self._begin_anew()
        clock.environment += time.perf_counter() - began
        batch = self._recorder.play(self._course, stream(self.seed, "actions", self.number), clock)
        began = time.perf_counter()
        sample, mean_return = sample_of(batch, self.spec, self._settings, self._baseline)
        learned = self._learn(sample.to(self.policy.device), progress)
        learning = time.perf_counter() - began
        episodes, meta_episodes, self._tally = self._tally.count(batch)
        seconds = Seconds(clock.environment, clock.policy, learning)
        steps = self.steps + batch.actions.size
        update = Update.of(self.number, steps, batch, (episodes, meta_episodes), learned, seconds)
        self._recorder.begin_where_it_ended(len(batch))
        self._remember(mean_return)
        self.steps, self.number = steps, self.number + 1
        return update

    def save(self, path: Path | str, provenance: Mapping[str, Any] | None = None) -> None:
        """Write everything that `resume` needs to a file.

        Args:
            path: replaced only when the new file is complete.
            provenance: kept with it, as JSON.

        Raises:
            CheckpointError: the file cannot be written; names it.
        """
        course = self._course
        taken = np.concatenate(course.taken) if course.taken else np.zeros((0, self._environments.n), dtype=np.uint8)
        tensors = policy_tensors(self.policy) | optimizer_tensors(self._optimizer)
        tensors |= {f"memory.{place}": part for place, part in enumerate(course.state)}
        arrays = {
            "course.finished": course.finished.astype(np.uint8),
            "course.taken": taken,
            "tally.episodes": self._tally.episodes,
            "tally.meta_episodes": self._tally.meta_episodes,
        }
        tensors |= {name: torch.from_numpy(array) for name, array in arrays.items()}
        numbers = {
            "seed": self.seed,
            "total_steps": self.total_steps,
            "steps": self.steps,
            "number": self.number,
            "reset_number": course.reset_number,
            "baseline": self._baseline,
        }
        write_checkpoint(Checkpoint(self.config, self.spec, tensors, numbers, dict(provenance or {})), Path(path))

    @classmethod
    def resume(cls, path: Path | str, envs: "VectorEnv[Any, Any, NDArray[Any]]", device: str = "cpu") -> Self:
        """Return the trainer that was saved, to go on as if nothing had happened.

        Args:
            path: of the checkpoint.
            envs: made anew from the settings of those that it was trained in, and as many. They are led to where they
                were by the actions taken since their last reset.
            device: of the network.

        Raises:
            CheckpointError: the file cannot be read, is damaged, or is no checkpoint of a trainer.
            SpecError: it was trained in another space.
            ConfigurationError: it was trained in another number of environments.
        """
        saved = read_checkpoint(Path(path))
        spec = PolicySpec.of(envs, saved.spec.space, saved.spec.signals)
        saved.spec.check(spec)
        numbers = saved.numbers
        try:
            n = saved.tensors["tally.episodes"].shape[1]
            if n != envs.num_envs:
                raise ConfigurationError(f"{path}: trained in {n} environments, cannot go on in {envs.num_envs}.")
            seed, total_steps = numbers["seed"], numbers["total_steps"]
            trainer = cls(saved.config, envs, spec=spec, seed=seed, total_steps=total_steps, device=device)
            trainer._restore(saved)
        except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(f"{path}: damaged: {error}") from error
        trainer._lead_back()
        return trainer

    def _wants_a_beginning(self, course: Course) -> bool:
        """Whether the next update begins meta-episodes anew."""
        whole = self._settings.rollout.whole_meta_episodes
        return course.reset_number < 0 or (whole and bool(course.finished.all()))

    def _begin_anew(self) -> None:
        """Begin a meta-episode everywhere, from seeds that the number of the update names."""
        n = self._environments.n
        seeds = environment_seeds(self.seed, n, "update", self.number)
        self._environments.reset(seeds, self._recorder.seen.at(0))
        self._course = Course(self.policy.initial(n), np.zeros(n, dtype=np.bool_), [], self.number)
        self._tally = Tally.nothing(n)

    def _learn(self, sample: Sample, progress: float) -> Learned:
        """Follow the gradients of the losses, minibatch by minibatch."""
        algorithm = self.config.algorithm
        epochs, minibatches = (algorithm.epochs, algorithm.minibatches) if isinstance(algorithm, Ppo) else (1, 1)
        dealing = stream(self.seed, "minibatches", self.number)
        rate, entropy_weight = (
            schedule.at(progress) for schedule in (self.config.optimizer.learning_rate, self.config.losses.entropy)
        )
        parts = (part for _ in range(epochs) for part in dealt(dealing, self._environments.n, minibatches))
        return self._learner.learn(sample, parts, rate, entropy_weight)

    def _remember(self, mean_return: float) -> None:
        """Let the baseline of REINFORCE follow the returns."""
        if isinstance(self.config.algorithm, Reinforce):
            decay = self.config.algorithm.baseline_decay
            before = mean_return if self._baseline is None else self._baseline
            self._baseline = decay * before + (1 - decay) * mean_return

    def _restore(self, saved: Checkpoint) -> None:
        """Take over what was saved."""
        tensors, numbers = saved.tensors, saved.numbers
        load_weights(self.policy, tensors, "the checkpoint")
        restore_optimizer(self._optimizer, tensors)
        self.steps, self.number, self._baseline = numbers["steps"], numbers["number"], numbers["baseline"]
        self.provenance = saved.provenance
        taken = tensors["course.taken"].numpy()
        state = tuple(tensors[f"memory.{place}"].to(self.policy.device) for place in range(len(self.policy.initial(1))))
        finished = tensors["course.finished"].numpy().astype(np.bool_)
        self._course = Course(state, finished, [taken], numbers["reset_number"])
        self._tally = Tally(tensors["tally.episodes"].numpy(), tensors["tally.meta_episodes"].numpy())

    def _lead_back(self) -> None:
        """Lead the environments to where they were when the trainer was saved."""
        course = self._course
        if self._wants_a_beginning(course):
            return
        now = self._recorder.seen.at(0)
        self._environments.reset(environment_seeds(self.seed, self._environments.n, "update", course.reset_number), now)
        for actions in course.taken[0].astype(np.int64):
            self._environments.step(actions, now)
