"""Runs the paper's three experiments from their full-scale files, on records made of real images: `make full-scale`.

    python tests/experiments/full_scale.py [--data FOLDER] [--folder FOLDER] [--seed 0] [--epochs 12]

What is run extends configs/paper/experiment-*.toml and changes how many steps, trainings, final epochs and training
images there are, nothing else: networks of up to ten layers on 84 x 84 pixels, trained for 12 epochs by profile
`paper`. Each experiment is killed (SIGKILL) once at a random moment and given the same command again; one stage is done
on Ray, too. The exit code is 1, with a sentence, where a finished evaluation is lost or done twice, where a stage or a
part of a report is missing, where a worker survives, or where Ray's outcomes are others.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from full_scale_checks import Kept, Problem, check_report, check_same_outcomes, check_trained_once
from full_scale_records import write_records

CONFIGS = Path(__file__).parents[2] / "configs" / "paper"
PROGRAM = Path(sys.executable).with_name("nasgym")
SAMPLES = 24
SMALLER = {
    1: """
[agents.dqn]
learning_starts = 2
[stages]
hardness.steps = 8
meta-a2c-omniglot.steps = 10
meta-a2c-vgg_flower.steps = 10
meta-a2c-dtd.steps = 10
dqn-omniglot.steps = 10
dqn-vgg_flower.steps = 10
dqn-dtd.steps = 10
walk-omniglot.steps = 12
walk-vgg_flower.steps = 8
walk-dtd.steps = 8
""",
    2: """
[stages]
frozen-aircraft.steps = 40
frozen-cu_birds.steps = 40
final-aircraft = { trainings = 2, epochs = 1 }
final-cu_birds = { trainings = 1, epochs = 1 }
""",
    3: """
[stages]
sigma-0.steps = 20
sigma-0_1.steps = 20
""",
}
"""What differs from the files that are shipped, beside the number of training images."""
ON_RAY = "walk-dtd"
STAGES = {
    1: ("hardness", "meta-a2c-omniglot", "meta-a2c-dtd", "dqn-vgg_flower"),
    2: ("frozen-aircraft", "frozen-cu_birds", "final-aircraft"),
    3: ("sigma-0",),
}
"""Stages in which an experiment may be killed: those that train at least `MOST` networks that no other has trained."""
MOST = 4
"""Networks that a stage has trained before a kill, at most."""
ENDS_WITHIN = 20.0
"""Seconds after a kill within which workers have to end by themselves."""
LONGEST = 3600.0
"""Seconds that a command may take."""


@dataclass
class Memory:
    """The largest resident sets of a session's processes.

    Attributes:
        one: of one process, bytes.
        together: of all at once, bytes; pages that they share count for each.
    """

    one: int = 0
    together: int = 0

    def look(self, session: int) -> None:
        """Take the session's processes as they are now into account."""
        sizes = [size for _, size in processes(session)]
        self.one, self.together = max([self.one, *sizes]), max(self.together, sum(sizes))


