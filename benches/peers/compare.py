"""Runs Roomcast and the peer in turn and prints medians and their ratios.

Elapsed time, processor time and peak memory are the kernel's. Peak memory is the largest resident set of one
process; the peer's workers are counted apart, so its sum over processes is larger than what is printed.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WARM_UP_DEVICES = 20


def run(command: list[str]) -> tuple[float, float, float]:
    """Elapsed seconds, processor seconds of the command with its children, peak MiB of its largest process.

    A small process of its own runs the command, so that the figures are those of its children alone.
    """
    script = (
        "import resource, subprocess, sys\n"
        "code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(code, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)\n"
    )
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", script, *command], capture_output=True, text=True, check=True)
    elapsed = time.perf_counter() - start
    code, cpu, peak = done.stdout.split()
    if code != "0":
        sys.exit(f"failed with code {code}: {' '.join(command)}")
    return elapsed, float(cpu), float(peak)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--roomcast", required=True)
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    peer = [sys.executable, str(Path(__file__).with_name("train.py"))]
    with tempfile.TemporaryDirectory() as place:

        def simulate(devices: int) -> str:
            path = f"{place}/{devices}.csv"
            span = ["--from", "2024-01-08", "--to", "2024-03-07", "--seed", "7"]
            subprocess.run(
                [options.roomcast, "simulate", "--devices", str(devices), *span, "--output", path],
                check=True,
                stderr=subprocess.DEVNULL,
            )
            return path

        def ours(path: str) -> list[str]:
            return [options.roomcast, "train", "--input", path, "--models", f"{place}/models"]

        def theirs(path: str) -> list[str]:
            return [*peer, path, f"{place}/forecast.csv"]

        # Once each on little, so that no one pays for reading programs from disk.
        small = simulate(WARM_UP_DEVICES)
        run(ours(small))
        run(theirs(small))
        path = simulate(options.devices)
        figures: dict[str, list] = {"roomcast": [], "peer": []}
        for _ in range(options.rounds):
            figures["roomcast"].append(run(ours(path)))
            figures["peer"].append(run(theirs(path)))
    print(f"{options.devices} devices, 60 days, {len(os.sched_getaffinity(0))} cores; medians of {options.rounds} rounds")
    print(f"{'':10}{'seconds':>10}{'devices/s':>12}{'CPU ms/device':>16}{'peak MiB':>10}")
    median = {name: [statistics.median(column) for column in zip(*rows)] for name, rows in figures.items()}
    for name, (elapsed, cpu, peak) in median.items():
        rate, each = options.devices / elapsed, 1e3 * cpu / options.devices
        print(f"{name:10}{elapsed:>10.1f}{rate:>12.1f}{each:>16.1f}{peak:>10.0f}")
    ratio = [theirs / ours for ours, theirs in zip(median["roomcast"], median["peer"])]
    print(f"roomcast: {ratio[0]:.2f} times the devices per second, 1/{ratio[1]:.2f} of the processor time")


if __name__ == "__main__":
    main()
