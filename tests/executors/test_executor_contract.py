"""What every executor does, and what those with workers do when workers die, on processes that really die."""

import os
import pickle
import signal
import time
from collections import Counter
from concurrent.futures import CancelledError, wait
from pathlib import Path

import called
import pytest

from conftest import MakeExecutor, executors
from nasgym.evaluation.resident import Resident
from nasgym.executors import InProcessExecutor, WorkerExecutor, WorkerLostError, Workforce, local_executor
from nasgym.executors.parcels import MOST_RESIDENTS, Desk, Parcels

EVERY = ("in-process", "pool", "ray")
WITH_WORKERS = ("pool", "ray")


@executors(*EVERY)
def test_every_call_comes_back_once_with_its_own_result(make: MakeExecutor):
    with make() as executor:
        futures = [executor.submit(called.divide, number, 2) for number in range(20)]
        assert [future.result() for future in futures] == [number / 2 for number in range(20)]


@executors(*EVERY)
def test_what_a_call_raises_is_raised_where_it_was_asked_for(make: MakeExecutor):
    with make() as executor:
        future = executor.submit(called.divide, 1, 0)
        with pytest.raises(ZeroDivisionError, match="division by zero") as raised:
            future.result()
        assert executor.submit(called.divide, 1, 1).result() == 1
    if not isinstance(executor, InProcessExecutor):
        assert "return a / b" in "".join(raised.value.__notes__)


@executors(*WITH_WORKERS)
def test_what_does_not_pickle_is_refused_and_the_worker_goes_on(make: MakeExecutor):
    with make() as executor:
        with pytest.raises(TypeError, match="What a call came to does not pickle"):
            executor.submit(called.unpicklable).result()
        with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
            executor.submit(lambda: None).result()
        assert executor.submit(called.divide, 1, 1).result() == 1


@executors(*WITH_WORKERS)
def test_an_executor_that_is_shut_down_ends_what_it_has_and_takes_no_more(make: MakeExecutor):
    executor = make()
    future = executor.submit(called.divide, 4, 2)
    executor.shutdown()
    assert future.result(timeout=0) == 2
    with pytest.raises(RuntimeError, match="shut down"):
        executor.submit(called.divide, 1, 1)


@pytest.mark.parametrize(
    ("make", "how"), [*(("pool", how) for how in called.ENDS), ("ray", "killed")], indirect=["make"]
)
def test_a_call_whose_worker_dies_is_made_by_another_and_others_do_not_notice(make: MakeExecutor, how, tmp_path):
    with make() as executor:
        slow = executor.submit(called.sleep, 1.0)
        dying = executor.submit(called.die_at_first, 2, tmp_path, how)
        assert dying.result(timeout=100) == 2
        assert slow.result(timeout=100) == "slept"
    assert len(list(tmp_path.iterdir())) == 2


@executors(*WITH_WORKERS)
def test_three_deaths_are_put_down_to_the_call(make: MakeExecutor, tmp_path):
    with make() as executor:
        with pytest.raises(WorkerLostError):
            executor.submit(called.die_at_first, 9, tmp_path, "segfault").result()
        assert len(list(tmp_path.iterdir())) == 3
        assert executor.submit(called.divide, 1, 1).result() == 1


def test_it_is_said_how_a_worker_ended(tmp_path):
    with local_executor(1) as executor:
        for how, words in (("killed", "was ended by SIGKILL"), ("segfault", "by SIGSEGV"), ("exit", "exit code 3")):
            (tmp_path / how).mkdir()
            with pytest.raises(WorkerLostError, match=words):
                executor.submit(called.die_at_first, 9, tmp_path / how, how).result()


@executors(*WITH_WORKERS)
def test_a_call_that_hangs_can_be_killed_alone(make: MakeExecutor):
    executor = make()
    assert isinstance(executor, WorkerExecutor)
    with executor:
        hanging, other = executor.submit(called.stop), executor.submit(called.sleep, 3.0)
        while hanging.seconds < 1:
            time.sleep(0.05)
        hanging.kill()
        with pytest.raises(WorkerLostError):
            hanging.result(timeout=20)
        assert hanging.seconds == 0
        assert other.result(timeout=60) == "slept"


@executors(*WITH_WORKERS)
def test_what_is_killed_stops_at_once_and_what_waits_is_cancelled(make: MakeExecutor):
    executor = make()
    assert isinstance(executor, WorkerExecutor)
    pids = {executor.submit(called.process).result() for _ in range(2)}
    futures = [executor.submit(called.sleep, 600.0) for _ in range(8)]
    while not any(future.running() for future in futures):
        time.sleep(0.02)
    began = time.monotonic()
    executor.kill()
    assert time.monotonic() - began < 10
    assert not wait(futures, timeout=10).not_done
    for future in futures:
        with pytest.raises((WorkerLostError, CancelledError)):
            future.result()
    for pid in pids:
        assert not is_alive(pid)


def is_alive(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return False
        if state == "Z":
            return False
        time.sleep(0.05)
    return True


@executors(*WITH_WORKERS)
def test_what_workers_keep_is_sent_to_each_of_them_once(make: MakeExecutor, tmp_path):
    journal = tmp_path / "journal"
    residents = [Resident(called.Noted(journal, number)) for number in range(3)]
    with make() as executor:
        futures = [executor.submit(called.content, residents[number % 3], number) for number in range(30)]
        assert [future.result() for future in futures] == [number % 3 * number for number in range(30)]
    loaded = Counter(journal.read_text().splitlines())
    assert set(loaded.values()) == {1}
    assert {line.split()[1] for line in loaded} == {"0", "1", "2"}


def test_a_worker_keeps_a_limited_number_of_values_those_used_last():
    parcels, desk = Parcels(), Desk()
    values = [Resident(number) for number in range(MOST_RESIDENTS + 5)]
    sent = Counter()
    for number in [*range(MOST_RESIDENTS), 0, *range(MOST_RESIDENTS, len(values)), 0, 1]:
        parcel = parcels.pack(called.divide, (1, 1), {"kept": values[number]})
        sent.update(resident.value for resident in parcel.residents)
        desk.make(parcel.call, {resident.name: resident.content for resident in parcel.residents}, parcel.dropped)
        assert len(desk._residents) <= MOST_RESIDENTS
    assert [number for number, times in sent.items() if times > 1] == [1]


def test_values_that_are_pickled_alike_are_kept_once():
    parcels = Parcels()
    assert len(parcels.pack(called.divide, (Resident("a"), Resident("a")), {}).residents) == 1
    assert parcels.pack(called.divide, (Resident("a"), 1), {}).residents == ()


def test_workers_start_when_there_is_work_and_not_before():
    with local_executor(2) as executor:
        assert executor._threads == []
        first = executor.submit(called.process).result()
        assert executor.submit(called.process).result() == first


def test_a_worker_that_dies_idle_is_replaced():
    with local_executor(1) as executor:
        first = executor.submit(called.process).result()
        os.kill(first, signal.SIGKILL)
        assert executor.submit(called.process).result() != first


def test_workers_never_see_ctrl_c():
    with Workforce(lambda: local_executor(1)) as workforce:
        process = workforce.submit(called.process).result()
        os.kill(process, signal.SIGINT)
        assert workforce.submit(called.process).result() == process


def interrupted(processes: list[int]) -> None:
    with Workforce(lambda: local_executor(1)) as workforce:
        processes.append(workforce.submit(called.process).result())
        workforce.submit(called.sleep, 600.0)
        raise KeyboardInterrupt


def test_a_workforce_that_an_exception_ends_kills_its_workers():
    processes: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        interrupted(processes)
    assert not is_alive(processes[0])
