"""What a search leaves behind: the values of `result.json`."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nasgym.core.errors import ConfigurationError
from nasgym.core.files import write_atomically
from nasgym.store import Step


@dataclass(frozen=True, slots=True)
class BaselineResult:
    """What the chosen network is compared with.

    Attributes:
        validation_accuracy: in [0, 1].
        test_accuracy: in [0, 1]; `None` where there are no test images.
        architecture: text of the network; empty for the linear model.
    """

    validation_accuracy: float | None
    test_accuracy: float | None
    architecture: str = ""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The outcome of a search; `result.json` holds these fields.

    Attributes:
        task: name of the data set.
        architecture: text of the chosen network.
        nsc: its rows (index, type, kernel, pred1, pred2).
        architecture_id: its canonical id.
        validation_accuracy: of the weights in `best.pt`, in [0, 1].
        test_accuracy: of the weights in `best.pt`, in [0, 1]; `None` where there are no test images.
        search_validation_accuracy: what it had at search fidelity.
        parameters: trainable parameters.
        flops: per image, head included; a multiply-add counts as two.
        memory: bytes of int8 weights and peak activations of one image.
        evaluations: distinct networks trained on this task, store hits included, final training excluded.
        failures: how many of them failed, by kind.
        baselines: `random`, a random network trained in the same way as the chosen one, and `linear`, a linear model.
        seconds: wall-clock time, of all parts of a resumed search together.
        seed: of the search.
        versions: of Python and of the packages that decide the result.
        out: folder of the results.
    """

    task: str
    architecture: str
    nsc: list[list[int]]
    architecture_id: str
    validation_accuracy: float
    test_accuracy: float | None
    search_validation_accuracy: float
    parameters: int
    flops: int
    memory: int
    evaluations: int
    failures: dict[str, int]
    baselines: dict[str, BaselineResult]
    seconds: float
    seed: int
    versions: dict[str, str]
    out: str

    def as_json(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "SearchResult":
        """Return the result that `as_json` gave."""
        baselines = {name: BaselineResult(**values) for name, values in fields["baselines"].items()}
        return cls(**(fields | {"baselines": baselines}))


def read_result(path: Path) -> SearchResult:
    """Return the result in a `result.json`.

    Raises:
        ConfigurationError: it cannot be read, or is damaged.
    """
    try:
        return SearchResult.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigurationError(
            f"{path} cannot be read ({error}). Start another search with another --out: what is in the store is not "
            "trained again."
        ) from error


@dataclass(frozen=True, slots=True)
class Tested:
    """A network after its final training, and its one look at the test images.

    Attributes:
        step: of the final training.
        validation_accuracy: of the weights, in [0, 1].
        test_accuracy: of the weights, in [0, 1]; `None` where there are no test images.
        confusion: test images by (true class, predicted class).
    """

    step: Step
    validation_accuracy: float
    test_accuracy: float | None
    confusion: tuple[tuple[int, ...], ...]


def as_text(value: Any) -> str:
    """Return `value` as JSON text for people and programs."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def write_json(path: Path, value: Any) -> None:
    """Write `value` to `path` as JSON text, whole or not at all.

    Raises:
        ConfigurationError: the file cannot be written; names it.
    """
    try:
        write_atomically(path, as_text(value).encode(errors="backslashreplace"))
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> ConfigurationError:
    """Return what to raise where a file of the results cannot be written."""
    return ConfigurationError(
        f"{path} cannot be written: {error.strerror or error}. Make room there and go on with --resume: "
        "every finished evaluation is safe in the store."
    )
