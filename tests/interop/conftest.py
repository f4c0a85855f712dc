"""Libraries with environments of their own (make test-interop): their files are collected where they are installed."""

from importlib.util import find_spec

collect_ignore = [
    file for library, file in (("torchrl", "test_torchrl.py"), ("ray", "test_rllib.py")) if find_spec(library) is None
]
