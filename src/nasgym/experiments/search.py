"""Search for a network on real images, from the files to `result.json`, `best.pt` and `report.html`."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from nasgym.architectures import parse_architecture
from nasgym.architectures.spaces import SearchSpace, load_space
from nasgym.core.errors import NasgymError
from nasgym.core.randomness import stream
from nasgym.evaluation import Completed, Estimator
from nasgym.evaluation.loading import TRAINING, load_estimator
from nasgym.evaluation.recipes import Profile, training_profile
from nasgym.evaluation.rewards import reward
from nasgym.evaluation.stopping import Stopping
from nasgym.executors import Evaluations, Patience, Workforce, local_executor, usable_cores
from nasgym.executors.patience import TRAINING_FLOPS
from nasgym.experiments.candidates import Bounds, CandidateSearch
from nasgym.experiments.clock import Clock, Workload
from nasgym.experiments.config import IN_FLIGHT, SearchConfig
from nasgym.experiments.ending import Ending, accuracy_of
from nasgym.experiments.events import Event, Listener, Prepared, Promoted, Trained
from nasgym.experiments.final_training import FINALISTS, RANDOM, FinalJob, FinalRound, FinalSettings
from nasgym.experiments.finishing import Finished, finish, write_interrupted
from nasgym.experiments.leases import Leases
from nasgym.experiments.sharing import SharedEvaluations
from nasgym.experiments.workspace import (
    RunReference,
    Workspace,
    new_workspace,
    read_reference,
    refuse_search_in,
    write_reference,
)
from nasgym.store import DEFAULT_STORE, RunStatus, Step, Store, open_store
from nasgym.strategies import Sampler, Strategy, strategy_named
from nasgym.tasks import BaselineScore, Budget, Fidelity, ImageTask, linear_baseline, make_task

_log = logging.getLogger(__name__)


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
        started: reading of `time.monotonic` from which time counts; now, by default.
    """

    command: str
    listener: Listener = lambda _: None
    decoding: Callable[[int], None] = lambda _: None
    cache_dir: Path | None = None
    started: float = field(default_factory=time.monotonic)


def start_search(config: SearchConfig, around: Surroundings) -> Finished:
    """Search from the beginning, in a new folder.

    Raises:
        NasgymError: a setting, the data or the store is wrong, or nothing was found.
        KeyboardInterrupt: stopped by the user; every finished evaluation is kept, and `resume_search` goes on.
    """
    config = config.settled(_workers_wanted(config))
    named = Named.by(config)
    refuse_search_in(config.out)
    task = make_search_task(config, around)
    location = config.store or DEFAULT_STORE
    settings = config.model_dump(mode="json")
    with open_store(location) as store:
        workspace = new_workspace(config.out, task.name)
        run = store.start_run("search", settings, seed=config.seed)
        _log.info("Run %s starts in %s; store %s.", run.id, workspace.folder, store.url)
        reference = RunReference(run.id, location, settings, 0.0)
        return _Search(config, named, task, workspace, store, reference, around).complete()


def resume_search(config: SearchConfig, workspace: Workspace, around: Surroundings) -> Finished:
    """Go on with the search in `workspace`, with settings that were read from it; otherwise like `start_search`."""
    named = Named.by(config)
    task = make_search_task(config, around)
    reference = replace(read_reference(workspace), settings=config.model_dump(mode="json"))
    with open_store(config.store or reference.store, create=False) as store:
        store.resume_run(reference.run)
        _log.info("Run %s goes on in %s after %.1f s.", reference.run, workspace.folder, reference.seconds)
        return _Search(config, named, task, workspace, store, reference, around).complete()


