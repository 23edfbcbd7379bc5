"""overcommit.*, in Bochs: what guests get done on less and less memory, by each technique and by all together.

Four guests use all of their memory (tests/emu/guests/bare/overcommit.c). At N:1 the host has for them, itself and
their tables aside, their memory divided by N, of which it keeps minFree; at 1:1 it has minFree besides. Each guest
is started when the one before has filled its memory and, where there is sharing, was scanned; then they work side
by side, and what they do is counted when they have warmed up. All time is emulated: Bochs' clock counts instructions.
"""
import concurrent.futures
import dataclasses
import functools
import os
import re
import statistics

import disk
import emulated
import host
import machine as machines
import session
from results import Result
from steps import press

NEEDS = emulated.NEEDS + ("guests/bare.pvh",)
GUESTS, GUEST_MIB, WORKLOAD_MIB = 4, 32, 28
ALL_MIB = GUESTS * GUEST_MIB
TABLES_MIB = 0.7           # of the guests, and what else the host has for each
# Of 100 million instructions each, of which so many are not counted.
SPAN_MEGATICKS, WARM_SPANS, SPANS = 100, 5, 4
RATIOS = {"1to1": 1.0, "1.5to1": 1.5, "2to1": 2.0, "3to1": 3.0}
PROFILES = ("unique", "mixed")
TECHNIQUES = ("sharing", "balloon", "compression", "swap")
ALL = "all"
# What the issue on the memory scheduler asks for at 2:1, in percent of 1:1 that may be lost.
LIMITS = {("2to1", "mixed"): 15, ("2to1", "unique"): 40}
CPU_SECONDS = 900
VOLUME = disk.Disk(name="swap", mib=ALL_MIB + 16, partitions=(("swap", "swap", ALL_MIB + 8),))
# Flash's 80 us are some 200,000 instructions; the plugin's delays are random, twice that at most.
FLASH_VOLUME = dataclasses.replace(VOLUME, faults="delay 400000\n")
FLASH_RUNS = [(which, ratio) for ratio in ("2to1", "3to1") for which in (ALL, "swap")]
LOST = re.compile(session.OWN + r"\b([\w.-]+: (?:stopped|not started): .*)\n", re.M)
FREE = re.compile(r"^memory is .*, (\d+\.\d) MiB free", re.M)
MIN_FREE_PART = 0.0625     # and the margin above it where memory is not short
DONE = re.compile(r"\[g(\d)\] OVERCOMMIT ops=(\d+) ticks=(\d+)")


def techniques(which):
    return TECHNIQUES if which == ALL else (which,)


def config(profile, which):
    used = techniques(which)
    text = ("[host]\nautostop = no\nMem.AppBalloonMaxSlack = 1\n"
            f"Mem.MemZipEnable = {int('compression' in used)}\n")
    for number in range(1, GUESTS + 1):
        work = (f"profile={profile},mib={WORKLOAD_MIB},seed={number},balloon={int('balloon' in used)},"
                f"span={SPAN_MEGATICKS}")
        text += (f"\n[vm g{number}]\nmemory = {GUEST_MIB}M\nvcpus = 1\nkernel = \\bellows\\bare.pvh\n"
                 f"cmdline = bellows.overcommit={work}\nautostart = no\nsched.mem.min = 0\n")
        text += "sched.mem.pshare.salt = bench\n" if "sharing" in used else "sched.mem.pshare.enable = no\n"
    return text


class Watcher(session.Watcher):
    """A script that ends as soon as a guest is lost."""

    def _type(self):
        if LOST.search(self.text):
            self.script, self.seen = [], 0
        super()._type()


def spans(text):
    """Of each guest: the operations of one span after the other."""
    told = {number: [] for number in range(1, GUESTS + 1)}
    for number, ops, ticks in DONE.findall(text):
        told[int(number)].append(int(ops) * SPAN_MEGATICKS * 1000000 / int(ticks))
    return list(told.values())


def enough(text):
    return all(len(one) >= WARM_SPANS + SPANS for one in spans(text))


def script(which):
    """Start, fill, and work side by side."""
    prompt = r"^bellows> "
    for number in range(1, GUESTS + 1):
        yield prompt, f"start g{number}\r"
        yield rf"\[g{number}\] OVERCOMMIT filled", "\r"
        if "sharing" in techniques(which):
            yield prompt, f"share scan now g{number}\r"
            yield rf"\bg{number}: scanned for sharing", "\r"
    for number in range(1, GUESTS + 1):
        yield from press(prompt, f"g{number}")
    yield enough, "\r"
    # For who wants to know why. One after the other: the line holds 16 characters that were not read yet.
    for command, answer in (("memsched", "^NAME +PROMISED"), ("memtop", "^exits by reason:"), ("share", "^work:"),
                            ("balloon", "^the guests' own words")):
        yield prompt, f"{command}\r"
        yield answer, None
    yield prompt, "frames\r"


