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
    """The samples of build/bench/NAME, by series; CannotRun where it says so."""
    return run_beside(name, *arguments, peer_is_needed=True)


def run_beside(name, *arguments, peer_is_needed=False):
    """The same; if the program ends for want of its peer, what it measured of ours until then will do."""
    command = [machines.BUILD / "bench" / name, *arguments]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired as late:
        raise Failed(f"{name} did not end within {TIMEOUT} s") from late
    cannot = CANNOT.search(done.stdout)
    series = read_samples(done.stdout)
    short = [one for one, values in series.items() if len(values) < LEAST_RUNS]
    if cannot and (peer_is_needed or short or not series):
        raise CannotRun(cannot[1])
    if done.returncode or not series:
        raise Failed(f"{name} failed: exit status {done.returncode}\n{done.stdout[-2000:]}")
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


# A guest's kernel, whose bytes the pages are made of.
SHARE_CORPUS = machines.BUILD / "guests/vmlinux"
SHARE_LIMIT = 20   # thousandths: an unchanged page is at least 50 times cheaper to pass than to hash


def bench_share_first(name):
    """Pages looked up for the first time: `unique`, or `duplicate`, each of which is there eight times."""
    return bench_program(
        f"share.scan.{name}", "pages/cpu-s", "bench_share", name, SHARE_CORPUS,
        peer_name=f"KSM of Linux {os.uname().release}",
        note="until each page was looked up, which KSM does when it sees it again; ours kicks no CPUs for its "
             "flushes here, two for 32 pages that are merged, and nobody writes")


def bench_share_unchanged():
    series = run_program("bench_share", "unchanged", SHARE_CORPUS)
    thousandths = 1000 * statistics.median(series["ours"]) / statistics.median(series["hash"])
    return results.of_runs(
        "share.pass.unchanged", "ns/page", series["ours"], series.get("peer"), f"KSM of Linux {os.uname().release}",
        note=f"a first pass takes {statistics.median(series['hash']):.0f} ns/page",
        limit=("thousandths of a first pass", thousandths, SHARE_LIMIT))


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
