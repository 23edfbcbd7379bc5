"""Benches that run as programs on this machine, beside what its kernel does in the same run."""
import os
import pathlib
import re
import subprocess

import machine as machines
import results

SAMPLE = re.compile(r"^SAMPLE (\S+) (\S+)$", re.M)
CANNOT = re.compile(r"^CANNOT (.*)$", re.M)
TIMEOUT = 600
LEAST_RUNS = 10


class CannotRun(Exception):
    """This machine does not offer what the bench needs, and what that is."""


class Failed(Exception):
    """The bench should have run here and did not."""


def read_samples(text):
    """{series: [values]} of a program's output."""
    series = {}
    for name, value in SAMPLE.findall(text):
        series.setdefault(name, []).append(float(value))
    return series


def run_program(name, *arguments):
    """The samples of build/bench/NAME, by series."""
    command = [machines.BUILD / "bench" / name, *arguments]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired as late:
        raise Failed(f"{name} did not end within {TIMEOUT} s") from late
    cannot = CANNOT.search(done.stdout)
    if cannot:
        raise CannotRun(cannot[1])
    series = read_samples(done.stdout)
    if done.returncode or not series:
        raise Failed(f"{name} failed: exit status {done.returncode}\n{done.stdout[-2000:]}")
    short = [one for one, values in series.items() if len(values) < LEAST_RUNS]
    if short:
        raise Failed(f"{name}: fewer than {LEAST_RUNS} runs of {', '.join(short)}")
    return series


def bench_program(name, unit, program, *arguments, peer_name=None, ours="ours", peer="peer", note=""):
    """A Result from the series of one program: `ours`, and `peer` where the kernel offers it."""
    series = run_program(program, *arguments)
    return results.of_runs(name, unit, series[ours], series.get(peer), peer_name, note=note)


def bench_fault():
    return bench_program("fault.zero.host", "ns/page", "bench_fault",
                         peer_name=f"Linux {os.uname().release} anonymous page fault",
                         note="CPU time; the kernel's has its exception in it, ours no VM exit")


def peers():
    """{what a kernel may offer to be measured against: None, or why not here}."""
    ksm, zram = pathlib.Path("/sys/kernel/mm/ksm/run"), pathlib.Path("/sys/class/zram-control/hot_add")
    zswap = pathlib.Path("/sys/module/zswap/parameters/enabled")

    def problem(path, mode, what):
        if not path.exists():
            return f"this kernel has no {what}" + (" loaded" if what == "zram" else "")
        return None if os.access(path, mode) else f"{path} is not permitted to us"
    return {"KSM": problem(ksm, os.W_OK, "KSM"), "zram": problem(zram, os.R_OK, "zram"),
            "zswap": problem(zswap, os.R_OK, "zswap")}
