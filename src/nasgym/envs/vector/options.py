"""What users give to a vector environment, checked."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from nasgym.core.errors import ConfigurationError, nearest
from nasgym.envs.vector.rows import Flags


class Observing(StrEnum):
    """How architectures are observed."""

    ONE_HOT = "one-hot"
    """As by the single form: float32, 0 and 1."""
    COMPACT = "compact"
    """The position of the one in each one-hot group, uint8: the same, for agents that embed."""


def autoreset(mode: AutoresetMode | str) -> AutoresetMode:
    """Return the autoreset mode that `mode` is or names.

    Raises:
        ConfigurationError: there is none.
    """
    known = {str(option.value): option for option in AutoresetMode}
    found = known.get(str(mode.value if isinstance(mode, AutoresetMode) else mode))
    if found is None:
        raise ConfigurationError(
            f"autoreset_mode is {', '.join(known)}, got {mode!r}.{nearest(str(mode), list(known))}"
        )
    return found


def observing(how: Observing | str) -> Observing:
    """Return how architectures are observed.

    Raises:
        ConfigurationError: there is no such way.
    """
    known = [str(option) for option in Observing]
    if how not in known:
        raise ConfigurationError(f"observation is {' or '.join(known)}, got {how!r}.{nearest(str(how), known)}")
    return Observing(how)


def check_reset_options(options: Iterable[str], known: tuple[str, ...]) -> None:
    """Refuse unknown options of `reset`.

    Raises:
        ConfigurationError: names the option and the nearest one.
    """
    for name in options:
        if name not in known:
            raise ConfigurationError(
                f"Unknown reset option {name!r} (known: {', '.join(known)}).{nearest(name, known)}"
            )


def reset_mask(mask: Any, n: int) -> Flags:
    """Return which of `n` environments begin anew; all if `mask` is `None`.

    Raises:
        ConfigurationError: it is not an array of `n` booleans.
    """
    if mask is None:
        return np.ones(n, dtype=np.bool_)
    if not isinstance(mask, np.ndarray) or mask.shape != (n,) or mask.dtype != np.bool_:
        raise ConfigurationError(f"options['reset_mask'] is an array of {n} booleans, got {mask!r}.")
    return mask
