"""Cases of starts that wait for what VMs that have ended leave behind, and of their end: room in the swap volume, and the
frames that a swap file holds, come back when the disk is through with it, or the disk is dead."""
import re

from disk import Disk
from steps import typed
from swap_fault_cases import control

BUSY = r"starts when swap volume nvme0n1p1 \(swap\) is through with {} MiB of what has ended"


class Asked:
    """Types a short line again and again, until what has come since says what is wanted."""

    def __init__(self, line, wanted, prompt):
        self.line = line
        self.wanted = re.compile(wanted, re.M)
        self.answered = re.compile(rf"{line}\n[^\0]*?{prompt}", re.M)
        self.machine = self.at = None

    def begin(self, machine):
        self.machine = machine
        machine.write(f"{self.line}\r".encode())

    def is_as_wanted(self, text):
        if self.at is None:
            self.at = len(text)
        if self.wanted.search(text, self.at):
            return True
        if self.answered.search(text, self.at):
            self.at = len(text)
            self.begin(self.machine)
        return False


def asked(prompt, line, wanted):
    """Steps of a script."""
    asks = Asked(line, wanted, prompt)
    return (prompt, asks.begin), (asks.is_as_wanted, "\r")


def stand_still(machine):
    """A step of a script: of what the swap disk is told from now on it sits on one command; on QEMU on all but one a second."""
    if machine.spec.target == "bochs":
        control("after 0 stall 1\n")(machine)
    else:
        machine.monitor("block_set_io_throttle swap 0 0 0 1 0 0")


def go_on(machine):
    """On Bochs it never does with that command, until the driver aborts it."""
    if machine.spec.target != "bochs":
        machine.monitor("block_set_io_throttle swap 0 0 0 0 0 0")


def cases(host, bare, workload, prompt, panic, pvh):
    # The first has its file made, the disk is told what is free there, and its kernel is not to be found: the second
    # begins while the disk still works on that file. The third could not begin then either.
    yield dict(
        name="start-waits-at-boot", forbid=(panic,), verdict="failed", timeout=60,
        config=host() + bare("g1", "ok", "32M", r"\bellows\absent") + bare("g2", workload(mib=8, ops=200), "32M", pvh) +
        bare("g3", "ok", "48M", pvh), disks=(Disk(name="swap", mib=56, partitions=(("swap", "swap", 40),)),), expect=(
            r"g1: not started: .*absent", "g2: " + BUSY.format(r"32\.0"),
            r"g3: not started: its swap file of 48\.0 MiB .* has no room", r"g2: started", r"^g2 .*verdict ok"))

    # Evicted pages are on their way to a disk that sits on a command, or on many, when their VM is stopped. The one that
    # spins keeps Bochs from leaping over idle time. A thousand pages are more than 30 commands.
    waits = (r"g1 starts when", "\r")
    config = host(**{"autostop": "no", "Mem.MemZipEnable": 0, "Mem.AllocGuestLargePage": 0}) + \
        bare("s1", "spin", "8M", pvh, **{"sched.mem.min": "8M"}) + \
        bare("g1", workload(mib=32, ops=200, profile="unique", wait=1), "48M", pvh)

    def stopped_with_writes_under_way(limit_ms, size="16M", used=r"\d{4} of 12288"):
        return ((r"\[g1\] WORKLOAD waiting", "\r"), *typed(prompt, f"disk limits {limit_ms} 300"),
                (r"its abort 300 ms", "\r"), (prompt, stand_still), ("", "\r"),
                *typed(prompt, f"reclaim g1 {size}"), *asked(prompt, "swap", rf"g1\.vswp .* {used} slots used"),
                *typed(prompt, "stop g1"), (r"g1: powered off by command", "\r"))

    starts_again = (
        (prompt, go_on), (r"g1: started", None), (r"\[g1\] WORKLOAD waiting", "\r"),
        *typed(prompt, "stop g1"), (r"g1: powered off by command", "\r"),
        *typed(prompt, "frames"), (r"all accounted for", "\r"), *typed(prompt, "poweroff"))

    # For longer than all of this takes, where the disk can be told to go on; else until the driver aborts the command.
    # A VM of 15 GiB needs 62 MiB before its guest has any page: 30 are its swap file's, which go with the last command.
    large = config.replace("48M", "15G").replace("mib=32", "mib=4")
    for target, limit_ms in (("qemu", 600000), ("bochs", 12000)):
        yield dict(
            name="start-waits-for-writes", targets=(target,), config=config, forbid=(panic, "g1 was not started"),
            verdict="stopped", timeout=90,
            disks=(Disk(name="swap", mib=96, partitions=(("swap", "swap", 80),), faults="delay 20000\n"),),
            script=(*stopped_with_writes_under_way(limit_ms), *typed(prompt, "start g1"), waits,
                    *asked(prompt, "vms", r"g1 +waiting .*" + BUSY.format(r"48\.0")), *starts_again))
        yield dict(
            name="start-waits-for-frames", targets=(target,), config=large, forbid=(panic, "not started"),
            verdict="stopped", timeout=90, memory=96,
            disks=(Disk(name="swap", mib=32000, partitions=(("swap", "swap", 31900),), faults="delay 20000\n"),),
            script=(*stopped_with_writes_under_way(limit_ms, "2M", r"\d{2,} of 3932160"), *typed(prompt, "start g1"),
                    (r"g1 starts when swap volume nvme0n1p1 \(swap\) is through with what has ended, and that memory is free",
                     "\r"), *starts_again))

    # For longer than all of this takes; and then the disk dies.
    yield dict(
        name="start-waits-until-disk-dies", targets=("bochs",), forbid=(panic,), verdict="stopped", timeout=60,
        config=config + bare("g2", "ok", "40M", pvh, autostart="no") + bare("g3", "ok", "96M", pvh, autostart="no"),
        disks=(Disk(name="swap", mib=100, partitions=(("swap", "swap", 80), ("scratch", "test", 4)), faults="delay 20000\n"),),
        script=(
            *stopped_with_writes_under_way(600000), *typed(prompt, "start g1"), waits,
            *asked(prompt, "vms", r"g1 +waiting .*" + BUSY.format(r"48\.0")),
            *typed(prompt, "reset g1"), (r"g1 is not running yet: it starts when", "\r"),
            *typed(prompt, "start g2"), (r"g2 " + BUSY.format(r"48\.0"), "\r"),
            *typed(prompt, "start g3"), (r"g3 was not started: its swap file of 96\.0 MiB .* has no room", "\r"),
            *typed(prompt, "stop g1"), (r"g1 does not start", "\r"),
            *typed(prompt, "vms"), (r"g1 +off .*powered off by command", "\r"), *typed(prompt, "start g1"), waits,
            (prompt, control("after 0 dead\n")), ("", "\r"), *typed(prompt, "disk test scratch"),
            (r"g1: not started: swap volume nvme0n1p1 \(swap\): its disk is dead", None),
            (r"g2: not started: swap volume nvme0n1p1 \(swap\): its disk is dead", "\r"),
            *typed(prompt, "vms"), (r"g1 +off .*its disk is dead", "\r"),
            *typed(prompt, "frames"), (r"all accounted for", "\r"), *typed(prompt, "poweroff")))
