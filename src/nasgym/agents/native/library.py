"""The compiled code of agents, and its structures as Python sees them."""

import ctypes
from ctypes import POINTER, Structure, c_float, c_int, c_int32, c_int64, c_long, c_void_p
from functools import cache
from pathlib import Path

from nasgym.core.compiled import Source, load

UNITS = 16
"""The size of a memory is a multiple of it, or torch computes it."""
MAX_THREADS = 16

_FOLDER = Path(__file__).parent
SOURCE = Source(
    name="agents",
    purpose="the agents' code",
    without="torch computes agents, more slowly",
    files=tuple(_FOLDER / name for name in ("lstm.c", "backward.h", "step.h", "vectors.h")),
    flags=("-O3", "-march=native", "-shared", "-fPIC", "-pthread", "-Wno-psabi"),
)


class Network(Structure):
    """`network` of step.h."""

    _fields_ = (
        *((name, c_int32) for name in ("units", "fields", "numbers", "rows")),
        *((name, c_void_p) for name in ("table", "matrix", "weight")),
    )


class Actor(Structure):
    """`actor` of lstm.c."""

    _fields_ = (
        ("net", Network),
        *((name, c_int32) for name in ("n_said", "n_actions")),
        *((name, c_void_p) for name in ("panels", "heads", "biases")),
        ("masked", c_float),
        *((name, c_void_p) for name in ("inputs", "kept")),
    )


class Sequence(Structure):
    """`sequence` of backward.h."""

    _fields_ = (
        ("net", Network),
        *((name, c_int64) for name in ("length", "n")),
        *((name, c_int32) for name in ("groups", "threads")),
        *((name, c_void_p) for name in ("rows", "numbers", "begins", "hidden", "cell")),
        *((name, c_void_p) for name in ("gates", "cells", "outputs", "of_outputs", "sums")),
    )


@cache
def library() -> ctypes.CDLL | None:
    """Return the compiled code; `None` where there is no compiler for it, or it cannot be loaded."""
    code = load(SOURCE)
    return None if code is None else declared(code)


def declared(code: ctypes.CDLL) -> ctypes.CDLL:
    """Return a library whose functions know what they take."""
    code.nasgym_panel_floats.argtypes, code.nasgym_panel_floats.restype = (POINTER(Network),), c_long
    code.nasgym_pack.argtypes, code.nasgym_pack.restype = (POINTER(Network), c_void_p), None
    code.nasgym_say.argtypes = (POINTER(Actor), c_long, *(c_void_p,) * 7)
    code.nasgym_forward.argtypes = (POINTER(Sequence),)
    code.nasgym_backward.argtypes = (POINTER(Sequence), c_void_p)
    for function in (code.nasgym_say, code.nasgym_forward, code.nasgym_backward):
        function.restype = c_int
    return code
