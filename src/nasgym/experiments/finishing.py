"""The end of a search: choose by validation, test once, write result, weights and report."""

import platform
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from nasgym.architectures import Architecture, architecture_id, encode, format_architecture, parse_architecture
from nasgym.core.provenance import Provenance
from nasgym.evaluation import Completed
from nasgym.evaluation.recipes import Profile, training_profile
from nasgym.experiments.config import SearchConfig
from nasgym.experiments.final_training import PHASE
from nasgym.experiments.results import BaselineResult, SearchResult, write_json
from nasgym.experiments.workspace import Workspace
from nasgym.networks.plan import plan
from nasgym.report import SearchReport
from nasgym.store import Step, Store
from nasgym.tasks import ImageTask, LinearBaseline


@dataclass(frozen=True)
class Ending:
    """A run at its end, or where it was interrupted.

    Attributes:
        config: every setting.
        task: what was searched for.
        store: holds the steps of the run.
        run: its id.
        workspace: where everything is written.
        command: what repeats the search.
        seconds: wall-clock time of all parts of the run together.
    """

    config: SearchConfig
    task: ImageTask
    store: Store
    run: str
    workspace: Workspace
    command: str
    seconds: float
