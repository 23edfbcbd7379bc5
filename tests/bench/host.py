"""Benches that run as programs on this machine, beside what its kernel does in the same run."""
import os
import pathlib
import re
import statistics
import subprocess

import machine as machines
import results

SAMPLE = re.compile(r"^SAMPLE (\S+) (\S+)$", re.M)
CANNOT = re.compile(r"^CANNOT (.*)$", re.M)
TIMEOUT = 1800          # of a busy machine
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
    """The samples of build/bench/NAME, by series; CannotRun where it says so."""
    return run_beside(name, *arguments, peer_is_needed=True)[0]


def run_to_end(name, command):
    """(exit status, output) of a program, which is asked to end when it takes too long: it may have switched
    something of the kernel's on."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as program:
        try:
            text = program.communicate(timeout=TIMEOUT)[0]
        except BaseException as problem:
            program.terminate()
            if isinstance(problem, subprocess.TimeoutExpired):
                raise Failed(f"{name} did not end within {TIMEOUT} s") from problem
            raise
    return program.returncode, text


def run_beside(name, *arguments, peer_is_needed=False):
    """(samples, why there are none of its peer, or None): if the program ends for want of its peer, what it has
    measured of ours until then will do."""
    status, text = run_to_end(name, [machines.BUILD / "bench" / name, *arguments])
    cannot = CANNOT.search(text)
    series = read_samples(text)
    short = [one for one, values in series.items() if len(values) < LEAST_RUNS]
    if cannot:
        series = {one: values for one, values in series.items() if one not in short}
        if peer_is_needed or not series:
            raise CannotRun(cannot[1])
        return series, cannot[1]
    if status or not series:
        raise Failed(f"{name} failed: exit status {status}\n{text[-2000:]}")
    if short:
        raise Failed(f"{name}: fewer than {LEAST_RUNS} runs of {', '.join(short)}")
    return series, None


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
