"""Cases of swap volumes and VMs' swap files: formatted, found again, damaged, too new, too small, with a name that is
not there, on a disk that cannot be read; and that other partitions stay as they are."""
import swap_volume
from disk import Disk
from steps import typed
from swap_volume import prepared

# The first partition begins at block 2048: the header of a volume there cannot be read.
NO_HEADER = '[inject-error]\nevent = "read_aio"\nerrno = "5"\nsector = "2048"\n'


def cases(host, bare, well, prompt, panic):
    alone = host(autostop="no")
    finished = (r"g1: powered off", "\r")

    def case(name, config, disk, expect, script, **more):
        return dict(name=f"swap{name}", config=config, disks=(disk,), expect=expect, script=script, verdict="stopped",
                    **{"forbid": (panic,), "timeout": 60, **more})

    # All of a VM's memory has its place in a swap file; what one has given back when it ended is free.
    def opened(name, disk, how, boots):
        times = "time" if boots == 1 else "times"
        return case(name, alone + bare("g1", well, "24M") + bare("g2", "balloon", "8M"), disk, (
            *how, rf"swap: nvme0n1p2 \(swap\): 33\.9 MiB in 8703 slots, opened {boots} {times}",
            r"g1: swap file g1\.vswp, 24\.0 MiB on nvme0n1p2 \(swap\), 1 extent", r"\[g1\] WORKLOAD ok",
            rf"nvme0n1p2 \(swap\): ready\s+33\.9 MiB, 25\.9 free, 24\.0 in one piece; opened {boots} {times}",
            r"g2\.vswp on nvme0n1p2 \(swap\): 0 of 2048 slots used"), (
                finished, *typed(prompt, "swap"), (r"g2\.vswp on(.|\n)*corrupt", None),
                # g2's file is the second, and was never written.
                ("", swap_volume.is_as_it_should_be(disk, boots)), ("", swap_volume.are_deallocated(disk, 6144, 2048)),
                ("", "\r"), *typed(prompt, "poweroff")))

    yield opened("-volume-new", prepared(), (r"nvme0n1p2 \(swap\): it had no swap header; formatting it",), 1)
    yield opened("-volume-again", prepared(6, block_bytes=4096), (), 7)
    yield opened("-volume-damaged", prepared(6, damage=True), (r"\(swap\): its header was damaged; formatting it",), 1)

    # What cannot be had is said, and that VM does not start.
    newer = prepared(6, version=2)
    yield case("-volume-newer", alone + bare("g1", well, "24M"), newer, (
        r"\(swap\): not used: a newer version of Bellows formatted it",
        r"g1: not started: swap volume nvme0n1p2 \(swap\): a newer version of Bellows formatted it"),
        ((r"g1: not started", "\r"), *typed(prompt, "poweroff")), targets=("qemu",))

    names = (bare("g1", "balloon", "24M") + bare("g2", "balloon", "24M", **{"sched.mem.min": "13M"}) +
             bare("g3", "balloon", "16M", **{"sched.mem.min": "14M"}) +
             bare("g4", "balloon", "16M", **{"sched.swap.dir": "absent"}) +
             bare("g5", "balloon", "16M", **{"sched.swap.dir": "other"}) +
             bare("g6", "balloon", "16M", **{"sched.mem.min": "16M"}) +
             bare("g7", "balloon", "16M", **{"sched.mem.min": "15M", "sched.swap.dir": "nvme0n1p3"}) +
             bare("g2", "balloon", "16M"))
    yield case("-names-and-sizes", alone + names, Disk(partitions=(("swap", "swap", 12), ("other", "linux", 2)),
                                                       mib=36, fill=swap_volume.as_readme_says), (
        r"there is a \[vm g2\] already, in line \d+",
        r"g1: not started: its swap file of 24\.0 MiB \(memory less sched\.mem\.min\) has no room on swap volume "
        r"nvme0n1p1 \(swap\): 11\.9 MiB are free, 11\.9 in one piece",
        r"g2: swap file g2\.vswp, 11\.0 MiB on nvme0n1p1",
        r"g3: not started: its swap file of 2\.0 MiB .*: 0\.9 MiB are free",
        r"g4: not started: line \d+: sched\.swap\.dir = absent: no such partition",
        r"g5: not started: line \d+: sched\.swap\.dir = other: its partition type is not that of a swap volume",
        r"g7: swap file g7\.vswp, 1\.0 MiB on nvme0n1p3 \(swap1\)",
        r"g2: not started: line \d+: there is a \[vm g2\] already", r"g6: started", r"g7: started"), (
            (r"g7: started", "\r"), *typed(prompt, "stop g2"), (r"g2: powered off", "\r"),
            # What g2 had is free again; and a second VM of its name is none.
            *typed(prompt, "start g3"), (r"g3: swap file g3\.vswp, 2\.0 MiB", "\r"), *typed(prompt, "poweroff")))

    # A volume that cannot be opened keeps nobody from running who needs none.
    yield case("-unreadable", alone + bare("g1", well, "24M", **{"sched.mem.min": "24M"}) + bare("g2", "balloon", "16M"),
               Disk(partitions=(("swap", "swap", 24),), blkdebug=NO_HEADER), (
                   r"swap: nvme0n1p1 \(swap\): not used: its header could not be read",
                   r"g2: not started: swap volume nvme0n1p1 \(swap\): its header could not be read",
                   r"\[g1\] WORKLOAD ok"), (finished, *typed(prompt, "poweroff")), targets=("qemu",))
