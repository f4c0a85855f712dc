"""C code of the package: built by the machine's own compiler at its first use, kept in the user's cache, no torch."""

import ctypes
import hashlib
import logging
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import platformdirs

_log = logging.getLogger(__name__)

COMPILERS = ("cc", "gcc", "clang")


@dataclass(frozen=True)
class Source:
    """C code.

    Attributes:
        name: of the library's file.
        purpose: of the code, for messages: "the training code".
        without: what happens where it cannot be used, for messages: "torch trains, more slowly".
        files: the first is compiled; the others are included by it.
        flags: of the compiler.
    """

    name: str
    purpose: str
    without: str
    files: tuple[Path, ...]
    flags: tuple[str, ...]


def load(source: Source) -> ctypes.CDLL | None:
    """Return the compiled code; `None` where there is no compiler for it, or it cannot be built or loaded.

    What was built before is found in the cache by the text of the code, the compiler, its flags and the instructions of
    the processor, so that a cache which several machines share serves each with its own. Whoever builds does so in a
    folder of their own, and moves the library to its place at the end. Where the cache cannot be written, it is built
    for this process alone.
    """
    compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
    if compiler is None or not sys.platform.startswith("linux"):
        _log.info("No C compiler (%s) was found: %s.", ", ".join(COMPILERS), source.without)
        return None
    try:
        target = _cached(source, compiler)
    except OSError as error:
        _log.info("%s is not kept, since the cache cannot be written: %s", source.purpose, error)
        return _load_once(source, compiler)
    except subprocess.SubprocessError as error:
        _report(source, compiler, error)
        return None
    try:
        return ctypes.CDLL(str(target))
    except OSError as error:
        _log.warning("%s cannot be loaded, so %s; delete it to have it built anew: %s", target, source.without, error)
        return None


def _load_once(source: Source, compiler: str) -> ctypes.CDLL | None:
    """Return the code, built where nothing of it stays."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            return ctypes.CDLL(str(_build(source, compiler, Path(folder))))
    except (OSError, subprocess.SubprocessError) as error:
        _report(source, compiler, error)
        return None


def _report(source: Source, compiler: str, error: Exception) -> None:
    why = getattr(error, "stderr", None) or str(error).encode()
    _log.warning("%s could not build %s, so %s: %s", compiler, source.purpose, source.without, why.decode())


def _cached(source: Source, compiler: str) -> Path:
    """Return the library's file, compiling it unless that has been done."""
    digest = hashlib.sha256("\n".join((compiler, *source.flags, _processor())).encode())
    for file in source.files:
        digest.update(file.read_bytes())
    target = platformdirs.user_cache_path("nasgym") / "native" / f"{source.name}-{digest.hexdigest()[:16]}.so"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            _build(source, compiler, Path(folder)).replace(target)
    return target


def _build(source: Source, compiler: str, folder: Path) -> Path:
    made = folder / f"{source.name}.so"
    command = [compiler, *source.flags, "-o", str(made), str(source.files[0]), "-lm"]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return made


def _processor() -> str:
    """Return what tells processors apart that need code of their own."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    features = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return f"{platform.machine()} {features}"
