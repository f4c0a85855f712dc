"""What a meta-training leaves behind: the values of `result.json`."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nasgym.core.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """The outcome of a meta-training; `result.json` holds these fields.

    Attributes:
        agent: its name.
        steps: of all environments together.
        updates: of the weights.
        validation_return: of the policy that was kept: mean over the validation tasks of the undiscounted return of a
            meta-episode; `None` without validation tasks.
        best_update: after which the kept policy was judged; the last one without validation tasks.
        validation: mean reward by episode index on each validation task, of the kept policy.
        train_return: mean return of the training's last tenth; `None` where no meta-episode ended.
        evaluations: networks that were really trained by this run; 0 where a table answers.
        policy: file of the kept policy.
        run: id of the run in the store.
        store: file or URL of the store.
        seed: of everything.
        seconds: wall-clock time, of all parts of a resumed run together.
        versions: of Python and of the packages that decide the result.
        out: folder of the results.
    """

    agent: str
    steps: int
    updates: int
    validation_return: float | None
    best_update: int
    validation: dict[str, list[float]]
    train_return: float | None
    evaluations: int
    policy: str
    run: str
    store: str
    seed: int
    seconds: float
    versions: dict[str, str]
    out: str

    def as_json(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return dataclasses.asdict(self)


def read_training_result(path: Path) -> TrainingResult:
    """Return the result in a `result.json`.

    Raises:
        ConfigurationError: it cannot be read, or is damaged.
    """
    try:
        return TrainingResult(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ConfigurationError(f"{path} cannot be read ({error}); train again with another --out.") from error