def processes(session: int) -> Iterator[tuple[int, int]]:
    """Yield id and resident set, in bytes, of the processes of a session that are alive."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            yield int(stat.parent.name), int(fields[21]) * os.sysconf("SC_PAGE_SIZE")


@dataclass
class Here:
    """Where commands are typed.

    Attributes:
        folder: of everything.
        workers: processes that train networks.
        memory: of all commands.
    """

    folder: Path
    workers: int
    memory: Memory = field(default_factory=Memory)

    @property
    def store(self) -> Path:
        """The store of the three experiments."""
        return self.folder / "runs" / "store.sqlite"

    def begin(self, number: int, *more: str) -> subprocess.Popen[bytes]:
        """Type the command of an experiment."""
        words = ("experiment", f"experiment-{number}.toml", "--data", "records", "--workers", str(self.workers))
        with (self.folder / f"said-{number}.txt").open("ab") as said:
            process = subprocess.Popen(
                [PROGRAM, *words, "--log-file", f"log-{number}.txt", *more],
                cwd=self.folder,
                env=os.environ | {"NASGYM_CACHE": str(self.folder / "cache"), "OMP_NUM_THREADS": "1"},
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        threading.Thread(target=self._watch, args=(process,), daemon=True).start()
        return process

    def end(self, process: subprocess.Popen[bytes], number: int) -> None:
        """Wait for a command to end well."""
        try:
            code = process.wait(LONGEST)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise Problem(f"experiment {number} takes more than {LONGEST:.0f} s") from None
        if code:
            said = (self.folder / f"said-{number}.txt").read_text()
            raise Problem(f"experiment {number} ended with {code}:\n{said[-3000:]}")

    def kill(self, number: int, moments: random.Random) -> str:
        """Type the command of an experiment and kill it at a random moment; return the stage it was in, in words."""
        stage, networks, pause = moments.choice(STAGES[number]), moments.randrange(MOST), moments.uniform(0.0, 2.0)
        process = self.begin(number)
        begun = self.folder / "runs" / f"paper-{number}" / stage / "run.json"
        while process.poll() is None and not begun.exists():
            time.sleep(0.05)
        before = Kept.of(self.store)
        while process.poll() is None and Kept.of(self.store).count(before) < networks:
            time.sleep(0.2)
        time.sleep(pause)
        if process.poll() is not None:
            self.end(process, number)
            raise Problem(f"experiment {number} was over before it could be killed")
        process.kill()
        process.wait()
        deadline = time.monotonic() + ENDS_WITHIN
        while (left := [found for found, _ in processes(process.pid)]) and time.monotonic() < deadline:
            time.sleep(0.1)
        if left:
            raise Problem(f"processes {left} go on {ENDS_WITHIN:.0f} s after experiment {number} was killed")
        return f"in {stage} after {networks} of its networks and {pause:.1f} s"

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        while process.poll() is None:
            self.memory.look(process.pid)
            time.sleep(0.2)


def write_files(folder: Path, samples: int, epochs: int) -> None:
    """Write the experiments on top of those that are shipped."""
    for number, smaller in SMALLER.items():
        base = (CONFIGS / f"experiment-{number}.toml").resolve()
        text = f'extends = "{base}"\n[defaults.task]\nsamples = {samples}\nepochs = {epochs}\n{smaller}'
        (folder / f"experiment-{number}.toml").write_text(text, encoding="utf-8")


def run(here: Here, number: int, moments: random.Random) -> None:
    """Do an experiment, killed once; look at what it leaves."""
    before, started = Kept.of(here.store), time.monotonic()
    moment = here.kill(number, moments)
    at_kill = Kept.of(here.store)
    here.end(here.begin(number), number)
    after = Kept.of(here.store)
    if not after.holds(at_kill):
        raise Problem(f"experiment {number}: evaluations that were finished before the kill are gone or others")
    trained = check_trained_once(here.folder / f"log-{number}.txt", before, after)
    figures = check_report(here.folder / "runs" / f"paper-{number}", number)
    here.end(here.begin(number), number)  # nothing is left to do
    if Kept.of(here.store) != after:
        raise Problem(f"experiment {number} goes on though it is finished")
    print(
        f"experiment {number}: killed {moment}, with {at_kill.count(before)} evaluations, which are all there; "
        f"{trained} at the end, none done twice; {figures} figures; {time.monotonic() - started:.0f} s",
        flush=True,
    )


def run_on_ray(here: Here) -> None:
    """Do one stage on Ray; compare its outcomes with those of the processes."""
    started, store = time.monotonic(), here.folder / "ray.sqlite"
    place = ("--out", "ray/paper-1", "--store", str(store))
    here.end(here.begin(1, "--only", ON_RAY, "--executor", "ray", *place), 1)
    same = check_same_outcomes(Kept.of(store), Kept.of(here.store))
    print(f"{ON_RAY} on Ray: {same} outcomes, the same; {time.monotonic() - started:.0f} s", flush=True)


def main() -> None:
    """Read the arguments, run everything, say how it went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("NASGYM_SHARED_DATA", "../shared/data")))
    parser.add_argument("--folder", type=Path, help="of everything; a temporary one, deleted at the end, by default")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--samples", type=int, default=SAMPLES, help="images that a network is trained on")
    parser.add_argument("--epochs", type=int, default=12, help="fewer than the paper's 12 for a quicker look")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nasgym-full-scale-") as temporary:
        here, started = Here((given.folder or Path(temporary)).resolve(), given.workers), time.monotonic()
        here.folder.mkdir(parents=True, exist_ok=True)
        written = write_records(given.data / "images", here.folder / "records")
        print("records: " + ", ".join(f"{name} {images}" for name, images in written.items()), flush=True)
        write_files(here.folder, given.samples, given.epochs)
        moments = random.Random(given.seed)
        try:
            for number in SMALLER:
                run(here, number, moments)
            run_on_ray(here)
        except Problem as problem:
            sys.exit(f"{problem} (in {here.folder})")
        one, together = (size / 2**30 for size in (here.memory.one, here.memory.together))
        print(f"all in {time.monotonic() - started:.0f} s; largest process {one:.1f} GiB, together {together:.1f} GiB")


if __name__ == "__main__":
    main()
