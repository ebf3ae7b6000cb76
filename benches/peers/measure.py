"""Runs commands and says what they took: elapsed time, processor time and memory of all their processes."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

LOOK = 0.1
# A small process runs the command: until it has become another program, a child counts its parent's memory as its own.
LAUNCHER = """
import json, resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([code, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
"""
PATIENCE = 1800


@dataclass
class Taken:
    """Seconds, processor seconds, and peak MiB of all processes together, memory that they share counted once."""

    seconds: float
    cpu: float
    peak: float

    def then(self, other: "Taken") -> "Taken":
        """Both, one after the other."""
        return Taken(self.seconds + other.seconds, self.cpu + other.cpu, max(self.peak, other.peak))


def processes(session: int) -> list[Path]:
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                fields = (place / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session:
                found.append(place)
    return found


def memory(place: Path) -> float:
    """MiB of a process, its part of what it shares."""
    try:
        lines = (place / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


def run(command: list, environment: dict | None = None) -> Taken:
    """Runs a command to its end; one that fails ends this program with its last words."""
    start = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, "-S", "-c", LAUNCHER, *map(str, command)],
        env=os.environ | (environment or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    peak, ended = 0.0, threading.Event()

    def watch():
        nonlocal peak
        while not ended.wait(LOOK):
            peak = max(peak, sum(memory(place) for place in processes(child.pid) if place.name != str(child.pid)))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    # The whole session, should it take too long.
    timer = threading.Timer(PATIENCE, lambda: os.killpg(child.pid, signal.SIGKILL))
    timer.start()
    said, words = child.communicate()
    elapsed = time.perf_counter() - start
    timer.cancel()
    ended.set()
    watcher.join()
    code, cpu, largest = json.loads(said) if said else (child.returncode, 0.0, 0.0)
    if code != 0:
        sys.exit(f"failed with code {code}: {' '.join(map(str, command))}\n{words.decode(errors='replace')[-2000:]}")
    # What is over between two looks is in the kernel's own peak, of the largest process.
    return Taken(elapsed, cpu, max(peak, largest))


def output(command: list, environment: dict | None = None, place: Path | None = None) -> str:
    """What a command prints; its errors go where this program's go."""
    done = subprocess.run(
        [str(part) for part in command], env=os.environ | (environment or {}), cwd=place, stdout=subprocess.PIPE, text=True, timeout=PATIENCE
    )
    if done.returncode != 0:
        sys.exit(f"failed with code {done.returncode}: {' '.join(map(str, command))}\n{done.stdout[-2000:]}")
    return done.stdout
