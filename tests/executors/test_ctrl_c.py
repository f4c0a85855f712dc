"""Ctrl-C reaches every process of a group; workers leave it to their parent, also while they start."""

import subprocess
import sys

STORM = """
import os, signal, threading, time

from nasgym.executors import local_executor

if __name__ == "__main__":
    signal.signal(signal.SIGINT, lambda *_: None)
    with local_executor(1) as executor:
        storm = threading.Event()

        def interrupt() -> None:
            while not storm.wait(0.003):
                os.killpg(0, signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        answers = [executor.submit(abs, -number).result() for number in range(3)]
        storm.set()
        thread.join()
    print(answers)
"""


def test_ctrl_c_while_a_worker_starts_does_not_reach_it(tmp_path):
    script = tmp_path / "storm.py"
    script.write_text(STORM)
    run = subprocess.run(
        [sys.executable, script], start_new_session=True, capture_output=True, text=True, timeout=60, check=False
    )
    assert run.stderr == ""
    assert run.stdout == "[0, 1, 2]\n"
