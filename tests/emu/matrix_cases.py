"""Scenarios with several of the host's CPUs and of the guest's (1, 2, 4 of each), and what only they show: a guest whose
CPUs write the same pages at once while those are merged, and VMs that end while their CPUs are in every state.

`make test` has of each pair (scenario, host's CPUs), (scenario, guest's), (host's, guest's) at least one case;
`make test-all` all of them."""
from disk import Disk
from steps import ENDED, press, typed
from tools_cases import Repeating

COUNTS = (1, 2, 4)
NO_LARGE = {"Mem.AllocGuestLargePage": 0}
SWAP = (Disk(name="swap", mib=100, partitions=(("swap", "swap", 90),)),)


def is_in_pairwise(scenario, host_cpus, vcpus):
    """A Latin square: any two of the three say which the third is."""
    return (scenario + COUNTS.index(host_cpus) + COUNTS.index(vcpus)) % len(COUNTS) == 0


def cpus(vcpus, pages, **more):
    """The workload of a bare guest (tests/emu/guests/bare/cpus.c): until a key, where no rounds are said."""
    return "cpus=" + ",".join(f"{key}={value}" for key, value in dict(n=vcpus, pages=pages, **more).items())


def matrix(host, vm, bare, workload, prompt, panic, pvh):
    end = (*typed(prompt, "frames"), (r"all accounted for", "\r"), *typed(prompt, "poweroff"))
    works = (r"\[g1\] CPUS work ", "\r")
    ended = press(prompt, "g1", ENDED)

    def scenarios(vcpus):
        """(name, more of cases.Case)"""
        ok = rf"^WORKLOAD ok profile=cpus cpus={vcpus} .*wrong=0"
        # Evicted while they write.
        yield "reclaim", dict(
            memory=96, disks=SWAP, expect=(r"(?:[1-9]\d+ written to swap(?:.|\n)*?){2}", ok),
            config=host(autostop="no", **NO_LARGE, **{"Mem.MemZipEnable": 0}) +
            bare("g1", cpus(vcpus, 2000), "24M", pvh, vcpus=vcpus, **{"sched.mem.min": 0}),
            script=(works, *2 * (*typed(prompt, "reclaim g1 16M"), (r"g1: reclaimed", "\r")), *ended, *end))
        # Merged while they write.
        yield "share", dict(
            expect=(ok,), config=host(autostop="no", **NO_LARGE) + bare("g1", cpus(vcpus, 128), "16M", pvh, vcpus=vcpus),
            script=(works, *2 * (*typed(prompt, "share scan now g1"), (r"scanned for sharing", "\r")), *ended, *end))
        # Reset and stopped while they work, and as before afterwards.
        yield "reset", dict(
            expect=(r"g1: reset", r"g1: powered off by command", ok),
            config=host(autostop="no") + bare("g1", cpus(vcpus, 128), "16M", pvh, vcpus=vcpus),
            script=(works, *typed(prompt, "reset g1"), works, *typed(prompt, "hide g1"), (r"pages hidden", "\r"),
                    *typed(prompt, "stop g1"), (r"powered off by command", "\r"), *typed(prompt, "start g1"), works,
                    *ended, *end))
        # Linux, which has its own ways to start CPUs and to send interrupts.
        yield "linux", dict(
            expect=(rf"ACTION cpus online={vcpus}", r"ACTION cpus ok"),
            config=host(autostop="no") + vm("g1", "action=cpus", "128M", extra=f"bellows.{workload(mib=8, ops=200)}",
                                            vcpus=vcpus),
            script=((r"ACTION cpus ok", "\r"), *end))

    for vcpus in COUNTS:
        for number, (name, case) in enumerate(scenarios(vcpus)):
            for host_cpus in COUNTS:
                yield dict(name=f"matrix-{name}-{vcpus}-on-{host_cpus}", cpus=host_cpus, verdict="stopped", timeout=90,
                           forbid=(panic, "NOT ALL"), needs_sound_smp=host_cpus > 1,
                           long=not is_in_pairwise(number, host_cpus, vcpus), **case)


