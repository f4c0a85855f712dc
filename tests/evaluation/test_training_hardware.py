"""Device, arithmetic, threads, memory: `nasgym.evaluation.hardware`."""

from pathlib import Path

import pytest
import torch

from nasgym.evaluation import hardware
from nasgym.evaluation.hardware import PeakMemory, autocast, computes_in_bfloat16, isolated, torch_device
from nasgym.evaluation.recipes import Precision

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ({"avx512_f": True, "avx512_bf16": True}, True),
        ({"avx512_bf16": False, "amx_bf16": True}, True),
        ({"neon": True, "bf16": True}, True),
        ({"avx2": True, "avx512_f": True, "avx512_bf16": False}, False),
        ({}, False),
    ],
)
def test_a_cpu_computes_in_bf16_only_where_it_has_the_instructions(
    monkeypatch: pytest.MonkeyPatch, features: dict[str, bool], expected: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: features)
    assert computes_in_bfloat16(CPU) is expected
    assert autocast(CPU, Precision.BFLOAT16_WHERE_FAST)._enabled is expected
    assert autocast(CPU, Precision.FLOAT32)._enabled is False


def test_a_torch_that_cannot_tell_computes_in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert computes_in_bfloat16(CPU) is False


def test_auto_is_a_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert torch_device("auto") == torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert torch_device("auto") == CPU


def test_isolation_hides_the_random_state_and_puts_it_back() -> None:
    before = torch.get_rng_state()
    drawn = []
    for noise in (1, 2):
        torch.manual_seed(noise)
        with isolated(CPU, None, dropout_seed=7):
            drawn.append(torch.rand(3))
    torch.set_rng_state(before)
    assert torch.equal(*drawn)
    with isolated(CPU, None, dropout_seed=7):
        torch.rand(3)
    assert torch.equal(torch.get_rng_state(), before)


def test_isolation_puts_the_threads_back_after_an_error() -> None:
    before = torch.get_num_threads()

    def fail() -> None:
        with isolated(CPU, before + 1, dropout_seed=0):
            assert torch.get_num_threads() == before + 1
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        fail()
    assert torch.get_num_threads() == before


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak of the resident set is told on Linux")
def test_the_peak_memory_holds_what_was_allocated_meanwhile_and_not_before() -> None:
    torch.zeros(200_000_000, dtype=torch.uint8).add_(1)
    memory = PeakMemory(CPU)
    start = memory.read()
    torch.zeros(100_000_000, dtype=torch.uint8).add_(1)
    assert 80_000_000 < memory.read() - start < 150_000_000


def test_where_the_peak_memory_cannot_be_told_it_is_0(monkeypatch: pytest.MonkeyPatch) -> None:
    class Nowhere:
        def __init__(self, path: str) -> None:
            self.path = path

        def write_text(self, text: str) -> None:
            raise PermissionError

    monkeypatch.setattr(hardware, "Path", Nowhere)
    assert PeakMemory(CPU).read() == 0
