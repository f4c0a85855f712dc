"""Search for a network on real images, from the files to `result.json`, `best.pt` and `report.html`."""

import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path

from nasgym.architectures import parse_architecture
from nasgym.architectures.spaces import SearchSpace, load_space
from nasgym.core.errors import NasgymError
from nasgym.core.randomness import stream
from nasgym.evaluation import Completed
from nasgym.evaluation.recipes import Profile, training_profile
from nasgym.evaluation.rewards import reward
from nasgym.evaluation.training import TrainingEstimator
from nasgym.executors import Evaluations, close_executor, local_executor, usable_cores
from nasgym.experiments.candidates import Bounds, CandidateSearch
from nasgym.experiments.clock import Clock, FinalTrainingSize
from nasgym.experiments.config import SearchConfig
from nasgym.experiments.ending import Ending
from nasgym.experiments.events import Event, Listener, Prepared, Promoted, Trained
from nasgym.experiments.final_training import FINALISTS, RANDOM, FinalJob, FinalRound, FinalSettings
from nasgym.experiments.finishing import Finished, finish, write_interrupted
from nasgym.experiments.workspace import RunReference, Workspace, new_workspace, read_reference, write_reference
from nasgym.store import DEFAULT_STORE, RunStatus, Step, Store, open_store
from nasgym.strategies import Sampler, make_strategy
from nasgym.tasks import BaselineScore, Budget, Fidelity, ImageTask, linear_baseline, make_task


class NothingFoundError(NasgymError):
    """No candidate could be evaluated, so there is nothing to promote."""


@dataclass(frozen=True)
class Surroundings:
    """What a search does not depend on, but happens in.

    Attributes:
        command: what repeats the search, for the report.
        listener: told what happens.
        decoding: called with the number of images decoded so far.
        cache_dir: where decoded images are kept; the user's cache folder by default.
    """

    command: str
    listener: Listener = lambda _: None
    decoding: Callable[[int], None] = lambda _: None
    cache_dir: Path | None = None


def start_search(config: SearchConfig, around: Surroundings) -> Finished:
    """Search from the beginning, in a new folder.

    Raises:
        NasgymError: a setting, the data or the store is wrong, or nothing was found.
        KeyboardInterrupt: stopped by the user; every finished evaluation is kept, and `resume_search` goes on.
    """
    started = time.monotonic()
    task = make_search_task(config, around)
    workspace = new_workspace(config.out, task.name)
    location = config.store or DEFAULT_STORE
    settings = config.model_dump(mode="json")
    with open_store(location) as store:
        run = store.start_run("search", settings, seed=config.seed)
        reference = RunReference(run.id, location, settings, time.monotonic() - started)
        write_reference(workspace, reference)
        return _Search(config, task, workspace, store, reference, around).complete()


def resume_search(config: SearchConfig, workspace: Workspace, around: Surroundings) -> Finished:
    """Go on with the search in `workspace`, with settings that were read from it; otherwise like `start_search`."""
    task = make_search_task(config, around)
    reference = replace(read_reference(workspace), settings=config.model_dump(mode="json"))
    with open_store(reference.store, create=False) as store:
        store.resume_run(reference.run)
        write_reference(workspace, reference)
        return _Search(config, task, workspace, store, reference, around).complete()


def make_search_task(config: SearchConfig, around: Surroundings) -> ImageTask:
    """Return the task that `config` describes; the images are decoded if nobody has done so yet.

    Raises:
        DataError: the images do not make a classification task.
    """
    data, limits, evaluation = config.data, config.limits, config.evaluation
    epochs = evaluation.epochs or training_profile(evaluation.profile).search.epochs
    return make_task(
        data.source,
        size=data.size,
        seed=data.split_seed,
        labels=data.labels,
        group_pattern=data.group_pattern,
        classes=data.classes,
        max_per_class=data.max_per_class,
        fractions=data.fractions,
        strict=data.strict,
        cache_dir=around.cache_dir,
        budget=Budget(limits.max_parameters, limits.max_flops, limits.max_memory),
        fidelity=Fidelity(epochs, data.size, evaluation.samples),
        progress=around.decoding,
    )


