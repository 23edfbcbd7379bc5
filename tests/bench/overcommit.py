"""overcommit.*, in Bochs: what guests get done on less and less memory, by each technique and by all together.

Four guests use all of their memory (tests/emu/guests/bare/overcommit.c). At N:1 the host has for them, hypervisor
and its overhead aside, their memory divided by N, of which it keeps minFree; at 1:1 it has minFree besides. Each
is started when the one before has filled its memory; then a key, some time to warm up, and operations are counted
for the same time in all. That time is emulated: Bochs' clock counts instructions.
"""
import concurrent.futures
import dataclasses
import functools
import os
import re

import disk
import emulated
import host
import machine as machines
import session
from results import Result

NEEDS = emulated.NEEDS + ("guests/bare.pvh",)
GUESTS, GUEST_MIB, WORKLOAD_MIB = 4, 32, 28
SPAN_MEGATICKS, WARM_SPANS, SPANS = 100, 5, 4
RATIOS = (1.0, 1.5, 2.0, 3.0)
TECHNIQUES = ("sharing", "balloon", "compression", "swap")
ALL = "all"
CPU_SECONDS = 900
VOLUME = disk.Disk(name="swap", mib=GUESTS * GUEST_MIB + 16, partitions=(("swap", "swap", GUESTS * GUEST_MIB + 8),))
LOST = re.compile(session.OWN + r"\b[\w.-]+: ((?:stopped|not started): .*)$", re.M)
FRAMES = re.compile(r"^free +(\d+) ", re.M)
MIN_FREE = re.compile(r"minFree (?:is )?(\d+)")
DONE = re.compile(r"\[g(\d)\] OVERCOMMIT ops=(\d+) ticks=(\d+) balloon=(\d+)", re.M)


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


def enough(text):
    """All guests have told of so many spans."""
    told = [number for number, *_ in DONE.findall(text)]
    return all(told.count(str(number)) >= WARM_SPANS + SPANS for number in range(1, GUESTS + 1))


def script(which):
    prompt = r"^bellows> "
    for number in range(1, GUESTS + 1):
        yield prompt, f"start g{number}\r"
        yield rf"\[g{number}\] OVERCOMMIT filled", "\r"
        if "sharing" in techniques(which):
            yield prompt, f"share scan now g{number}\r"
            yield rf"\bg{number}: scanned for sharing", "\r"
    for number in range(1, GUESTS + 1):
        yield prompt, f"console g{number}\r"
        yield rf"-- g{number}: its last output", "x\x1d"
        yield rf"detached from g{number}", "\r"
    yield enough, "\r"
    for command in ("memsched", "memtop", "balloon", "frames"):
        yield prompt, f"{command}\r"


@dataclasses.dataclass
class Outcome:
    ops: list                  # of each guest, in SPAN_MEGATICKS
    why: str = None            # there are none

    @property
    def total(self):
        return sum(self.ops)


def boot(name, text, memory, words, until):
    directory = machines.BUILD / "bench/runs" / f"overcommit-{name}"
    files = {**emulated.hypervisor_files(), "bellows/bare.pvh": machines.BUILD / "guests/bare.pvh"}
    spec = machines.Spec("bochs", directory, text, memory, 1, files,
                         disks=(VOLUME,) if "swap" in name or ALL in name else ())
    with machines.Machine(spec) as machine:
        return Watcher(machine, CPU_SECONDS, words, until=until).run(), directory


@functools.lru_cache(maxsize=None)
def base_mib():
    """What a host must have for it to have nothing for guests; and minFree of one of that and all guests' memory."""