def stress(host, bare, prompt, panic, pvh):
    """Pages are alike again and again, and a CPU has time to merge them while the others write."""
    scan = (*typed(prompt, "share scan now g1"), (r"scanned for sharing", "\r"))
    reclaim = (*typed(prompt, "reclaim g1 1M"), (r"g1: reclaimed", "\r"))
    shown = (*typed(prompt, "share"), (r"index-full", "\r"), *typed(prompt, "vms"), (r"g1 +running", "\r"))
    for what, step, more in (
            ("merged", scan, dict(expect=(r"^  g1: .*merged-own=\d{3}",))),
            ("evicted", reclaim, dict(expect=(r"[1-9]\d+ written to swap",), disks=SWAP))):
        yield dict(
            name=f"cpus-write-what-is-{what}", cpus=2, targets=("bochs",), verdict="stopped", forbid=(panic, "NOT ALL"),
            config=host(autostop="no", **NO_LARGE, **{"Mem.MemZipEnable": 0}) +
            bare("g1", cpus(3, 128, sleep=8000), "16M", pvh, vcpus=3, **{"sched.mem.min": 0}),
            script=((r"CPUS work 3", "\r"), *12 * step, *shown, *press(prompt, "g1", ENDED),
                    *typed(prompt, "frames"), (r"all accounted for", "\r"), *typed(prompt, "poweroff")),
            **{**more, "expect": (*more["expect"], r"WORKLOAD ok profile=cpus cpus=3 .*wrong=0")})
    # The guest's own eyes: what CPU 0 leaves out is seen.
    yield dict(
        name="cpus-lost-write-is-noticed", verdict="failed",
        config=host() + bare("g1", cpus(2, 16, rounds=20, lose=10), "16M", pvh, vcpus=2) +
        bare("g2", cpus(2, 16, rounds=20, forget=10), "16M", pvh, vcpus=2),
        expect=(r"^g1 .*verdict failed", r"^g2 .*verdict failed"),
        check=lambda text: [f"not seen: {wanted}" for wanted in
                            (r"[g1] WORKLOAD FAIL profile=cpus cpus=2 pages=16 rounds=", "wrong=1 cpu=0 page=8 value=10",
                             "rounds=20,20 wrong=1 sum, cpus=2 page=8 value=") if wanted not in text])


def disk_is(delay_ticks, bytes_a_second):
    """A step of a script: the swap disk is as slow as that, on Bochs or QEMU; 0: as fast as it can."""
    def slow(machine):
        if machine.spec.target == "bochs":
            (machine.directory / "nvme.control").write_text(f"delay {delay_ticks}\n")
        else:
            machine.monitor(f"block_set_io_throttle swap {bytes_a_second} 0 0 0 0 0")
    return slow


def ends(host, bare, prompt, panic, pvh):
    """A VM has a CPU in each state (tests/emu/guests/bare/roles.c), and is stopped and reset again and again: while it
    starts, while it waits for memory of its own or the host's, and while the scheduler makes it stand still. Another
    one's memory is as it was, and of the first's nothing is left."""
    # Its vCPU 3 writes to 24 MiB. With a limit of 12 it waits, for pages or for a frame, whenever one looks; with all
    # other memory promised to x1 the VM has too much.
    guest = bare("g1", "roles=mib=24", "40M", pvh, autostart="no", vcpus=6, **{"sched.mem.min": 0, "sched.mem.max": "12M"})
    neighbours = bare("n1", cpus(2, 512), "16M", pvh, vcpus=2, **{"sched.mem.min": "16M"}) + \
        bare("x1", "pages=mib=8,idle=1", "90M", pvh, autostart="no", **{"sched.mem.min": "90M"})

    def typed_all(*lines):
        # The machine goes on while somebody types.
        return tuple(step for line in lines for step in typed(prompt, line))

    off, taken = (r"g1: powered off by command", "\r"), (r"ROLES taken", "\r")
    waits = (
        *typed_all("start g1", "stop g1"), off,
        *typed_all("start g1", "reset g1"), taken, *typed_all("reset g1", "stop g1"), off,
        *typed_all("start g1"), taken, *typed_all("reset g1"), taken, *typed_all("vms", "stop g1", "start g1"),
        taken, *typed_all("reclaim g1 12M", "reset g1"), taken, *typed_all("reclaim g1 12M", "stop g1"), off)
    # It may be for a moment only, until all of it is on its way out.
    uses_24, stood_still = r"^g1( +\S+){4} +2[4-9]\.\d ", r"^g1( +\S+){11} +[1-9]\d*( stands still)?$"

    def still(*then):
        return (*typed_all("start g1"), taken, (uses_24, "\r"), (prompt, disk_is(40000000, 1 << 20)), ("", "\r"),
                *typed_all("start x1"), (r"x1: started", "\r"), (stood_still, "\r"), *then, *typed_all("stop x1"),
                (prompt, disk_is(0, 0)), ("", "\r"))

    script = ((r"CPUS work 2", "\r"), *waits, *typed_all("set g1 sched.mem.max 40M", "set Mem.MemMinFreePct 20"),
              *still(*typed_all("stop g1"), off),
              *still(*typed_all("reset g1")), taken, *typed_all("stop g1"), off, *press(prompt, "n1", ENDED),
              *typed(prompt, "frames"), (r"accounted for", "\r"), *typed(prompt, "poweroff"))
    yield dict(
        name="vcpus-end-in-every-state", targets=("bochs",), cpus=2, verdict="stopped", memory=128, timeout=90,
        forbid=(panic, "NOT ALL", "FAIL"), expect=(r"^WORKLOAD ok",), disks=SWAP,
        config=host(autostop="no", **NO_LARGE, **{"Mem.MemZipEnable": 0}) + guest + neighbours,
        watcher=lambda machine, timeout, slow: Repeating(
            machine, timeout, script, dict.fromkeys((uses_24, stood_still), "memsched\r")))


def cases(host, vm, bare, workload, prompt, panic, pvh):
    yield from matrix(host, vm, bare, workload, prompt, panic, pvh)
    yield from stress(host, bare, prompt, panic, pvh)
    yield from ends(host, bare, prompt, panic, pvh)
