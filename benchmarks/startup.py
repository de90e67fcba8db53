"""How long a user waits before anything happens: `litesmith --help`; `run` and `status` with nothing to do.

    python benchmarks/startup.py [--runs 10] [--folder FOLDER]

FOLDER holds a default run that is up to date; without it one is made first (some minutes). Prints the ceiling first (a
Python that imports nothing), then median, fastest and slowest of each command, then one JSON line.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMANDS = {
    "python_ms": [sys.executable, "-c", "pass"],
    "help_ms": [str(Path(sys.executable).with_name("litesmith")), "--help"],
    "status_ms": [str(Path(sys.executable).with_name("litesmith")), "status"],
    "run_up_to_date_ms": [str(Path(sys.executable).with_name("litesmith")), "run"],
}


def milliseconds(command: list[str], folder: Path) -> float:
    """Wall time of one command."""
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, capture_output=True, check=True)
    return (time.perf_counter() - start) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--folder", type=Path, default=None)
    words = parser.parse_args()
    folder = words.folder or Path(tempfile.mkdtemp())
    subprocess.run(COMMANDS["run_up_to_date_ms"], cwd=folder, capture_output=True, check=True)
    samples: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(words.runs):
        for name, command in COMMANDS.items():
            samples[name].append(milliseconds(command, folder))
    for name, some in samples.items():
        print(f"{name:<18} median {statistics.median(some):7.0f}  fastest {min(some):7.0f}  slowest {max(some):7.0f}")
    print(json.dumps({name: round(statistics.median(some)) for name, some in samples.items()}
                     | {"runs": words.runs, "machine": platform.machine(), "python": platform.python_version()}))


if __name__ == "__main__":
    main()
