"""Benches that run in an emulator whose clock counts instructions: a guest of the hypervisor's beside the
guest of a bare exit (bare_exit/), both measuring themselves with the TSC.

In Bochs the TSC counts one per instruction, idle time aside, and the steps of a string instruction one by
one, or nearly: `rep stosq` over a page counts 497. QEMU's counts 2^N ns an instruction with -icount shift=N
(with N = 0 its firmware does not come up); what it makes of SVM is for information.
"""
import functools
import re

import machine as machines
import session
from host import Failed
from results import Result

# Below build/.
NEEDS = ("bellows.elf", "BOOTX64.EFI", "guests/bare.img", "bench/bare_exit.efi")
TIMEOUT = {"bochs": 300, "qemu": 300}
LINE = re.compile(r"BENCH ([a-z0-9-]+)((?: [a-z]+=\d+)+)")
MEMORY = 512
QEMU_SHIFT = 4
COUNTED = ("-icount", f"shift={QEMU_SHIFT}", "-device", "isa-debug-exit,iobase=0xf4,iosize=1")

# For most, no page is mapped with its neighbours, or a first touch would be that of 512.
CONFIG = """\
[host]
autostop = yes
Mem.AllocGuestLargePage = {large}

[vm bench]
memory = 32M
vcpus = 1
kernel = \\bellows\\bare.img
cmdline = bellows.bench={what}
"""


def parse(text, shift=0):
    """{what was measured: {count, min, median, mean, max}} of the lines that a guest printed, in
    instructions, of which each is 2^shift ticks."""
    return {found[1]: {key: int(value) if key == "count" else int(value) >> shift
                       for key, value in re.findall(r"([a-z]+)=(\d+)", found[2])}
            for found in LINE.finditer(text)}


def boot(target, name, config, files, until=None, disks=()):
    directory = machines.BUILD / "bench/runs" / f"{target}-{name}"
    spec = machines.Spec(target, directory, config, MEMORY, 1, files, disks=disks,
                         qemu_args=COUNTED if target == "qemu" else ())
    with machines.Machine(spec) as machine:
        outcome = session.Watcher(machine, TIMEOUT[target], until=until).run()
    results = parse(outcome.text, QEMU_SHIFT if target == "qemu" else 0)
    if outcome.end not in ("ok", "until") or not results:
        tail = "\n".join(outcome.text.rstrip().split("\n")[-15:])
        raise Failed(f"the run in {target} ended with {outcome.end}; log: {directory}/serial.log\n{tail}")
    return results


@functools.lru_cache(maxsize=None)
def bare_exit(target):
    """What the bare exit's guest measured."""
    results = boot(target, "bare-exit", None, {"EFI/BOOT/BOOTX64.EFI": machines.BUILD / "bench/bare_exit.efi"},
                   until=r"BENCH (done|failed).*")
    if not {"cpuid", "touch", "zero"} <= results.keys():
        raise Failed(f"the bare exit in {target} measured {sorted(results)} only")
    return results


@functools.lru_cache(maxsize=None)
def guest(target, what, large=0):
    """What a guest of the hypervisor's measured with bellows.bench=`what`, with or without 2 MiB pages."""
    return boot(target, what, CONFIG.format(what=what, large=large), hypervisor_files())


def hypervisor_files():
    """The hypervisor and the bare guest, as they lie on the disk that is booted."""
    return {"EFI/BOOT/BOOTX64.EFI": machines.BUILD / "BOOTX64.EFI",
            "bellows/bellows.elf": machines.BUILD / "bellows.elf",
            "bellows/bare.img": machines.BUILD / "guests/bare.img"}


# What the issue on test hardware asks for, in instructions.
CPUID_LIMIT, TOUCH_LIMIT = 600, 1500
# And page sharing.
COW_LIMIT = 2000
SUFFIX = {"bochs": "", "qemu": ".svm"}


def bench_cpuid(target):
    """The dearest of the leaves that software asks for again and again: identification, features (1 and 7),
    topology, state components, and a hypervisor's own."""
    bare = bare_exit(target)["cpuid"]
    leaves = {name: one for name, one in guest(target, "cpuid").items() if name.startswith("cpuid-")}
    dearest = max(leaves.values(), key=lambda one: one["median"])
    beyond = dearest["median"] - bare["median"]
    each = ", ".join(f"{name[6:].upper()}H {one['median']}" for name, one in leaves.items())
    return Result(
        f"exit.cpuid{SUFFIX[target]}", "instructions", dearest["median"], dearest["count"], dearest["min"],
        dearest["max"], "bare exit, re-entered at once", bare["median"],
        note=f"the dearest leaf of {each}; the bare exit is {bare['median']}",
        limit=("instructions beyond the bare exit", beyond, CPUID_LIMIT) if target == "bochs" else None)


def bench_touch(target):
    bare, ours = bare_exit(target), guest(target, "touch")
    touch, zero = ours["touch"], ours["zero"]["median"]
    floor = bare["touch"]["median"] + zero
    return Result(
        f"fault.zero{SUFFIX[target]}", "instructions", touch["median"], touch["count"], touch["min"],
        touch["max"], "bare exit that maps the page, and zeroing it", floor,
        note=f"on average {touch['mean']}, with tables made and frames fetched in batches; the bare exit is "
             f"{bare['touch']['median']}, zeroing a page by rep stosq {zero}, as counted there",
        limit=("on average, instructions beyond exit and zeroing", touch["mean"] - floor, TOUCH_LIMIT)
        if target == "bochs" else None)


def bench_cow(target):
    bare, ours = bare_exit(target), guest(target, "cow")
    cow, copy = ours["cow"], ours["copy"]["median"]
    floor = bare["touch"]["median"] + copy
    if cow["median"] < floor:
        raise Failed(f"the pages were not shared: a write took {cow['median']} instructions")
    return Result(
        f"share.cow{SUFFIX[target]}", "instructions", cow["median"], cow["count"], cow["min"], cow["max"],
        "bare exit that maps the page, and copying it", floor,
        note=f"on average {cow['mean']}; the bare exit is {bare['touch']['median']}, copying a page by rep movsq "
             f"{copy}, as counted there",
        limit=("instructions beyond exit and copying", cow["median"] - floor, COW_LIMIT)
        if target == "bochs" else None)
