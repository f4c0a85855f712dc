"""One typed configuration of a search: from keyword arguments, from a TOML file, or from both."""

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from nasgym.core.errors import ConfigurationError, nearest
from nasgym.evaluation.loading import TRAINING

EVALUATIONS = 30
"""Networks that a search trains unless it is told how many, or how long it may take."""

_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?")


def seconds(value: object) -> float:
    """Return the seconds of a duration such as `90`, `90s`, `15m` or `1h30m`.

    Raises:
        ValueError: not a duration, or not above zero.
    """
    match value:
        case bool():
            number = math.nan
        case int() | float():
            number = float(value)
        case str() if (parts := _DURATION.fullmatch(value.strip().lower())) and any(parts.groups()):
            hours, minutes, rest = (float(part or 0) for part in parts.groups())
            number = 3600 * hours + 60 * minutes + rest
        case _:
            number = math.nan
    if not math.isfinite(number):
        raise ValueError("a duration looks like 90s, 15m or 1h30m")
    if number <= 0:
        raise ValueError("a duration is above zero")
    return number


_REMEDIES = dict.fromkeys(
    ("data", "data.source"), ": name a folder, archive or file of images, as in `nasgym search photos/`"
)
"""What to do where a setting that has no default is left out."""


def plain_source(source: str) -> str:
    """Return a source without the slash that shells append to the name of a folder."""
    return source.rstrip("/") or source


Seconds = Annotated[float, BeforeValidator(seconds)]
Count = Annotated[int, Field(ge=1)]
IN_FLIGHT = 4
"""Networks that may be trained at once, unless told otherwise or there are more workers."""
SAMPLES_PER_SECOND = 5
"""Training images of an evaluation for every second of the budget, unless told otherwise."""
FINALISTS, FINALISTS_IN_TIME = 5, 15
"""Candidates that get the final training unless told otherwise: without a budget, and with one."""
LEAST_SAMPLES = 2000
"""A budget leaves at least so many training images."""


class Section(BaseModel):
    """Settings that belong together: frozen, and without room for unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class DataSettings(Section):
    """Which images, and how they are split.

    Attributes:
        source: a folder, archive or file of images, or the name of a data set.
        size: side of the square images the search sees, pixels.
        labels: a CSV file with columns file, label and optionally split and group.
        group_pattern: pattern over file names; images of one group never lie on two sides of the split.
        classes: keep only these classes.
        max_per_class: keep at most so many images of a class.
        fractions: training, validation and test parts where the data have no official split.
        split_seed: seed of the split.
        strict: refuse data with corrupt files or classes that are too small, instead of leaving them out.
    """

    source: Annotated[str, AfterValidator(plain_source)]
    size: Annotated[int, Field(ge=8, le=512)] = 32
    labels: Path | None = None
    group_pattern: str | None = None
    classes: tuple[str, ...] | None = None
    max_per_class: Count | None = None
    fractions: tuple[float, float, float] = (0.6, 0.2, 0.2)
    split_seed: int = 0
    strict: bool = False


class LimitSettings(Section):
    """What a network may cost.

    Attributes:
        max_parameters: trainable parameters.
        max_flops: operations per image.
        max_memory: bytes of int8 weights and peak activations.
    """

    max_parameters: Count | None = None
    max_flops: Count | None = None
    max_memory: Count | None = None


class EvaluationSettings(Section):
    """How candidates are trained.

    Attributes:
        profile: how an architecture becomes a trained network.
        estimator: what tells how good a candidate is: `training`, or the name of a plug-in.
        epochs: passes over the training images; the profile's own number if left out.
        samples: training images used, or `all`; if left out all, with a budget at most `SAMPLES_PER_SECOND` of it
            (and never below `LEAST_SAMPLES`), so that large data do not eat it up in a few candidates.
        reward: what strategies hear: `accuracy`, or `blockqnn`, which also counts FLOPs and density.
        device: `auto`, `cpu` or `cuda`.
        time_limit: seconds after which a single training is given up.
        stopping: validation accuracy that a candidate has to promise; a training whose curve stays below it even at
            its best is given up (`nasgym.evaluation.stopping`). Every candidate is trained to the end if left out.
    """

    profile: str = "default"
    estimator: str = TRAINING
    epochs: Count | None = None
    samples: Count | Literal["all"] | None = None
    reward: Literal["accuracy", "blockqnn"] = "accuracy"
    device: str = "auto"
    time_limit: Seconds | None = None
    stopping: Annotated[float, Field(gt=0, lt=1)] | None = None


class RayWorkers(Section):
    """Where Ray is, and what a worker takes of it.

    Attributes:
        address: `local` starts one on this machine; `auto`, `HOST:PORT` and `ray://HOST:PORT` name a running cluster.
        gpus_per_worker: GPUs of a worker; 0.25 puts four of them on one.
    """

    address: str = "local"
    gpus_per_worker: Annotated[float, Field(ge=0)] = 0.0


class SearchConfig(Section):
    """Every setting of a search.

    Attributes:
        data: which images, and how they are split.
        strategy: `warm-evolution`, `evolution` or `random`.
        space: name or YAML file of a search space.
        max_layers: largest number of layers; the space's own if left out.
        evaluations: networks to train; with `budget`, at most so many; `EVALUATIONS` if both are left out.
        budget: wall-clock time for everything, final training included.
        limits: what a network may cost.
        evaluation: how candidates are trained.
        finalists: best candidates that get the longer final training; if left out `FINALISTS`, with a budget up to
            `FINALISTS_IN_TIME`, as many as half of it is enough for.
        final_epochs: epochs of the final training; the profile's own number if left out.
        seed: of the strategy and of the final training.
        workers: processes that train networks, each on one core, at most `in_flight`; one per core if left out, 0 for
            the calling process.
        in_flight: networks that may be trained at once; decides, with the seed, what is proposed. If left out
            `IN_FLIGHT`, or as many as there are workers where those are more.
        executor: `processes` on this machine, or `ray`.
        ray: where Ray is, and what a worker takes of it.
        store: file or URL of the store.
        out: folder for the results; `runs/NAME` if left out.
    """

    data: DataSettings
    strategy: str = "warm-evolution"
    space: str = "chain"
    max_layers: Count | None = None
    evaluations: Count | None = None
    budget: Seconds | None = None
    limits: LimitSettings = LimitSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    finalists: Count | None = None
    final_epochs: Count | None = None
    seed: int = 0
    workers: Annotated[int, Field(ge=0)] | None = None
    in_flight: Count | None = None
    executor: Literal["processes", "ray"] = "processes"
    ray: RayWorkers = RayWorkers()
    store: str | None = None
    out: Path | None = None

    def settled(self, workers: int) -> Self:
        """Return the same with what depends on the budget and on `workers` written out, so that others leave it."""
        in_flight = max(IN_FLIGHT, workers) if self.in_flight is None else self.in_flight
        return self.model_copy(update={"in_flight": in_flight, "evaluation": self._settled_evaluation})

    @property
    def _settled_evaluation(self) -> EvaluationSettings:
        if self.evaluation.samples is not None:
            return self.evaluation
        samples = "all" if self.budget is None else max(LEAST_SAMPLES, int(SAMPLES_PER_SECOND * self.budget))
        return self.evaluation.model_copy(update={"samples": samples})

    @property
    def most_finalists(self) -> int:
        """Candidates to train for long at most."""
        if self.finalists is not None:
            return self.finalists
        return FINALISTS if self.budget is None else FINALISTS_IN_TIME

    @property
    def most_evaluations(self) -> int | None:
        """Networks to train at most; `None` where only the budget ends the search."""
        return EVALUATIONS if self.evaluations is None and self.budget is None else self.evaluations


def read_config(path: Path) -> dict[str, Any]:
    """Return the settings in a TOML file.

    Raises:
        ConfigurationError: the file cannot be read or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"Cannot read configuration file {path}: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"Configuration file {path} is not TOML: {error}.") from error


