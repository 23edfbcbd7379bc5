"""Cases of several CPUs, each of which runs guests. QEMU has its two in every case where its version is sound
(machine.default_cpus()); so here are Bochs's: some of the others again, with two, and what only several show."""
import dataclasses

from disk import Disk
from machine import BUILD

TWICE = (
    # Scans, batches and shoot-downs on one CPU, for guests that write and die on the other.
    "share-death-and-reset", "swap-reset-and-end", "hostile-vcpus")
TWICE_LONG = (
    "share-four", "share-write-storm", "share-join", "reclaim-command-swapped", "reclaim-everything-swapped", "hostile",
    "vectors-of-two-guests", "guest-resets", "events-through-absent-pages", "hostile-beside-linux", "linux-four",
    # Requests of one CPU at the disk while the other ends their guest, or looks after the controller.
    "disk-resets", "reclaim-six-transient-faults", "reclaim-six-dead-disk")


def again(cases):
    """Those of TWICE and TWICE_LONG with two CPUs, on Bochs."""
    known = {case.name: case for case in cases if "bochs" in case.targets}
    for name in (*TWICE, *TWICE_LONG):
        yield dataclasses.replace(known[name], name=f"two-cpus-{name}", cpus=2, targets=("bochs",),
                                  long=known[name].long or name in TWICE_LONG)


def cases(host, vm, bare, workload, prompt, panic, pvh):
    # A guest that never halts for each CPU; two more, and some CPUs run two.
    for name, cpus in (("two", 2), ("four", 4)):
        spinning, more = range(1, cpus + 1), (cpus + 1, cpus + 2)
        both = "|".join(map(str, more))
        spin = host(autostop="no") + "".join(bare(f"g{i}", "spin", kernel=pvh) for i in spinning) + "".join(
            bare(f"g{i}", workload(mib=8, ops=4000, seed=i), "16M", pvh, autostart="no") for i in more)
        yield dict(name=f"{name}-cpus-run-guests", config=spin, cpus=cpus, targets=("bochs",), verdict="stopped",
                   forbid=(panic,), timeout=180 * cpus // 2,
                   script=((rf"g{cpus}: started", "\r"),
                           *(step for i in more for step in ((prompt, f"start g{i}\r"), (rf"g{i}: started", "\r"))),
                           (rf"g({both})\] WORKLOAD ok(?:.|\n)*g({both})\] WORKLOAD ok", "\r"), (prompt, "cpus\r"),
                           (r"STEALS", "\r"),
                           *(step for i in spinning for step in (
                               (prompt, f"stop g{i}\r"), (rf"g{i}: powered off", "\r"))),
                           (prompt, "frames\r"), (r"all accounted for", "\r"), (prompt, "poweroff\r")),
                   expect=("".join(rf"^ *{cpu} +\d+ online +\d+ ms +[1-9]\d* ms .*\n" for cpu in range(cpus)),
                           r"powered off"))

    # Six guests on too little memory for two and a half of them, all techniques on: all finish, every byte verifies.
    six = host(**{"Mem.ShareForceSalting": 0}) + "".join(
        bare(f"g{i}", workload(seed=i, mib=24, ops=1500), "40M", pvh, **{"sched.mem.min": 0}) for i in range(1, 7))
    for name, cpus in (("two", 2), ("four", 4)):
        yield dict(name=f"{name}-cpus-reclaim-six", config=six, cpus=cpus, targets=("bochs",), memory=128,
                   forbid=(panic,), disks=(Disk(name="swap", mib=320, partitions=(("swap", "swap", 300),)),),
                   expect=(r"(?:^g\d .*verdict ok(?:.|\n)*?){6}",), long=cpus > 2, timeout=90 * cpus)

    # Guests with two CPUs, on one and on two of the host's: writes of both to the same pages, and resets meanwhile.
    def two_vcpus(ops, **keys):
        return vm("g1", "action=cpus", "128M", extra=f"bellows.{workload(mib=16, ops=ops)}", vcpus=2, **keys)

    for name, cpus, targets in (("vcpus-on-one-cpu", None, ("qemu", "bochs")), ("vcpus-on-two-cpus", 2, ("bochs",))):
        yield dict(name=name, config=host() + two_vcpus(500), cpus=cpus, targets=targets, forbid=(panic,), timeout=240,
                   expect=(r"g1: started, 128 MiB, 2 vCPUs", r"ACTION cpus online=2", r"ACTION cpus ok"))

    # Firmware that lists a CPU which is not there, before those that are: it is left out, and the others work.
    absent = {"EFI/BOOT/BOOTX64.EFI": BUILD / "absent_cpu.efi", "EFI/BOOT/BELLOWS.EFI": BUILD / "BOOTX64.EFI"}
    for target, cpus, source in (("qemu", 1, "the MADT"), ("bochs", 2, "the firmware's MP services")):
        yield dict(name="absent-cpu", targets=(target,), cpus=cpus, files=absent, memory=128, forbid=(panic,),
                   verdict="stopped", disks=(Disk(name="swap", mib=140, partitions=(("swap", "swap", 130),)),),
                   config=host(**{"Mem.ShareForceSalting": 0, "autostop": "no"}) + "".join(
                       bare(f"g{i}", workload(seed=i, mib=24, ops=800), "40M", pvh, **{"sched.mem.min": 0})
                       for i in range(1, 4)),
                   script=((r"(g\d\] WORKLOAD ok(?:.|\n)*){3}", "\r"), (prompt, "cpus\r"), (r"is left out", "\r"),
                           (prompt, "disks\r"), (r"requests:", "\r"), (prompt, "poweroff\r")),
                   expect=(r"a CPU is listed that is not there", r"CPU 1 \(APIC 13\) is left out: it did not answer",
                           rf"{cpus} of {cpus + 1} CPUs online .*, listed by {source}", r"^ +1 +13 failed +0 ms +0 ms ",
                           *((r"^ +2 +1 online +\d+ ms +[1-9]\d* ms ",) if cpus > 1 else ()),
                           r"CPU 1 \(APIC 13\) is left out: it did not answer", r" 0 failed; commands: 0 retried"))
