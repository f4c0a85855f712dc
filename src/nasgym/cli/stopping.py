"""Ctrl-C in commands that stop at a good moment."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stopping(say: Callable[[], None]) -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C, or request to terminate, wait for a good moment; the second does not.

    Args:
        say: called at the first.

    Yields:
        whether there was one.
    """
    asked = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            signal.default_int_handler(number, frame)
        asked = True
        say()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, action in before.items():
            signal.signal(number, action)
