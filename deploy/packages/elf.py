"""What a program asks of the system that runs it, by readelf, and the program without its symbols."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

# The libraries that every Linux with Python has (PEP 600). Another one would need an installation of its own.
ALLOWED = {"libc.so.6", "libm.so.6", "libstdc++.so.6", "libgcc_s.so.1", "libpthread.so.0", "libdl.so.2", "librt.so.1"}
LOADER = re.compile(r"^ld-linux.*\.so\.\d$")


# The section in which scanners look for the crates of a program.
CRATES = ".dep-v0"


def stripped(program: Path, crates: bytes) -> bytes:
    """Returns a program or library without symbols that only a debugger reads, and with the list of its crates."""
    with tempfile.NamedTemporaryFile() as output, tempfile.NamedTemporaryFile() as section:
        Path(section.name).write_bytes(crates)
        command = ["objcopy", "--strip-unneeded", "--add-section", f"{CRATES}={section.name}", program, output.name]
        subprocess.run(command, check=True)
        return Path(output.name).read_bytes()


def glibc(*programs: Path) -> tuple[int, int]:
    """Returns the oldest glibc with which all programs run.

    Raises:
        SystemExit: A program needs a library that not every system has.
    """
    needed = (0, 0)
    for program in programs:
        libraries = set(re.findall(r"\(NEEDED\).*\[(.+)\]", _readelf("--dynamic", program)))
        unknown = {library for library in libraries - ALLOWED if not LOADER.match(library)}
        if unknown:
            raise SystemExit(f"{program}: needs {', '.join(sorted(unknown))}, which not every system has")
        for major, minor in re.findall(r"Name: GLIBC_(\d+)\.(\d+)", _readelf("--version-info", program)):
            needed = max(needed, (int(major), int(minor)))
    return needed


def libstdcxx(*programs: Path) -> tuple[int, ...]:
    """Returns the version of GCC's C++ library's interface that all programs find (GLIBCXX)."""
    found = [v for program in programs for v in re.findall(r"Name: GLIBCXX_([\d.]+)", _readelf("--version-info", program))]
    return max((tuple(map(int, version.split("."))) for version in found), default=(3, 4))


def _readelf(what: str, program: Path) -> str:
    command = ["readelf", what, "--wide", str(program)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"}).stdout
