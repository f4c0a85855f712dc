"""The compiled code of agents, and its structures as Python sees them."""

import ctypes
from ctypes import POINTER, Structure, c_float, c_int, c_int32, c_int64, c_long, c_void_p
from functools import cache
from pathlib import Path

from nasgym.agents.spec import SpecError
from nasgym.core.compiled import Source, load

UNITS = 16
"""The size of a memory is a multiple of it, or torch computes it."""
MAX_THREADS = 16
Parts = c_void_p * 5
"""A place for each tensor of weights."""
LOSSES = 6
"""Numbers that a minibatch comes to; behind them stands the norm of its gradient."""

_FOLDER = Path(__file__).parent
_FILES = ("lstm.c", "update.h", "backward.h", "losses.h", "follow.h", "lesson.h", "step.h", "vectors.h")
SOURCE = Source(
    name="agents",
    purpose="the agents' code",
    without="torch computes agents, more slowly",
    files=tuple(_FOLDER / name for name in _FILES),
    flags=("-O3", "-march=native", "-shared", "-fPIC", "-pthread", "-Wno-psabi", "-fno-math-errno"),
)


class Network(Structure):
    """`network` of step.h."""

    _fields_ = (
        *((name, c_int32) for name in ("units", "fields", "numbers", "rows", "said", "actions")),
        *((name, c_void_p) for name in ("table", "matrix", "weight", "heads", "biases")),
        ("masked", c_float),
    )


class Rollout(Structure):
    """`rollout` of lesson.h."""

    _fields_ = (
        *((name, c_int64) for name in ("length", "n")),
        *((name, c_void_p) for name in ("rows", "numbers", "mask", "begins", "actions")),
        *((name, c_void_p) for name in ("log_probabilities", "advantages", "targets", "rewards", "weights")),
        *((name, c_void_p) for name in ("hidden", "cell")),
    )


class Objective(Structure):
    """`objective` of lesson.h."""

    _fields_ = (
        *((name, c_int32) for name in ("clips", "normalizes", "value_shapes_memory")),
        *((name, c_float) for name in ("clip", "value", "entropy", "auxiliary")),
    )


class Lesson(Structure):
    """`lesson` of lesson.h."""

    _fields_ = (
        ("net", Network),
        ("seen", Rollout),
        ("aim", Objective),
        *((name, c_void_p) for name in ("places", "borders")),
        ("minibatches", c_int64),
        ("threads", c_int32),
        *((name, c_void_p) for name in ("space", "came_to")),
    )


class Optimizer(Structure):
    """`optimizer` of follow.h."""

    _fields_ = (
        ("kind", c_int32),
        *((name, c_float) for name in ("rate", "decay", "epsilon", "norm")),
        ("steps", c_int64),
        ("means", Parts),
        ("squares", Parts),
    )


@cache
def library() -> ctypes.CDLL | None:
    """Return the compiled code; `None` where there is no compiler for it, or it cannot be loaded."""
    code = load(SOURCE)
    return None if code is None else declared(code)


def declared(code: ctypes.CDLL) -> ctypes.CDLL:
    """Return a library whose functions know what they take."""
    code.nasgym_panel_floats.argtypes, code.nasgym_panel_floats.restype = (POINTER(Network),), c_long
    code.nasgym_say_floats.argtypes, code.nasgym_say_floats.restype = (POINTER(Network), c_long), c_long
    code.nasgym_pack.argtypes, code.nasgym_pack.restype = (POINTER(Network), c_void_p), None
    code.nasgym_in_table.argtypes, code.nasgym_in_table.restype = (POINTER(Network), c_void_p, c_long), c_int
    code.nasgym_say.argtypes = (POINTER(Network), c_void_p, c_void_p, c_long, *(c_void_p,) * 7)
    code.nasgym_say.restype = c_int
    code.nasgym_lesson_floats.argtypes, code.nasgym_lesson_floats.restype = (POINTER(Lesson),), c_long
    code.nasgym_learn.argtypes = (POINTER(Lesson), POINTER(Optimizer))
    code.nasgym_learn.restype = None
    return code


def check_rows(inside: int) -> None:
    """Raise what a function of the library reports of whole numbers.

    Raises:
        SpecError: one is none of those that its group has.
    """
    if not inside:
        raise SpecError("A whole number is observed that its space does not hold. Correct the environment's space.")
