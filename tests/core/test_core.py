"""Named streams, suggestions and plug-in look-up."""

import os
import pickle
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nasgym.core.errors import PlanError, PluginError, nearest
from nasgym.core.files import write_atomically
from nasgym.core.plugins import available, load
from nasgym.core.randomness import entropy, stream, torch_seed


def test_a_stream_depends_on_its_seed_and_on_every_name():
    draws = {
        float(stream(seed, *names).random())
        for seed in (0, 1)
        for names in (("env",), ("env", 0), ("env", 1), ("env", "1"), ("agent", 1), ("en", "v1"))
    }
    assert len(draws) == 12


def test_a_stream_does_not_drift_between_releases():
    assert entropy(0, "env", 3) == 209011936223494988327976533338165301886
    np.testing.assert_array_equal(stream(7, "golden").integers(1000, size=4), [837, 585, 129, 310])


def test_a_torch_seed_fits_into_63_bits():
    assert all(0 <= torch_seed(seed, "init") < 2**63 for seed in range(1000))


def test_the_nearest_name_is_suggested_only_when_near():
    assert nearest("conolution", ["convolution", "pooling"]) == " Did you mean 'convolution'?"
    assert nearest("xyz", ["convolution", "pooling"]) == ""


def test_an_unknown_plug_in_or_group_is_refused_by_name():
    with pytest.raises(PluginError, match=r"Unknown plug-in group 'nasgym\.space'\. Did you mean 'nasgym\.spaces'\?"):
        available("nasgym.space")
    with pytest.raises(PluginError, match=r"No plug-in 'nothing' in 'nasgym\.spaces'"):
        load("nasgym.spaces", "nothing")


def test_a_plan_error_travels_between_processes():
    error = pickle.loads(pickle.dumps(PlanError("too small", layer=3)))
    assert (str(error), error.layer) == ("too small", 3)


def test_a_file_is_replaced_whole_with_usual_permissions(tmp_path: Path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    before = os.umask(0o027)
    try:
        write_atomically(path, b"new")
    finally:
        os.umask(before)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_content_and_no_litter(tmp_path: Path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_atomically(path, bytes(2000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


LIGHT = """
import sys, logging, os, random

def surroundings():
    environment = {{name: value for name, value in os.environ.items() if name != "PYGAME_HIDE_SUPPORT_PROMPT"}}
    return environment, random.getstate(), list(logging.getLogger().handlers), os.getcwd()

before = surroundings()  # the variable is gymnasium's, which sets it when it is imported
import {module}
assert surroundings() == before
heavy = [name for name in {heavy} if name in sys.modules]
assert not heavy, heavy
"""


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("nasgym", ["numpy", "torch", "gymnasium", "sqlalchemy"]),
        ("nasgym.cli.main", ["numpy", "torch", "gymnasium", "sqlalchemy", "matplotlib", "sklearn"]),
        ("nasgym.architectures", ["torch", "matplotlib"]),
        ("nasgym.networks.plan", ["torch", "matplotlib"]),
        ("nasgym.data", ["torch", "matplotlib", "sklearn"]),
        ("nasgym.envs", ["torch", "matplotlib", "sklearn"]),
        ("nasgym.store", ["torch"]),
        ("nasgym.evaluation", ["torch"]),
    ],
)
def test_importing_does_nothing_and_brings_nothing_heavy(module, heavy):
    script = LIGHT.format(module=module, heavy=heavy)
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
