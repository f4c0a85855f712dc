"""The compiled code: built by the machine's C compiler at its first use, kept in the user's cache; no torch."""

import ctypes
from ctypes import POINTER, Structure, c_double, c_float, c_int, c_int32, c_int64, c_uint64, c_void_p
from functools import cache
from pathlib import Path

from nasgym.core.compiled import Source, load
from nasgym.evaluation.native.program import MAX_INPUTS

_FOLDER = Path(__file__).parent
_NAMES = (
    *("training.c", "adam.h", "convolution.h", "dense.h", "dot_products.h", "flat.h", "head.h", "merges.h", "passes.h"),
    *("tiled_convolution.h", "tiles.h", "vectors.h"),
)


def _source(without: str, *flags: str) -> Source:
    return Source(
        name="training",
        purpose="the training code",
        without=without,
        files=tuple(_FOLDER / name for name in _NAMES),
        flags=(
            *("-O3", "-march=x86-64-v4", "-mavx512bf16", *flags, "-mtune=native", "-shared", "-fPIC"),
            *("-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros", "-fassociative-math"),
        ),
    )


PAIRS = _source("torch trains, more slowly")
"""Products of pairs: AVX-512 bf16."""
TILES = _source("it computes without tiles, more slowly", "-mamx-tile", "-mamx-bf16")
"""Products of tiles: AMX bf16."""


class Node(Structure):
    """`node` of vectors.h."""

    _fields_ = (
        *((name, c_int32) for name in ("kind", "channels", "block", "blocks", "height", "width", "n_inputs")),
        *((name, c_int32 * MAX_INPUTS) for name in ("inputs", "top", "left", "channel")),
        *((name, c_int32) for name in ("kernel", "margin", "relu", "learns")),
        *((name, c_void_p) for name in ("value", "gradient", "scale", "shift", "input", "output")),
        *((name, c_void_p) for name in ("rounded", "forward", "backward", "weights", "gamma", "beta")),
        *((name, c_void_p) for name in ("d_weights", "d_gamma", "d_beta", "mean", "deviation")),
        *((name, c_void_p) for name in ("running_mean", "running_variance")),
        ("epsilon", c_float),
    )


class Dense(Structure):
    """`dense` of dense.h."""

    _fields_ = (
        ("n_inputs", c_int32),
        ("n_outputs", c_int32),
        ("dropout", c_float),
        *((name, c_void_p) for name in ("weights", "first", "second", "biases", "d_biases", "inputs", "sums")),
    )


class Workbench(Structure):
    """`workbench` of dense.h."""

    _fields_ = tuple((name, c_void_p) for name in ("panel", "by_image", "by_output", "rounded", "crossed", "gradient"))


class Head(Structure):
    """`head` of head.h."""

    _fields_ = (
        *((name, c_int32) for name in ("source", "relu", "maxima", "n_features", "n_classes")),
        *((name, c_int32) for name in ("n_layers", "n_groups")),
        *((name, c_void_p) for name in ("weights", "biases", "d_weights", "d_biases")),
        *((name, c_void_p) for name in ("features", "d_features", "scores")),
        ("layers", POINTER(Dense)),
        ("groups", c_void_p),
        ("on", Workbench),
    )


class Workspace(Structure):
    """`workspace` of vectors.h."""

    _fields_ = (*((name, c_void_p) for name in ("inputs", "outputs", "descents")), ("capacity", c_int64))


class Network(Structure):
    """`network` of training.c."""

    _fields_ = (
        ("n_nodes", c_int32),
        ("nodes", POINTER(Node)),
        ("top", Head),
        *((name, c_void_p) for name in ("levels", "parameters", "gradients", "first", "second")),
        ("n_decayed", c_int64),
        ("n_parameters", c_int64),
        ("on", Workspace),
    )


class AdamStep(Structure):
    """`adam` of training.c."""

    _fields_ = tuple(
        (name, c_float) for name in ("rate", "beta1", "beta2", "epsilon", "decay", "correction1", "correction2")
    )


@cache
def library(*, tiles: bool) -> ctypes.CDLL | None:
    """Return the compiled code; `None` where there is no compiler for it, or it cannot be loaded.

    Args:
        tiles: whether the processor has AMX; the caller makes sure that it has avx512_bf16. Without a compiler or a
            system that knows AMX the code does without.
    """
    loaded = load(TILES) if tiles else None
    if loaded is None or loaded.nasgym_prepare() != 0:
        loaded = load(PAIRS)
    if loaded is None:
        return None
    loaded.nasgym_step.restype = c_double
    loaded.nasgym_step.argtypes = (
        *(POINTER(Network), c_void_p, c_void_p, c_void_p, c_int, c_float, POINTER(AdamStep), c_uint64),
    )
    loaded.nasgym_score.restype = None
    loaded.nasgym_score.argtypes = (
        *(POINTER(Network), c_void_p, c_void_p, c_int64, c_int, POINTER(c_double), POINTER(c_int64)),
    )
    return loaded
