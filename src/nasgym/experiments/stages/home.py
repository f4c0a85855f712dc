"""Where an experiment and its stages are kept, and what they happen in."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from nasgym.core.errors import ConfigurationError
from nasgym.experiments.meta.config import WorkerSettings
from nasgym.experiments.meta.workspace import MetaWorkspace, begun_in, workspace_for
from nasgym.experiments.results import write_json
from nasgym.experiments.stages.events import Event, Listener
from nasgym.experiments.workspace import RUNS, RunReference, read_reference, write_reference
from nasgym.store import DEFAULT_STORE, RunStatus, Store

COMMAND = "experiment"
SECONDS_BETWEEN_NOTES = 5.0
"""The time that a stage has taken is written down so often."""


@dataclass(frozen=True)
class ExperimentSurroundings:
    """What an experiment does not depend on, but happens in.

    Attributes:
        command: what repeats it, for the report.
        out: folder of its results; each stage has one of its own in it.
        store: file or URL of the store.
        workers: who trains networks.
        device: that agents compute on.
        listener: told what happens.
        stopping: asked again and again whether to stop.
        decoding: called with the number of images decoded so far.
        cache_dir: where decoded images are kept; the user's cache folder by default.
        started: reading of `time.monotonic` from which time counts.
    """

    command: str
    out: Path
    store: str | None = None
    workers: WorkerSettings = field(default_factory=WorkerSettings)
    device: str = "cpu"
    listener: Listener = lambda _: None
    stopping: Callable[[], bool] = lambda: False
    decoding: Callable[[int], None] = lambda _: None
    cache_dir: Path | None = None
    started: float = field(default_factory=time.monotonic)

    @property
    def location(self) -> str:
        """File or URL of the store."""
        return self.store or DEFAULT_STORE

    def stage(self, name: str) -> MetaWorkspace:
        """Return the folder of a stage of this experiment, or `EXPERIMENT/STAGE` of one beside it."""
        experiment, _, stage = name.rpartition("/")
        return MetaWorkspace((self.out.parent / experiment if experiment else self.out) / stage)

    def tell(self, event: Event) -> None:
        """Tell the listener; stop where that is wanted.

        Raises:
            KeyboardInterrupt: the user wants to stop.
        """
        self.listener(event)
        if self.stopping():
            raise KeyboardInterrupt


class StageRun:
    """The run of a stage that is no meta-training: begun or gone on with, and ended whatever happens in its context.

    Args:
        store: that holds it.
        location: of the store, as a person names it.
        workspace: folder of the stage.
        settings: all that decides what comes out, as JSON values.
        seed: of everything.

    Attributes:
        id: of the run.
        seconds: spent on it so far, earlier parts included.

    Raises:
        ConfigurationError: the folder holds a stage with other settings.
    """

    def __init__(
        self, store: Store, location: str, workspace: MetaWorkspace, settings: dict[str, Any], seed: int
    ) -> None:
        reference = begun_in(workspace, settings)
        if reference is None:
            reference = RunReference(store.start_run(COMMAND, settings, seed=seed).id, location, settings, 0.0)
        else:
            store.resume_run(reference.run)
        self._store, self._workspace, self._reference = store, workspace, reference
        self._began = self._written_at = time.monotonic()
        self.id = reference.run
        self._write()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._stop(interrupted=issubclass(kind, KeyboardInterrupt))

    @property
    def seconds(self) -> float:
        """Spent on it so far, earlier parts included."""
        return self._reference.seconds + time.monotonic() - self._began

    def note_time(self) -> None:
        """Write down how long it has taken, now and then, so that a kill does not lose it."""
        if time.monotonic() - self._written_at >= SECONDS_BETWEEN_NOTES:
            self._write()

    def _stop(self, *, interrupted: bool) -> None:
        """End this part before the end of the stage."""
        self._store.finish_run(self.id, RunStatus.INTERRUPTED if interrupted else RunStatus.FAILED)
        self._write()

    def finish(self, result: dict[str, Any]) -> None:
        """End the stage: write `result.json`, and then say so in the store, so that no kill leaves the latter alone."""
        write_json(self._workspace.result, result)
        self._store.finish_run(self.id, RunStatus.FINISHED, result)
        self._write()

    def _write(self) -> None:
        self._written_at = time.monotonic()
        reference = self._reference
        write_reference(self._workspace, RunReference(reference.run, reference.store, reference.settings, self.seconds))


def stage_folder(around: ExperimentSurroundings, name: str) -> MetaWorkspace:
    """Return the folder of a stage, made if need be.

    Raises:
        ConfigurationError: it cannot be made.
    """
    return workspace_for(around.stage(name).folder, name)


def results_folder(name: str, seed: int | None) -> Path:
    """Return where the results of an experiment are unless the user says otherwise.

    Experiments with a seed of their own lie beside each other, so that one finds the policies of another with the
    same seed.

    Args:
        name: of the experiment.
        seed: in place of the file's; `None` for that of the file.

    >>> results_folder("small-1", None).as_posix(), results_folder("small-1", 2).as_posix()
    ('runs/small-1', 'runs/seed-2/small-1')
    """
    return (RUNS if seed is None else RUNS / f"seed-{seed}") / name


def known_run(workspace: MetaWorkspace) -> RunReference | None:
    """Return which run is in the folder of a stage; `None` for none.

    Raises:
        ConfigurationError: `run.json` is damaged.
    """
    return read_reference(workspace) if workspace.run.exists() else None


def refuse_unfinished(around: ExperimentSurroundings, stage: str, source: str) -> None:
    """Do nothing, unless a stage that another one builds on is not finished.

    Raises:
        ConfigurationError: it is not; says which comes first.
    """
    if not around.stage(source).result.exists():
        experiment = source.rpartition("/")[0]
        place = f"--out {around.out.parent / experiment} and the same seed"
        what = f"experiment {experiment!r} first, with {place}" if experiment else "it"
        raise ConfigurationError(
            f"Stage {stage!r} builds on stage {source!r}, which is not finished in {around.stage(source).folder}: "
            f"run {what}."
        )
