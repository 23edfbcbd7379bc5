#!/usr/bin/env python3
"""make bench: measure, compare, and write build/bench/results.json, a table and a plot for each bench.

A bench is an entry of BENCHES: the name, what it measures, what make must build for it, and a function
that gives a results.Result, a list of them, or raises host.CannotRun with the reason. To add one, write the
function in a file of its own kind (emulated.py runs guests, host.py programs beside the kernel) and
give it a line here.
"""
import argparse
import dataclasses
import fnmatch
import json
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
os.chdir(ROOT)
sys.path[:0] = [str(ROOT / "tests/emu"), str(ROOT / "tests/bench")]
import balloon
import emulated
import host
import machine as machines
import overcommit
import plot
import results
import share
import smp
import swap
import zcache

OUT = machines.BUILD / "bench"


@dataclasses.dataclass
class Bench:
    name: str
    what: str
    run: object                # () -> Result or list of them
    needs: tuple = ()          # make's targets, below build/


BENCHES = [
    Bench("exit.cpuid", "a CPUID round trip, in Bochs", lambda: emulated.bench_cpuid("bochs"), emulated.NEEDS),
    Bench("fault.zero", "the first write to a page, in Bochs", lambda: emulated.bench_touch("bochs"), emulated.NEEDS),
    Bench("exit.cpuid.svm", "a CPUID round trip on SVM, in QEMU", lambda: emulated.bench_cpuid("qemu"), emulated.NEEDS),
    Bench("fault.zero.svm", "the first write to a page on SVM, in QEMU", lambda: emulated.bench_touch("qemu"),
          emulated.NEEDS),
    Bench("share.cow", "a write to a shared page, in Bochs", lambda: emulated.bench_cow("bochs"), emulated.NEEDS),
    Bench("balloon.inflate.4k", "giving up a page, in a full list of touched ones, in Bochs", balloon.bench_inflate_4k,
          emulated.NEEDS),
    Bench("balloon.inflate.2m", "giving up 2 MiB that one leaf maps, in Bochs", balloon.bench_inflate_2m,
          emulated.NEEDS),
    Bench("share.scan.unique", "pages of real guests that are like no other, looked up beside KSM",
          lambda: share.bench_first("unique"), share.NEEDS),
    Bench("share.scan.duplicate", "pages of real guests that are there more than once, merged beside KSM",
          lambda: share.bench_first("duplicate"), share.NEEDS),
    Bench("share.pass.unchanged", "a pass over pages that nobody wrote, beside KSM", share.bench_unchanged,
          share.NEEDS),
    Bench("share.corpus", "share.corpus.time95, .saved and .metadata: all memory of real guests, beside KSM",
          share.bench_corpus, share.NEEDS),
    Bench("fault.zip", "the touch of a compressed page, in Bochs", zcache.bench_fault, emulated.NEEDS),
    Bench("fault.swap", "the touch of a swapped page, in Bochs", swap.bench_fault, emulated.NEEDS),
    *(Bench(f"overcommit.{profile}", f"what four guests get done at 1:1 to 3:1, {profile} pages, in Bochs",
            lambda p=profile: overcommit.bench(p), overcommit.NEEDS) for profile in overcommit.PROFILES),
    Bench("zcache.time", "zcache.store and zcache.load: a page into the compression cache and back, beside zram",
          zcache.bench_time, ("bench/bench_zcache", ".guests")),
    Bench("zcache.memory", "zcache.loss and zcache.bytes: what a full compression cache costs, beside zram",
          zcache.bench_loss, ("bench/bench_zcache", ".guests")),
    Bench("smp.faults", "faults a second of one CPU and of two, in one VM and in two, beside one lock around all",
          smp.bench_faults, ("bench/bench_smp",)),
    Bench("fault.zero.host", "mm/fault beside the kernel's own page fault", host.bench_fault,
          ("bench/bench_fault",)),
]


def matches(name, pattern):
    return not pattern or any(fnmatch.fnmatch(name, one) or one in name for one in pattern.split(","))


def build(benches):
    """Make what the benches need. Returns what could not be made."""
    targets = sorted({os.path.relpath(OUT.parent / need) for bench in benches for need in bench.needs})
    OUT.mkdir(parents=True, exist_ok=True)
    jobs = os.environ.get("JOBS") or os.cpu_count()
    done = subprocess.run(["flock", OUT.parent / ".lock", "make", "--no-print-directory", "-k",
                           f"BUILD={os.path.relpath(OUT.parent)}", f"-j{jobs}", *targets],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode == 0:
        return set()
    print(done.stdout)
    # What an earlier build left must not be measured for this one.
    return {need for bench in benches for need in bench.needs
            if subprocess.run(["make", "-q", f"BUILD={os.path.relpath(OUT.parent)}",
                               os.path.relpath(OUT.parent / need)], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, check=False).returncode}


def measure(bench, missing):
    """(results, why there are none, whether that is a failure)."""
    if missing.intersection(bench.needs):
        return [], "what it needs could not be built (make's words are above)", True
    try:
        found = bench.run()
    except host.CannotRun as reason:
        return [], str(reason), False
    except host.Failed as reason:
        return [], f"it failed: {reason}", True
    return (found if isinstance(found, list) else [found]), None, False


def write(found, absent):
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "results.json").write_text(json.dumps([one.as_json() for one in found], indent=2) + "\n")
    for one in found:
        (OUT / f"{one.name}.svg").write_text(plot.of_result(one))
    print()
    print("\n".join(results.table(found)))
    print()
    for one in found:
        if one.note:
            print(f"{one.name}: {one.note}")
        if one.limit:
            print(one.limit_line)
    print("kernel peers here: " + ", ".join(f"{name} {'yes' if why is None else f'no ({why})'}"
                                            for name, why in host.peers().items()))
    for name, why in absent:
        print(f"{name}: not measured: {why}")
    print(f"\n{OUT}/results.json and a plot for each bench, {len(found)} measured, {len(absent)} not")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--match", default="", help="PATTERN[,PATTERN]: shell pattern or part of a name")
    parser.add_argument("--list", action="store_true", help="print the names only")
    options = parser.parse_args()
    chosen = [bench for bench in BENCHES if matches(bench.name, options.match)]
    if options.list:
        print("\n".join(f"{bench.name:20}{bench.what}" for bench in chosen))
        return 0
    if not chosen:
        print(f"no bench matches {options.match!r}")
        return 1
    missing = build(chosen)
    found, absent, failed = [], [], False
    for bench in chosen:
        start = time.monotonic()
        print(f"{bench.name}: {bench.what} ...", end="", flush=True)
        got, why, is_failure = measure(bench, missing)
        found += got
        failed |= is_failure
        if why:
            absent.append((bench.name, why))
        print(f" {'not measured' if why else 'done'}, {time.monotonic() - start:.1f} s", flush=True)
    write(found, absent)
    # What a machine does not offer is no failure; a target that is missed is.
    return 1 if failed or not all(one.is_within for one in found) else 0


if __name__ == "__main__":
    sys.exit(main())
