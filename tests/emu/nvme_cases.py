"""Cases of NVMe controllers with a queue pair for each CPU: what each CPU's guests asked for comes back there, also
while completions are lost and the controller is reset. (The driver alone, with a pair or more: disk_cases.)"""
from disk import Disk
from steps import typed
from machine import BUILD

FILES = {"bellows/disk.img": BUILD / "guests/disk.img"}
# Far enough apart that each is over before the next comes; on whichever pair the count is reached.
FAULTS = "delay 100000\nafter 100 stall 1\nafter 300 lose 1\nafter 300 die\nafter 300 garbage 1\n"


def cases(host, vm, prompt, panic):
    def guest(number):
        return vm(f"g{number}", f"disk=mib=8,ops=150,seed={number}", "96M", initrd=r"\bellows\disk.img",
                  disk=f"g{number}", **{"sched.mem.min": 0, "debug.reclaim": 3000})

    both_end = ("g1: powered off(.|\n)*g2: powered off|g2: powered off(.|\n)*g1: powered off", "\r")
    look = (*typed(prompt, "disks"), (r"requests: ", "\r"), *typed(prompt, "swap"), (r"corrupt", "\r"),
            *typed(prompt, "cpus"), (r"STEALS", "\r"), *typed(prompt, "frames"), (r"all accounted for", "\r"),
            *typed(prompt, "poweroff"))
    verified = "".join(rf"(?=(.|\n)*\[g{i}\] WORKLOAD ok profile=disk .* failed=0 wrong=0)" for i in (1, 2))
    some = r"[1-9]\d*"
    # Each pair's interrupts came to its CPU, and each CPU handed back what had been asked for there.
    pairs = tuple(rf"queue {cpu + 1}, of CPU {cpu}: {some} completions, {some} interrupts" for cpu in (0, 1))
    swapped = rf"written: {some} pages in \d+ commands, 0 failed; read: {some} pages in \d+ commands, 0 failed"
    took = tuple(rf"^ *{cpu} +\d+ online .* {some}$" for cpu in (0, 1))

    for name, faults, counts, limits in (
            ("", "delay 100000\n", r"0 failed; commands: 0 retried, 0 late", ()),
            ("-and-faults", FAULTS, rf"0 failed; commands: {some} retried, {some} late, {some} aborted; {some} resets",
             (*typed(prompt, "disk limits 500 300"), (r"its abort 300 ms", "\r")))):
        yield dict(name=f"two-cpus-disks{name}", cpus=2, targets=("bochs",), files=FILES, verdict="stopped",
                   config=host(autostop="no", **{"Mem.MemZipEnable": 0}) + guest(1) + guest(2), timeout=240,
                   disks=(Disk(mib=28, partitions=(("g1", "disk", 12), ("g2", "disk", 12)), faults=faults),
                          Disk(name="swap", mib=200, partitions=(("swap", "swap", 196),))),
                   script=(*limits, both_end, *look), forbid=(panic, "NOT ALL"), long=bool(limits),
                   expect=(verified, *pairs, counts, swapped, *took))
