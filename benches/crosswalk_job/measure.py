#!/usr/bin/env python3
"""Measures commands side by side: wall time, CPU seconds and peak memory of whole processes, interleaved.

    measure.py [--rounds 5] NAME=COMMAND [NAME=COMMAND ...]

Every round runs each command once, in turn, so that what else the machine does falls on all of them alike. The
medians are printed; a command that fails ends the measurement.
"""

import argparse
import os
import shlex
import statistics
import sys
import time


def run(command):
    """Wall seconds, CPU seconds and peak MiB of one process with its children."""
    start = time.monotonic()
    child = os.posix_spawnp(command[0], command, os.environ, file_actions=[
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
    ])
    _, status, usage = os.wait4(child, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"`{shlex.join(command)}` failed with {os.waitstatus_to_exitcode(status)}")
    return time.monotonic() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("commands", nargs="+", metavar="NAME=COMMAND")
    given = arguments.parse_args()
    commands = {name: shlex.split(command) for name, _, command in (item.partition("=") for item in given.commands)}
    results = {name: [] for name in commands}
    for _ in range(given.rounds):
        for name, command in commands.items():
            results[name].append(run(command))
    print(f"| medians of {given.rounds} | wall s | CPU s | peak MiB |\n|---|---|---|---|")
    for name, measured in results.items():
        wall, processor, memory = (statistics.median(values) for values in zip(*measured))
        print(f"| {name} | {wall:.2f} | {processor:.2f} | {memory:.0f} |")


if __name__ == "__main__":
    main()