def boot(name, text, memory, words, until, disks):
    directory = machines.BUILD / "bench/runs" / f"overcommit-{name}"
    files = {**emulated.hypervisor_files(), "bellows/bare.pvh": machines.BUILD / "guests/bare.pvh"}
    spec = machines.Spec("bochs", directory, text, memory, 1, files, disks=disks)
    with machines.Machine(spec) as machine:
        outcome = Watcher(machine, CPU_SECONDS, words, until=until).run()
    if outcome.end != "until" or "OVERCOMMIT FAIL" in outcome.text or "WORKLOAD FAIL" in outcome.text:
        tail = "\n".join(outcome.text.rstrip().split("\n")[-15:])
        raise host.Failed(f"the run ended with {outcome.end}; log: {directory}/serial.log\n{tail}")
    return outcome.text


@functools.lru_cache(maxsize=None)
def own_mib():
    """What a host of about that size needs for itself, firmware and boot files included."""
    memory = ALL_MIB
    text = boot("own", config("mixed", ALL), memory, [(r"^bellows> ", "memsched\r")], FREE.pattern, (VOLUME,))
    return memory - float(FREE.search(text)[1])


def memory_for(ratio):
    there = own_mib() + TABLES_MIB + ALL_MIB / ratio
    return round(there / (1 - MIN_FREE_PART) if ratio == 1 else there)


@dataclasses.dataclass
class Outcome:
    guests: list = dataclasses.field(default_factory=list)   # operations of each, a span each
    why: str = None                                          # there are none

    def total(self):
        return sum(statistics.mean(one) for one in self.guests)

    def span_totals(self):
        return [sum(ops) for ops in zip(*self.guests)]


def measure(profile, which, ratio, volume=VOLUME):
    name = f"{ratio}-{profile}-{which}" + ("-flash" if volume is FLASH_VOLUME else "")
    text = boot(name, config(profile, which), memory_for(RATIOS[ratio]), list(script(which)),
                rf"the hypervisor's own: |{LOST.pattern}", (volume,) if "swap" in techniques(which) else ())
    lost = LOST.search(text)
    if lost:
        return Outcome(why=lost[1])
    return Outcome([one[WARM_SPANS:WARM_SPANS + SPANS] for one in spans(text)])


# --- What it comes to ---------------------------------------------------------------------------

def cell(outcome, base):
    return "-" if outcome.why else f"{outcome.total():.0f} = {100 * outcome.total() / base:.0f}%"


def matrix(profile, found, on_flash):
    """Lines: each technique at each ratio, in operations of all guests and percent of all techniques' at 1:1."""
    base = found[ALL, "1to1"].total()
    yield f"operations of {GUESTS} guests, {profile}, in {SPAN_MEGATICKS} million instructions, and percent of 1:1"
    yield f"  {'':12}" + "".join(f"{ratio.replace('to', ':'):>15}" for ratio in RATIOS)
    for which in (*TECHNIQUES, ALL):
        yield f"  {which:12}" + "".join(f"{cell(found[which, ratio], base):>15}" for ratio in RATIOS)
    yield "  of each guest, all techniques: " + "; ".join(
        f"{ratio.replace('to', ':')} " + " ".join(f"{statistics.mean(one):.0f}" for one in found[ALL, ratio].guests)
        for ratio in RATIOS if not found[ALL, ratio].why)
    yield "  with flash's latency: " + "; ".join(
        f"{ratio.replace('to', ':')} {which} {cell(outcome, base)}" for (which, ratio), outcome in on_flash.items())
    for (which, ratio), outcome in found.items():
        if outcome.why:
            yield f"  {which} alone at {ratio.replace('to', ':')}: {outcome.why}"


def result(profile, which, ratio, found, base, suffix=""):
    outcome = found[which, ratio]
    totals = outcome.span_totals()
    rows = [("all techniques at 1:1", base, False, None, None)]
    rows += [(one, other.total(), one == which, min(other.span_totals()), max(other.span_totals()))
             for (one, at), other in found.items() if at == ratio and not other.why]
    limit = LIMITS.get((ratio, profile)) if which == ALL and not suffix else None
    return Result(
        f"overcommit.{ratio}.{profile}" + ("" if which == ALL else f".{which}") + suffix, "ops/100M", outcome.total(),
        SPANS, min(totals), max(totals), "the same guests at 1:1, all techniques", base, plot_rows=rows,
        limit=limit and ("percent of 1:1 that is lost", 100 - 100 * outcome.total() / base, limit))


def bench(profile):
    """Of that profile: a Result for each ratio with all techniques, and with each alone that gets so far."""
    runs = [(which, ratio) for ratio in RATIOS for which in (ALL, *TECHNIQUES)]
    own_mib()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        found = dict(zip(runs, pool.map(lambda run: measure(profile, *run), runs)))
        on_flash = dict(zip(FLASH_RUNS, pool.map(lambda run: measure(profile, *run, FLASH_VOLUME), FLASH_RUNS)))
    lost = [f"{ratio}: {each[which, ratio].why}" for each in (found, on_flash) for which, ratio in each
            if which == ALL and each[which, ratio].why]
    if lost:
        raise host.Failed(f"all techniques together, {profile}, at " + "; ".join(lost))
    base = found[ALL, "1to1"].total()
    results = [result(profile, *run, each, base, suffix) for each, suffix in ((found, ""), (on_flash, ".flash"))
               for run in each if not each[run].why]
    results[0].note = "\n".join(matrix(profile, found, on_flash))
    return results
