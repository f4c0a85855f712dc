"""Help texts, whose examples use only what exists, and the time until they stand there."""

import re
import time
from collections.abc import Iterator

import click
import pytest
import typer
from terminal import Prompt, Shell

from nasgym.cli.main import app

FLAG = re.compile(r"(?<![\w-])--?[a-z][a-z-]*")


def commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that does something, with the words that call it."""
    subcommands = getattr(command, "commands", None)
    if subcommands is None:
        yield path, command
        return
    for name, sub in subcommands.items():
        yield from commands(sub, (*path, name))


COMMANDS = dict(commands(typer.main.get_command(app)))


def prose(command) -> str:
    return "\n".join([command.help or "", command.epilog or ""])


def flags(command) -> set[str]:
    return {option for parameter in command.params for option in parameter.opts} | {"--help", "-h"}


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_has_an_example_and_names_no_flag_that_does_not_exist(path):
    command = COMMANDS[path]
    text = prose(command)
    assert f"nasgym {' '.join(path)}" in text
    for line in text.splitlines():
        called = next((other for other in COMMANDS if f"nasgym {' '.join(other)}" in line), path)
        assert set(FLAG.findall(line)) <= flags(COMMANDS[called])


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_option_says_what_it_is(path):
    for parameter in COMMANDS[path].params:
        assert getattr(parameter, "help", None), f"{' '.join(path)}: {parameter.name}"


def test_the_log_goes_to_the_terminal_and_to_a_file_from_before_and_behind_the_command(prompt: Prompt, photos):
    words = ("evaluate", photos, "-a", "conv1", "--size", 8, "--epochs", 1)
    assert prompt.run(*words).err == ""
    before = prompt.run("-vv", "--log-file", "first", *words, "--seed", 1)
    behind = prompt.run(*words, "--seed", 2, "-vv", "--log-file", "second")
    for said, name in ((before, "first"), (behind, "second")):
        assert said.code == 0
        assert "nasgym." in said.err
        assert "nasgym." in (prompt.folder / name).read_text()


@pytest.mark.parametrize(("words", "generous"), [(("--help",), 1.5), (("--version",), 1.5)])
def test_help_comes_at_once(shell: Shell, words, generous):
    seconds = []
    for _ in range(5):
        started = time.monotonic()
        said = shell.run(*words)
        seconds.append(time.monotonic() - started)
        assert said.code == 0
    print(f"nasgym {' '.join(words)}: {min(seconds):.2f} s")
    assert min(seconds) < generous
