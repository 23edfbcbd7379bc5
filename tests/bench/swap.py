"""fault.swap, in Bochs: the touch of a page that lies on the swap volume."""
import disk
import emulated
import host
from results import Result

# What the issue on swap asks for, in instructions beyond the page's checksum and the device.
LIMIT = 4000
# All of the guest's pages go once, at the exit that tests/emu/guests/bare/swap_bench.c waits for.
CONFIG = """\
[host]
autostop = yes
Mem.AllocGuestLargePage = 0
Mem.MemZipEnable = 0

[vm bench]
memory = 160M
vcpus = 1
kernel = \\bellows\\bare.img
cmdline = bellows.bench=swap
sched.mem.min = 0
sched.mem.pshare.enable = no
debug.reclaim = 4096
"""
VOLUME = disk.Disk(name="swap", mib=200, partitions=(("swap", "swap", 190),))


def bench_fault():
    """The disk is the plugin for Bochs, which carries a command out while the doorbell's store executes. So nothing
    is waited for, and all that is counted is the hypervisor's, the driver and the interrupt included."""
    found = emulated.boot("bochs", "swap", CONFIG, emulated.hypervisor_files(), disks=(VOLUME,))
    if not {"swap-read", "swap-write", "swap-run", "page-sum"} <= found.keys():
        raise host.Failed(f"the guest measured {sorted(found)} only")
    read, write, run, checksum = (found[one] for one in ("swap-read", "swap-write", "swap-run", "page-sum"))
    dearer = max(read, write, key=lambda one: one["median"])
    checksum = checksum["median"]
    if read["median"] < checksum or write["median"] < checksum:
        raise host.Failed(f"the pages were not swapped: a touch took {read['median']} or {write['median']} instructions")
    return Result(
        "fault.swap", "instructions", dearer["median"], dearer["count"], dearer["min"], dearer["max"],
        "the page's checksum alone", checksum,
        note=f"{read['median']} where the page is read, {write['median']} where it is written; the checksum takes "
             f"{checksum} of them, the device nothing, for it answers at once: driver, interrupt and two turns of the "
             f"scheduler's loop are in it. In a run of pages, with read-ahead, {run['mean']} a page, checksum included",
        limit=("instructions beyond checksum and device", dearer["median"] - checksum, LIMIT))