def make_config(settings: Mapping[str, Any], *, source: str = "the settings") -> SearchConfig:
    """Return the validated configuration; `source` says in errors where the settings come from.

    Raises:
        ConfigurationError: an unknown key (names the nearest one) or a wrong value.
    """
    try:
        return SearchConfig.model_validate(dict(settings))
    except ValidationError as error:
        raise ConfigurationError(explain(error, source, SearchConfig)) from error


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with the values of `over` on top, section by section."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return settings by their names as `section.name`."""
    result: dict[str, Any] = {}
    for name, value in settings.items():
        result |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return result


def explain(error: ValidationError, source: str, model: type[BaseModel]) -> str:
    """Return what is wrong with the settings for a `model` that came from `source`."""
    lines = []
    for problem in error.errors():
        *sections, name = problem["loc"] or ("",)
        named, inner = _walked(model, sections)
        key = ".".join(map(str, [*named, name]))
        if problem["type"] == "extra_forbidden":
            known = inner.model_fields if isinstance(inner, type) and issubclass(inner, BaseModel) else ()
            lines.append(f"unknown key {key!r}.{nearest(str(name), list(known))}")
        elif problem["type"] == "missing":
            lines.append(f"{key!r} is missing{_REMEDIES.get(key, '')}.")
        else:
            message = problem["msg"].removeprefix("Value error, ")
            lines.append(f"{key!r} is {problem['input']!r}: {message[:1].lower()}{message[1:]}.")
    return f"In {source}: " + " ".join(lines)


def _walked(model: type[BaseModel], sections: Sequence[int | str]) -> tuple[list[int | str], Any]:
    """Return the sections as a user names them, without the kinds of settings, and the type of what they lead to."""
    named: list[int | str] = []
    inner: Any = model
    for section in sections:
        kinds = {kind: option for option in get_args(inner) for kind in _kinds(option)}
        if section in kinds:
            inner = kinds[section]
            continue
        named.append(section)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            inner = inner.model_fields[str(section)].annotation if section in inner.model_fields else None
        else:  # an entry of a table or a list
            inner = next((part for part in reversed(get_args(inner)) if part is not Ellipsis), None)
        while get_origin(inner) is Annotated:
            inner = get_args(inner)[0]
    return named, inner


def _kinds(option: Any) -> tuple[str, ...]:
    """Return the values that the field `kind` of settings may have; none for anything else."""
    is_model = isinstance(option, type) and issubclass(option, BaseModel)
    return get_args(option.model_fields["kind"].annotation) if is_model and "kind" in option.model_fields else ()
