"""Cases of a swap volume that fails: at a write the page stays in memory; a transient fault is not noticed; where a
page cannot be had any more its VM is stopped, with the reason. And a reset and an end with commands under way. In each
a neighbour that needs no swap verifies all of its memory when it is over."""
import swap_volume
from disk import Disk
from steps import ENDED, press, typed

# A slot that the guest's pages reach, and where it lies: behind the partition's first MiB and the header's page.
SLOT = 700
SECTOR = (swap_volume.START + 4096 * (1 + SLOT)) // 512
# A rule holds from the first such event on, for what its iotype says.
READ_FAILS = f'[inject-error]\nevent = "read_aio"\nerrno = "5"\niotype = "read"\nsector = "{SECTOR}"\n'
WRITE_FAILS = f'[inject-error]\nevent = "write_aio"\nerrno = "5"\niotype = "write"\nsector = "{SECTOR}"\n'
OUT = "reclaim g1 16M"
STOPPED = r"g1: stopped: the contents of one of its pages were lost"


def control(text):
    """A step of a script: from now on the plugin's control file says so."""
    return lambda machine: (machine.directory / "nvme.control").write_text(text)


def flip_a_bit(machine):
    """A step of a script: in the slot, on the disk."""
    with open(machine.disk_paths[0], "r+b") as image:
        image.seek(SECTOR * 512 + 1234)
        byte = image.read(1)[0]
        image.seek(-1, 1)
        image.write(bytes([byte ^ 0x10]))


def cases(host, bare, workload, prompt, panic, pvh):
    # All that is evicted goes to the disk. No large pages, for they would be split first.
    config = host(**{"autostop": "no", "Mem.MemZipEnable": 0, "Mem.AllocGuestLargePage": 0}) + \
        bare("g1", workload(seed=1, mib=32, ops=200, profile="unique", wait=1), "48M", pvh) + \
        bare("n1", workload(seed=2, mib=16, ops=200, wait=1), "24M", pvh, **{"sched.mem.min": "24M"})

    ok = r"WORKLOAD ok .*wrong=0\n"
    both_wait = (r"(\[g1\] WORKLOAD waiting(.|\n)*\[n1\]|\[n1\] WORKLOAD waiting(.|\n)*\[g1\]) WORKLOAD waiting", "\r")

    def case(name, target, ends, expect, faults="", blkdebug="", before=(), between=(), after=()):
        swap = Disk(name="swap", mib=96, partitions=(("swap", "swap", 80),), faults="delay 20000\n" + faults,
                    blkdebug=blkdebug)
        return dict(
            name=f"swap-fault-{name}", config=config, disks=(swap,), targets=(target,), forbid=(panic,), timeout=60,
            verdict="stopped", script=(
                both_wait, *before, *typed(prompt, OUT), (r"g1: reclaimed \d+\.\d MiB of 16\.0", "\r"),
                *((prompt, step) for step in between), ("", "\r"), *press(prompt, "g1", ends),
                *typed(prompt, "swap"), (r"\d+ corrupt", "\r"), *typed(prompt, "disks"), (r"requests: ", "\r"), *after,
                *press(prompt, "n1", ENDED), *typed(prompt, "frames"), (r"all accounted for", "\r"),
                *typed(prompt, "poweroff")),
            expect=(ends, *expect, ok))

    # A reset frees all slots; so does an end, when the disk has let go of what was under way: a start waits for that.
    slow = Disk(name="swap", mib=96, partitions=(("swap", "swap", 80),), faults="delay 3000000\n",
                qemu_drive=",throttling.iops-total=300")
    yield dict(
        name="swap-reset-and-end", config=config, disks=(slow,), forbid=(panic,), timeout=60, verdict="stopped", script=(
            both_wait, *typed(prompt, OUT), (r"g1: reclaimed \d+\.\d MiB of 16\.0", "\r"),
            *typed(prompt, "swap"), (r"g1\.vswp .* [1-9]\d* of 12288 slots used", "\r"),
            *typed(prompt, "reset g1"), (r"\[g1\] WORKLOAD waiting", "\r"),
            *typed(prompt, "swap"), (r"g1\.vswp .* 0 of 12288 slots used", "\r"),
            *typed(prompt, OUT), *typed(prompt, "stop g1"), (r"g1: powered off by command", "\r"),
            # Its second file has all the room of the first.
            *typed(prompt, "start g1"), (r"\[g1\] WORKLOAD waiting", "\r"),
            *typed(prompt, "swap"), (r"79\.9 MiB, 31\.9 free, 31\.9 in one piece", "\r"),
            *typed(prompt, "stop g1"), (r"g1: powered off by command", "\r"),
            *press(prompt, "n1", ENDED), *typed(prompt, "frames"), (r"all accounted for", "\r"),
            *typed(prompt, "poweroff")), expect=(ok,))

    some, hurry = r"[1-9]\d*", (*typed(prompt, "disk limits 500 300"), (r"its abort 300 ms", "\r"))

    # Writing: what was not written stays.
    for target, faults in (("qemu", dict(blkdebug=WRITE_FAILS)), ("bochs", dict(faults="after 5 error 4280 2\n"))):
        yield case("write-error", target, ok, (rf"written: {some} pages in {some} commands, {some} failed;.*, 0 corrupt",),
                   **faults)
    # Lost on the way out and on the way back.
    yield case("lost", "bochs", ok, (r"written: .*, 0 failed; read: .*, 0 failed; 0 read again, 0 corrupt",
                                     rf"retried, {some} late"), before=hurry,
               faults="after 5 lose 1\nafter 5 stall 1\n", between=(control("after 1 lose 1\nafter 5 stall 1\n"),))
    # A wrong bit on the way: the page is read again.
    yield case("wrong-bit", "bochs", ok, (r"read: .*, 0 failed; 1 read again, 0 corrupt",),
               between=(control("after 2 corrupt 1\n"),))
    # A wrong bit on the disk, for good.
    for target in ("qemu", "bochs"):
        yield case("corrupt", target, STOPPED, (r"read: .*, 0 failed; 1 read again, 1 corrupt",), between=(flip_a_bit,))
    # A page that cannot be read.
    yield case("read-error", "qemu", STOPPED, (r"read: .*, 1 failed;",), blkdebug=READ_FAILS)
    yield case("read-error", "bochs", STOPPED, (rf"read: .*, {some} failed;",),
               between=(control("after 2 error 4281 100000\n"),), after=((prompt, control("")), ("", "\r")))
    # Dead: nobody gets a swap file there any more, and nobody else notices.
    yield case("dead", "bochs", STOPPED, (r"nvme0n1p1 \(swap\): its disk is dead", r"nvme0 .*: dead: ",
                                          r"g1: not started: swap volume nvme0n1p1 \(swap\): its disk is dead"),
               before=hurry, between=(control("after 2 dead\n"),),
               after=(*typed(prompt, "start g1"), (r"g1: not started", "\r")))