@dataclass(frozen=True)
class Named:
    """What settings name, found before anything is decoded or written.

    Attributes:
        profile: how an architecture becomes a trained network.
        space: where architectures come from.
        strategy: makes the strategy, from a sampler and a seed.
        estimator: evaluates candidates.
    """

    profile: Profile
    space: SearchSpace
    strategy: Callable[[Sampler, int], Strategy]
    estimator: Estimator

    @classmethod
    def by(cls, config: SearchConfig) -> Self:
        """Return what `config` names.

        Raises:
            NasgymError: there is no such thing; names it.
        """
        profile = training_profile(config.evaluation.profile)
        return cls(
            profile=profile,
            space=load_space(config.space, max_layers=config.max_layers),
            strategy=strategy_named(config.strategy),
            estimator=search_estimator(config),
        )


def search_estimator(config: SearchConfig) -> Estimator:
    """Return what evaluates the candidates of a search.

    Raises:
        NasgymError: there is no such estimator or profile; names it.
    """
    evaluation = config.evaluation
    return load_estimator(
        evaluation.estimator,
        training_profile(evaluation.profile),
        device=evaluation.device,
        threads=1,
        time_limit=evaluation.time_limit,
        stopping=None if evaluation.stopping is None else Stopping(evaluation.stopping),
    )


def patience_of(config: SearchConfig, estimator: Estimator) -> Patience:
    """Return what tells when an evaluation of a search hangs; plug-ins get any time for the first."""
    return Patience(estimator.profile, speed=TRAINING_FLOPS if config.evaluation.estimator == TRAINING else None)


def make_search_task(config: SearchConfig, around: Surroundings) -> ImageTask:
    """Return the task that `config` describes; the images are decoded if nobody has done so yet.

    Raises:
        DataError: the images do not make a classification task.
    """
    data, limits, evaluation = config.data, config.limits, config.evaluation
    epochs = evaluation.epochs or training_profile(evaluation.profile).search.epochs
    task = make_task(
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
        fidelity=Fidelity(epochs, data.size),
        progress=around.decoding,
    )
    if isinstance(evaluation.samples, int) and evaluation.samples < len(task.split.train):
        return replace(task, fidelity=replace(task.fidelity, samples=evaluation.samples))
    return task


def _workers_wanted(config: SearchConfig) -> int:
    return usable_cores() if config.workers is None else config.workers


