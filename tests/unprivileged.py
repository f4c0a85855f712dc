"""Calls without special rights, so that tests of permissions mean something for root, too."""

import os
from collections.abc import Callable

from nasgym.core.errors import NasgymError

NOBODY = 65534


def error_without_rights(call: Callable[[], object]) -> str:
    """Make `call` in a child process that is not root, and return the message of the error that it raises."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        if os.geteuid() == 0:
            os.setuid(NOBODY)
        try:
            call()
            message = "no error"
        except NasgymError as error:
            message = str(error)
        os.write(writer, message.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        message = answer.read()
    os.waitpid(child, 0)
    return message