@dataclass(frozen=True)
class _Search:
    """One part of a run: from its start or resumption to its end or interruption."""

    config: SearchConfig
    task: ImageTask
    workspace: Workspace
    store: Store
    reference: RunReference
    around: Surroundings

    def complete(self) -> Finished:
        """Search, promote, test, and write everything down."""
        clock = self._clock()
        status = RunStatus.FAILED
        try:
            finished = self._complete(clock)
            status = RunStatus.FINISHED
        except KeyboardInterrupt:
            status = RunStatus.INTERRUPTED
            write_interrupted(self._ending(clock))
            raise
        finally:
            if status is not RunStatus.FINISHED:
                write_reference(self.workspace, replace(self.reference, seconds=clock.seconds()))
                self.store.finish_run(self.reference.run, status)
        self.store.finish_run(self.reference.run, status, finished.result.as_json())
        return finished

    def _complete(self, clock: Clock) -> Finished:
        config = self.config
        space = load_space(config.space, max_layers=config.max_layers)
        known = sum(1 for _ in self.store.steps(self.reference.run))
        self.around.listener(Prepared(self.task, self._workers, known))
        estimator = TrainingEstimator(
            self._profile, device=config.evaluation.device, time_limit=config.evaluation.time_limit
        )
        strategy = make_strategy(config.strategy, self._sampler(space), config.seed)
        candidates = CandidateSearch(
            self.task, strategy, estimator, reward(config.evaluation.reward), self.store, self.reference.run
        )
        bounds = Bounds(config.evaluations, config.in_flight, known, clock.is_over)
        with Evaluations(estimator, self._make_executor) as evaluations:
            reason = candidates.search(evaluations, bounds, self._listener(clock))
        linear = self._final_training(self._final_jobs(candidates.steps, space), clock, reason)
        return finish(self._ending(clock), linear)

    def _final_jobs(self, steps: list[Step], space: SearchSpace) -> list[FinalJob]:
        """Return the best candidates, the best first, and last a random network to compare them with."""
        completed = [(step.outcome.accuracy, step) for step in steps if isinstance(step.outcome, Completed)]
        if not completed:
            raise NothingFoundError(
                f"None of {len(steps)} networks could be evaluated, so there is no best one; "
                "`nasgym store ls --failed` says why. Relax the limits, or give more time or other images."
            )
        best = sorted(completed, key=lambda pair: -pair[0])[: self.config.finalists]
        jobs = [FinalJob(FINALISTS, n, parse_architecture(step.architecture)) for n, (_, step) in enumerate(best)]
        random = self._sampler(space).draw(stream(self.config.seed, "random-baseline"))
        return jobs if random is None else [*jobs, FinalJob(RANDOM, 0, random)]

    def _final_training(self, jobs: list[FinalJob], clock: Clock, reason: str) -> BaselineScore:
        """Train for long, keeping each network; return the linear model, which is trained beside them."""
        settings = FinalSettings(
            profile=self._profile,
            epochs=self._final_epochs,
            time_limit=clock.seconds_per_network(),
            device=self.config.evaluation.device,
            seed=self.config.seed,
        )
        final = FinalRound(settings, self.task, self.store, self.reference.run, self.workspace)
        listener = self._listener(clock)
        listener(Promoted(len(jobs), settings.epochs, reason))
        executor = self._make_executor()
        complete = False
        try:
            linear = executor.submit(linear_baseline, self.task)
            for step in final.train(jobs, executor):
                listener(Trained(step.architecture, step.outcome, step.phase))
            baseline = linear.result()
            complete = True
        finally:
            close_executor(executor, wait=complete)
        return baseline

    @property
    def _profile(self) -> Profile:
        return training_profile(self.config.evaluation.profile)

    @property
    def _final_epochs(self) -> int:
        return self.config.final_epochs or self._profile.final.epochs

    @property
    def _workers(self) -> int:
        return usable_cores() if self.config.workers is None else self.config.workers

    def _clock(self) -> Clock:
        config = self.config
        size = FinalTrainingSize(config.finalists + 1, config.finalists, self._final_epochs, max(1, self._workers))
        return Clock(self.reference.seconds, config.budget, size, self.task.fidelity.epochs)

    def _ending(self, clock: Clock) -> Ending:
        return Ending(
            config=self.config,
            task=self.task,
            store=self.store,
            run=self.reference.run,
            workspace=self.workspace,
            command=self.around.command,
            seconds=clock.seconds(),
        )

    def _sampler(self, space: SearchSpace) -> Sampler:
        return Sampler(space, self.task, self._profile.network)

    def _make_executor(self) -> Executor:
        return local_executor(self._workers)

    def _listener(self, clock: Clock) -> Listener:
        """Write down the time spent at every event, so that a killed search remembers it."""

        def listen(event: Event) -> None:
            write_reference(self.workspace, replace(self.reference, seconds=clock.seconds()))
            self.around.listener(event)

        return listen
