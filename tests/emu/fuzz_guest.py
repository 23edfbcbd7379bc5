#!/usr/bin/env python3
"""make fuzz-guest: the hostile guest for a given time, with the next seed at each start, beside neighbours
that verify their memory. Exit status 0 if the hypervisor and the neighbours came through.
"""
import argparse
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import cases
import hostile
import machine as machines


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--target", default="qemu", choices=["qemu", "kvm", "bochs"])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, help="the first seed; from the clock if not given")
    parser.add_argument("--deeds", type=int, default=2000, help="of one start")
    parser.add_argument("--trace", action="store_true", help="the guest says each deed before it does it")
    parser.add_argument("--linux", action="store_true", help="a Debian guest among the neighbours")
    return parser.parse_args()


def main():
    options = parse_arguments()
    seed = options.seed if options.seed is not None else int(time.time()) % 100000 * 1000
    config, neighbours = cases.hostile_config(seed, options.deeds, options.linux, options.trace)
    spec = machines.Spec(options.target, machines.BUILD / "runs" / f"fuzz-guest-{options.target}", config,
                         768, 1, machines.guest_files(machines.DEBUG))
    slow = cases.BOCHS_PATIENCE if options.target == "bochs" else 1
    with machines.Machine(spec) as machine:
        watcher = hostile.Watcher(machine, options.seconds + 300, seed, options.seconds, neighbours, slow)
        outcome = watcher.run()
    problems = watcher.problems()
    if outcome.end != "stopped":
        problems.append(f"the run ended with {outcome.end!r}, not with the power-off that was asked for")
    print(f"{options.target}, {outcome.seconds:.0f} s: {watcher.summary()}")
    for problem in problems:
        print(f"PROBLEM: {problem}")
    if problems:
        print("\n".join(outcome.text.rstrip().split("\n")[-40:]), outcome.detail, sep="\n")
    print(f"log: {spec.directory}/serial.log")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
