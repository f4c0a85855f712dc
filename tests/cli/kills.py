"""Kills processes of searches with SIGKILL, at random moments, and looks whether anything is lost: `make kills`."""

import argparse
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from nasgym.experiments.events import Evaluated, Event, Trained
from nasgym.experiments.python_api import settle
from nasgym.experiments.search import Surroundings
from nasgym.store import open_store

SETTINGS = {"evaluations": 12, "final_epochs": 12, "finalists": 2, "out": "out"}
IMAGES = {"size": 32, "max_per_class": 20}
EPOCHS = 4
LONGEST = 240.0
"""Seconds that a part of a search may take at most when nobody kills it."""


@dataclass(frozen=True)
class Place:
    """Where a search happens, and on what.

    Attributes:
        folder: of store and results.
        cache: of decoded images.
        source: the images.
        workers: processes that train.
    """

    folder: Path
    cache: Path
    source: str
    workers: int

    @property
    def resumes(self) -> bool:
        """Whether there is a search to go on with."""
        return (self.folder / "out" / "run.json").exists()

    def result(self) -> dict:
        """What came out, without what differs from one time to the next."""
        return timeless(json.loads((self.folder / "out" / "result.json").read_text()))

    def lost(self) -> set[str]:
        """Networks that the search told of and that the store does not hold."""
        told = self.folder / "told"
        networks = set(told.read_text().splitlines()) if told.exists() else set()
        if not networks:
            return set()
        with open_store(self.folder / "runs" / "store.sqlite", create=False) as store:
            runs = [(run.id, phase) for run in store.runs() for phase in store.phases(run.id)]
            return networks - {step.architecture for run, phase in runs for step in store.steps(run, phase=phase)}

    def repeated(self) -> list[int]:
        """Steps that the store holds more than once."""
        run = json.loads((self.folder / "out" / "run.json").read_text())["run"]
        with open_store(self.folder / "runs" / "store.sqlite", create=False) as store:
            numbers = [step.number for step in store.steps(run)]
        return [number for number in set(numbers) if numbers.count(number) > 1]


def timeless(result: dict) -> dict:
    """Return a result without what differs from one time to the next."""
    return {name: value for name, value in result.items() if name not in ("seconds", "out")}


def search(place: Place) -> None:
    """Search, or go on, in a process that may be killed; write down each network when it is told of."""
    os.chdir(place.folder)
    with Path("told").open("a", buffering=1) as told:

        def listen(event: Event) -> None:
            if isinstance(event, Evaluated | Trained):
                told.write(f"{event.architecture}\n")

        sections = {"data": {"source": place.source} | IMAGES, "evaluation": {"epochs": EPOCHS}}
        around = Surroundings(command="search", listener=listen, cache_dir=place.cache)
        settle(SETTINGS | sections | {"workers": place.workers}, resume=place.resumes).search(around)


def start(place: Place) -> ForkServerProcess:
    """Start `search`, quickly: libraries are loaded already."""
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["nasgym.experiments.python_api", "nasgym.evaluation.final"])
    process = server.Process(target=search, args=(place,))
    process.start()
    return process


def workers_of(process: int) -> list[int]:
    """Return the worker processes of a search."""
    found = []
    for child in Path(f"/proc/{process}/task/{process}").parent.glob("*/children"):
        for number in child.read_text().split():
            command = Path(f"/proc/{number}/cmdline").read_bytes()
            found.extend([int(number)] if b"spawn_main" in command else [])
    return found


def kill_one(process: ForkServerProcess, choice: random.Random) -> None:
    """Kill the search or one of its workers."""
    assert process.pid is not None
    try:
        victims = [process.pid, *workers_of(process.pid)]
        os.kill(choice.choice(victims), signal.SIGKILL)
    except (OSError, ProcessLookupError):  # it ended just now
        return


def finish_under_fire(place: Place, kills: int, longest_pause: float, choice: random.Random) -> int:
    """Search to the end, being killed up to `kills` times; return how often. Nothing may be lost meanwhile."""
    killed = 0
    while True:
        process = start(place)
        while killed < kills:
            process.join(timeout=choice.uniform(0.2, longest_pause))
            if process.exitcode is not None:
                break
            kill_one(process, choice)
            killed += 1
            time.sleep(0.02)
        process.join(timeout=LONGEST)
        assert process.exitcode is not None, f"the search in {place.folder} hangs"
        assert place.lost() == set()
        if process.exitcode == 0 and (place.folder / "out" / "result.json").exists():
            assert place.repeated() == []
            return killed
        assert process.exitcode in (0, -signal.SIGKILL), f"exit code {process.exitcode} in {place.folder}"


def main() -> None:
    """Kill until there were enough kills; exit with 1 if anything was lost or came out differently."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    choice = random.Random(given.seed)
    base = Path(tempfile.mkdtemp(prefix="nasgym-kills-"))
    places = (Place(base / f"search-{number}", base / "cache", "digits", number % 2 * 2) for number in range(10**6))
    place = next(places)
    place.folder.mkdir(parents=True)
    finish_under_fire(place, 0, 1.0, choice)
    undisturbed = place.result()
    killed = searches = 0
    while killed < given.kills:
        place = next(places)
        place.folder.mkdir(parents=True)
        killed += finish_under_fire(place, min(10, given.kills - killed), 6.0 if place.workers else 2.0, choice)
        searches += 1
        if place.result() != undisturbed:
            sys.exit(f"The search in {place.folder} came to {place.result()}, undisturbed to {undisturbed}.")
        print(f"{killed} kills, {searches} searches: nothing lost, nothing repeated, the same result.", flush=True)
        shutil.rmtree(place.folder)
    shutil.rmtree(base)


if __name__ == "__main__":
    main()