@dataclass(frozen=True)
class _Search:
    """One part of a run: from its start or resumption to its end or interruption."""

    config: SearchConfig
    named: Named
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
            _log.info("Run %s is interrupted.", self.reference.run)
            write_interrupted(self._ending(clock))
            raise
        finally:
            if status is not RunStatus.FINISHED:
                self.store.finish_run(self.reference.run, status)
                self._write_reference(clock)
        self.store.finish_run(self.reference.run, status, finished.result.as_json())
        return finished

    def _complete(self, clock: Clock) -> Finished:
        self._write_reference(clock)
        known = 1 + max((step.number for step in self.store.steps(self.reference.run)), default=-1)
        listener = self._listener(clock)
        listener(Prepared(self.task, self._workers, known, clock.seconds()))
        with Workforce(self._executor) as workforce:
            linear = workforce.submit(linear_baseline, self.task)
            steps, reason = self._search(workforce, known, clock)
            self._final_training(self._final_jobs(steps, clock), workforce, clock, reason)
            baseline = self._linear(linear)
            return finish(self._ending(clock), baseline)

    def _search(self, workforce: Workforce, known: int, clock: Clock) -> tuple[list[Step], str]:
        """Return the candidates with their outcomes, and in words why there are no more."""
        config = self.config
        candidates = CandidateSearch(
            self.task,
            self.named.strategy(self._sampler(), config.seed),
            self.named.estimator,
            reward(config.evaluation.reward),
            self.store,
            self.reference.run,
        )
        bounds = Bounds(config.most_evaluations, self._in_flight, known, clock)
        run, estimator = self.reference.run, self.named.estimator
        with Leases(self.store, f"run {run}") as leases:
            own = Evaluations(estimator, workforce, patience_of(config, estimator))
            shared = SharedEvaluations(own, estimator, self.store, leases, run, max(1, self._workers))
            reason = candidates.search(shared, bounds, self._listener(clock))
        return candidates.steps, reason

    def _final_jobs(self, steps: list[Step], clock: Clock) -> list[FinalJob]:
        """Return the best candidates, the best first, and last a random network to compare them with.

        Where time is short there are fewer of them, so that each is trained for long enough.
        """
        completed = [step for step in steps if isinstance(step.outcome, Completed)]
        if not completed:
            raise _nothing_found(len(steps), self.config.budget)
        finalists = min(self.config.most_finalists, clock.networks_in_time([step.outcome for step in steps]) - 1)
        best = sorted(completed, key=lambda step: -accuracy_of(step.outcome))[:finalists]
        jobs = [FinalJob(FINALISTS, step.number, parse_architecture(step.architecture)) for step in best]
        random = self._sampler().draw(stream(self.config.seed, "random-baseline"))
        if random is not None:
            jobs.append(FinalJob(RANDOM, 0, random))
        workers = max(1, self._workers)
        return [replace(job, rounds=-(-(len(jobs) - place) // workers)) for place, job in enumerate(jobs)]

    def _final_training(self, jobs: list[FinalJob], workforce: Workforce, clock: Clock, reason: str) -> None:
        """Train for long, keeping each network."""
        settings = FinalSettings(
            profile=self.named.profile,
            epochs=self._final_epochs,
            end=clock.end_of_training(),
            device=self.config.evaluation.device,
            seed=self.config.seed,
        )
        final = FinalRound(settings, self.task, self.store, self.reference.run, self.workspace)
        listener = self._listener(clock)
        _log.info("Final training of %d networks for %d epochs, since %s.", len(jobs), settings.epochs, reason)
        listener(Promoted(len(jobs), settings.epochs, reason))
        for step in final.train(jobs, workforce):
            listener(Trained(step.architecture, step.outcome, step.phase))

    def _linear(self, future: Future[BaselineScore]) -> BaselineScore:
        try:
            return future.result()
        except (BrokenExecutor, CancelledError):  # its worker died, or was stopped for want of time
            return linear_baseline(self.task)

    @property
    def _final_epochs(self) -> int:
        return self.config.final_epochs or self.named.profile.final.epochs

    @property
    def _workers(self) -> int:
        return min(_workers_wanted(self.config), self._in_flight)

    @property
    def _in_flight(self) -> int:
        return self.config.in_flight or IN_FLIGHT

    def _executor(self) -> Executor:
        if self.config.executor == "processes" or self._workers == 0:
            return local_executor(self._workers)
        from nasgym.executors.ray_cluster import RaySettings, ray_executor

        where = self.config.ray
        return ray_executor(self._workers, RaySettings(where.address, gpus=where.gpus_per_worker))

    def _clock(self) -> Clock:
        config, fidelity = self.config, self.task.fidelity
        images = len(self.task.split.train)
        work = Workload(
            workers=max(1, self._workers),
            networks=config.most_finalists + 1,
            ratio=self._final_epochs * images / (fidelity.epochs * min(images, fidelity.samples or images)),
        )
        return Clock(self.around.started, self.reference.seconds, config.budget, work)

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

    def _sampler(self) -> Sampler:
        return Sampler(self.named.space, self.task, self.named.profile.network)

    def _listener(self, clock: Clock) -> Listener:
        """Write down the time spent at every event, so that a killed search remembers it."""

        def listen(event: Event) -> None:
            self._write_reference(clock)
            self.around.listener(event)

        return listen

    def _write_reference(self, clock: Clock) -> None:
        write_reference(self.workspace, replace(self.reference, seconds=clock.seconds()))


def _nothing_found(networks: int, budget: float | None) -> NothingFoundError:
    if networks == 0 and budget is not None:
        return NothingFoundError(
            f"The first networks were still at work when the {budget:g} s were over, so there is no best one. "
            "Give a longer --budget or fewer images: evaluation.samples in a settings file, or --max-per-class."
        )
    return NothingFoundError(
        f"None of {networks} networks could be evaluated, so there is no best one; "
        "`nasgym store ls --failed` says why. Relax the limits, or give more time or other images."
    )
