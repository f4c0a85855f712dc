"""C code is compiled once, kept, shared by processes and processors, and done without where it cannot be."""

import ctypes
import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nasgym.core import compiled
from nasgym.core.compiled import Source, load

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or not any(map(compiled.shutil.which, compiled.COMPILERS)),
    reason="needs a C compiler on Linux",
)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(compiled.platformdirs, "user_cache_path", lambda _: tmp_path / "cache")
    return tmp_path / "cache" / "native"


@pytest.fixture
def source(tmp_path: Path) -> Source:
    (tmp_path / "answer.h").write_text("#define ANSWER 42\n")
    (tmp_path / "answer.c").write_text('#include "answer.h"\nint answer(void) { return ANSWER; }\n')
    files = (tmp_path / "answer.c", tmp_path / "answer.h")
    return Source("answer", "the answer", "nothing is answered", files, ("-shared", "-fPIC"))


def answer(code: ctypes.CDLL | None) -> int:
    assert code is not None
    return int(code.answer())


def test_code_is_compiled_once(cache: Path, source: Source) -> None:
    assert answer(load(source)) == 42
    (built,) = cache.iterdir()
    before = built.stat().st_mtime_ns
    assert answer(load(source)) == 42
    assert [file.stat().st_mtime_ns for file in cache.iterdir()] == [before]


def test_what_the_code_includes_is_part_of_it(cache: Path, source: Source) -> None:
    assert answer(load(source)) == 42
    source.files[1].write_text("#define ANSWER 43\n")
    assert answer(load(source)) == 43
    assert len(list(cache.iterdir())) == 2


def test_another_processor_gets_code_of_its_own(cache: Path, source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    load(source)
    monkeypatch.setattr(compiled, "_processor", lambda: "x86_64 flags: none")
    assert answer(load(source)) == 42
    assert len(list(cache.iterdir())) == 2


def test_those_who_compile_at_once_leave_one_library(cache: Path, source: Source) -> None:
    with ThreadPoolExecutor(6) as pool:
        assert [answer(code) for code in pool.map(load, [source] * 6)] == [42] * 6
    assert [file.suffix for file in cache.iterdir()] == [".so"]


def test_where_the_cache_cannot_be_written_the_code_is_not_kept(cache: Path, source: Source) -> None:
    cache.parent.write_text("a file, where a folder is wanted")
    assert answer(load(source)) == 42
    assert cache.parent.is_file()


def test_without_a_compiler_there_is_no_code(
    cache: Path, source: Source, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(compiled.shutil, "which", lambda _: None)
    with caplog.at_level(logging.INFO):
        assert load(source) is None
    assert "No C compiler (cc, gcc, clang) was found: nothing is answered." in caplog.text


def test_what_the_compiler_says_is_reported(cache: Path, source: Source, caplog: pytest.LogCaptureFixture) -> None:
    source.files[0].write_text("int answer(void) { return ANSWER }\n")
    assert load(source) is None
    assert "could not build the answer, so nothing is answered: " in caplog.text
    assert "answer.c:1" in caplog.text
    assert list(cache.iterdir()) == []


def test_a_damaged_library_is_named_with_the_remedy(
    cache: Path, source: Source, caplog: pytest.LogCaptureFixture
) -> None:
    compiler = compiled.shutil.which("cc") or compiled.shutil.which("gcc") or compiled.shutil.which("clang")
    built = compiled._cached(source, compiler)  # and not loaded, since what is loaded once is not read again
    built.write_bytes(b"\x7fELF, but not for long")
    assert load(source) is None
    assert f"{built} cannot be loaded, so nothing is answered; delete it to have it built anew" in caplog.text


def test_importing_it_compiles_nothing(tmp_path: Path) -> None:
    code = "import nasgym.agents, nasgym.core.compiled"
    environment = {"XDG_CACHE_HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    assert list(tmp_path.iterdir()) == []
