"""What a training runs on: device, threads, arithmetic, and the memory it takes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from nasgym.core.errors import ConfigurationError
from nasgym.evaluation.recipes import Precision

_BFLOAT16_FEATURES = ("avx512_bf16", "amx_bf16", "avx10_2", "bf16", "sve_bf16")
"""Names under which torch reports a processor that computes in bf16 (x86-64 and ARM64)."""


def torch_device(name: str) -> torch.device:
    """Return the device called `name`: `cpu`, `cuda`, `cuda:1`; `auto` is a GPU where there is one.

    Raises:
        ConfigurationError: the name means nothing to torch, or there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigurationError(f"Device {name!r} is unknown; choose auto, cpu, cuda or cuda:N.") from error
    if device.type not in ("cpu", "cuda"):
        raise ConfigurationError(f"Device {name!r} is not supported; choose auto, cpu, cuda or cuda:N.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigurationError(f"Device {name!r} is not here: torch sees {torch.cuda.device_count()} GPU(s).")
    return device


def computes_in_bfloat16(device: torch.device) -> bool:
    """Return whether `device` has bf16 arithmetic of its own; emulated, it is slower than fp32."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if not hasattr(torch.cpu, "get_capabilities"):  # torch before 2.11 cannot tell
        return False
    features = torch.cpu.get_capabilities()
    return any(features.get(name, False) for name in _BFLOAT16_FEATURES)


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """Return the context in which networks compute under `precision` on `device`."""
    mixed = precision is Precision.BFLOAT16_WHERE_FAST and computes_in_bfloat16(device)
    return torch.autocast(device.type, torch.bfloat16, enabled=mixed)


@contextmanager
def isolated(device: torch.device, threads: int | None, dropout_seed: int) -> Iterator[None]:
    """Train as if nothing had run before, and leave no trace: random state, threads and cuDNN settings are restored.

    Args:
        device: what is used.
        threads: of torch's operators on a CPU; `None` leaves them as they are.
        dropout_seed: seed of torch's own random state inside, which only dropout draws from.
    """
    before = torch.get_num_threads()
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices), torch.backends.cudnn.flags(deterministic=True, benchmark=False):
        torch.manual_seed(dropout_seed)
        if threads is not None:
            torch.set_num_threads(threads)
        try:
            yield
        finally:
            if threads is not None:
                torch.set_num_threads(before)


class PeakMemory:
    """The highest memory in use since it was made, in bytes.

    On a GPU, what torch's allocator held. On Linux, the resident set of the whole process: interpreter, libraries
    and data included. Elsewhere it cannot be told.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._known = False
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            self._known = True
            return
        try:
            Path("/proc/self/clear_refs").write_text("5")
        except OSError:
            return
        self._known = True

    def read(self) -> int:
        """Return the peak so far; 0 where it cannot be told."""
        if not self._known:
            return 0
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        return 0
