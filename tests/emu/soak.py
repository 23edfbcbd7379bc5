#!/usr/bin/env python3
"""make soak: operations at random on guests that verify their memory (soak_cases.py), on two of the host's CPUs, or one
on a QEMU whose several are not sound.

Guests and operations follow from the seed alone; when each is done, and so what it finds, is a matter of timing. Exit
status 0 if all was well.
"""
import argparse
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import cases
import machine as machines
import soak_cases
import soak_plan


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--target", default="qemu", choices=["qemu", "kvm", "bochs"])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--operations", type=int, help="so many, instead of minutes")
    parser.add_argument("--seed", type=int, help="from the clock if not given")
    parser.add_argument("--cpus", type=int)
    parser.add_argument("--no-linux", action="store_true", help="no Debian guest")
    parser.add_argument("--trace", action="store_true", help="tell each operation and its answer")
    return parser.parse_args()


def main():
    options = parse_arguments()
    seed = options.seed if options.seed is not None else int(time.time()) % 1000000
    plan = soak_plan.Plan(seed, not options.no_linux)
    spec = machines.Spec(
        options.target, machines.BUILD / "runs" / f"soak-{options.target}", soak_cases.config(plan, cases.host, cases.vm, cases.bare, cases.PVH),
        soak_cases.HOST_MIB if options.no_linux else soak_cases.HOST_MIB_WITH_LINUX, options.cpus or machines.default_cpus(options.target),
        machines.guest_files(machines.DEBUG), disks=(soak_cases.swap_disk(),), monitor=True)
    print(f"soak: {options.target}, {spec.cpus} CPU{'s' if spec.cpus > 1 else ''}, SEED={seed}", flush=True)
    slow = cases.BOCHS_PATIENCE if options.target == "bochs" else 1
    with machines.Machine(spec) as machine:
        watcher = soak_cases.Watcher(
            machine, (options.minutes * 60 + 600) * slow, slow, plan,
            lambda count, seconds: count < options.operations if options.operations else seconds < options.minutes * 60,
            options.trace)
        outcome = watcher.run()
    problems = watcher.problems()
    if outcome.end != "stopped":
        problems.append(f"the run ended with {outcome.end!r}, not with the power-off that was asked for")
    if problems:
        print("\n".join(outcome.text.rstrip().split("\n")[-40:]), outcome.detail, sep="\n")
    print(f"{outcome.seconds:.0f} s, {watcher.summary()}")
    for problem in problems:
        print(f"PROBLEM: {problem}")
    print("failed" if problems else "all well: no wrong byte, all frames accounted for, none of a guest's left")
    print(f"the same operations again: make soak TARGET={options.target} SEED={seed} "
          f"SOAK_ARGS='--operations {sum(watcher.done.values())}'; log: {spec.directory}/serial.log")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
