"""Cases of VMs' disks (virtio-blk): Linux guests that write, read, discard and verify; a root file system
and swap on such a disk; I/O errors, a dead disk, ends and resets with requests under way; a driver that
lies. The guests' side is tests/emu/guests/disk.c, disk_init and disk_root."""
import re

import virtio_disk
from disk import Disk
from steps import typed
from machine import BUILD

INITRD = r"\bellows\disk.img"
FILES = {"bellows/disk.img": BUILD / "guests/disk.img"}
# The first partition begins at block 2048. Where the guest's data are, not where it looks for partitions.
PART_FAILS = '[inject-error]\nevent = "read_aio"\nerrno = "5"\nsector = "6000"\n' \
             '[inject-error]\nevent = "write_aio"\nerrno = "5"\nsector = "7000"\n'
# Some that a second try mends, some that none does, and in the end the disk is dead.
BECOMES_BAD = "delay 200000\nafter 30 error 281 2\nafter 30 error 4281 4\nafter 200 dead\n"
ROOT_MIB, SWAP_MIB = 12, 64
DISK_MIB = ROOT_MIB + SWAP_MIB + 2

ABSENT = re.compile(r"(\d+) written from where they are, \d+ read over, (\d+) brought in")


def no_double_paging(text):
    """Of the pages that a guest wrote while they were not in memory, hardly one was brought in for it, which is where no
    bounce page is free."""
    seen = [tuple(map(int, pair)) for pair in ABSENT.findall(text)]
    if len(seen) != 1 or seen[0][0] == 0 or seen[0][1] * 10 > seen[0][0]:
        return [f"absent pages written and brought in: {seen}"]
    return []


def cases(host, vm, bare, well, prompt, panic):
    alone = host(autostop="no")

    def guest(name, does, disk=None, memory="96M", **keys):
        return vm(name, does, memory, initrd=INITRD, disk=disk or name, **keys)

    def case(name, config, disks, **more):
        return dict(name=f"disk{name}", config=config, disks=disks if isinstance(disks, tuple) else (disks,),
                    files=FILES, **{"forbid": (panic,), "timeout": 120, **more})

    def verified(name, failed="0"):
        return (rf"\[{name}\] WORKLOAD ok profile=disk reads=\d+ writes=\d+ discards=\d+ zeroes=\d+ "
                rf"flushes=\d+ failed={failed} wrong=0")

    def one(name, mib=12, **more):
        return Disk(name=name, mib=mib + 8, partitions=((name, "disk", mib), ("other", "linux", 4)), **more)

    # Blocks of both sizes, requests of both guests on the way at a time, and one guest's pages fault again and again.
    yield case("", alone + guest("g1", "disk=mib=8,ops=150", extra="bellows.id") +
               guest("g2", "disk=mib=8,ops=150,seed=2", **{"debug.hide": 3000}), (one("g1"), one("g2", block_bytes=4096)),
               script=(("g1: powered off(.|\n)*g2: powered off|g2: powered off(.|\n)*g1: powered off", "\r"),
                       *typed(prompt, "frames"), (r"all accounted for", "\r"), *typed(prompt, "poweroff")),
               verdict="stopped",
               expect=(r"\[g1\] DISK id [0-9a-f]{8}-",
                       rf"(?=(.|\n)*{verified('g1')})(?=(.|\n)*{verified('g2')})"))

    # A root file system, and a guest that pages by itself to the swap partition beside it. On QEMU twice (Bochs takes
    # long): what the first run wrote is there in the second.
    pages = (r"ROOT up", r"\[g1\] WORKLOAD ok profile=mixed mib=72", r"pswpin [1-9]", r"pswpout [1-9]")
    ends = (r"g1: powered off", "\r")
    for target, again, kept in (("qemu", (*typed(prompt, "start g1"), ends), (r"ROOT kept its file", *pages)),
                                ("bochs", (), ())):
        yield case("-root-and-swap", alone + guest(
            "g1", "workload=profile=mixed,mib=72,ops=600,seed=5",
            extra="bellows.root=/dev/vda1 bellows.swap=/dev/vda2"),
            one("g1", DISK_MIB, fill=virtio_disk.with_root_and_swap(ROOT_MIB, SWAP_MIB)), timeout=180,
            targets=(target,), verdict="stopped", script=(ends, *again, *typed(prompt, "poweroff")),
            expect=(*pages, *kept))

    def pages_to_its_disk(name, expect, *then, check=lambda text: [], **keys):
        return case(name, host(**{"autostop": "no", "Mem.MemZipEnable": 0}) + guest(
            "g1", "workload=profile=unique,mib=64,seconds=10000,seed=5", memory="128M",
            extra="bellows.root=/dev/vda1 bellows.swap=/dev/vda2 bellows.balloon=49152,50176",
            **{"sched.mem.min": 0, "sched.mem.pshare.enable": "no"}, **keys),
            (one("g1", DISK_MIB, fill=virtio_disk.with_root_and_swap(ROOT_MIB, SWAP_MIB)),
             Disk(name="swap", mib=136, partitions=(("swap", "swap", 132),))), timeout=240, verdict="stopped", script=(
                (r"\[g1\] ROOT up", "\r"), *typed(prompt, "balloon g1 48M"), (r"\[g1\] ROOT balloon 49152", "\r"), *then,
                *typed(prompt, "disks"), (r"brought in", "\r"), *typed(prompt, "balloon g1 49M"), (r"g1: powered off", "\r"),
                *typed(prompt, "poweroff")), expect=(*expect, r"\[g1\] WORKLOAD ok profile=unique mib=64 .*wrong=0"), check=check)

    # A balloon that the guest can only follow by paging, which it does to its own disk; the host's swap file is not
    # touched.
    yield pages_to_its_disk("-balloon-pages", (
        r"^g1 +48\.0 +48\.0 +48\.0 .* ok", r"swap-out=[1-9]\d\d", r"written: 0 pages", r"g1\.vswp .* 0 of 32768 slots used",
        r"not in memory: 0 written from where they are, 0 read over, 0 brought in"),
        *typed(prompt, "balloon"), (r"swap-in", "\r"), *typed(prompt, "swap"), (r"corrupt(.|\n)*corrupt", "\r"))
    # While the host swaps all that it can again and again, what the guest pages out goes from where it is: it is not
    # brought in first. (What is swapped once only is soon fetched again where there is memory.)
    yield pages_to_its_disk("-pages-absent", (), check=no_double_paging, **{"debug.reclaim": 3000})

    # Errors are the guest's whose request it was, and nobody else's.
    errors = guest("g1", "disk=mib=8,ops=150,errors=1")
    yield case("-errors", host() + errors + guest("g2", "disk=mib=8,ops=100"),
               (one("g1", blkdebug=PART_FAILS), one("g2")), targets=("qemu",),
               expect=(rf"(?=(.|\n)*{verified('g1', '[1-9][0-9]*')})(?=(.|\n)*{verified('g2')})",
                       r"^g1 .*verdict ok", r"^g2 .*verdict ok"))
    yield case("-errors", host() + errors + bare("n1", well, "24M"), one("g1", faults=BECOMES_BAD),
               targets=("bochs",), expect=(r"failed with status 281", r"nvme0: dead", verified("g1", "[1-9][0-9]*"),
                                           r"^g1 .*verdict ok", r"^n1 .*verdict ok"))

    # Ends and resets while requests are at the disk, which is slow: what comes afterwards is right all the same.
    yield case("-resets", alone + guest("g1", "disk=mib=4,ops=60"),
               one("g1", faults="delay 30000000\n", qemu_drive=",throttling.iops-total=60"), verdict="stopped",
               script=((r"\[g1\] DISK under way", "\r"), *typed(prompt, "reset g1"), (r"g1: reset", "\r"),
                       *typed(prompt, "disks"), (r"left behind by resets", "\r"), (r"\[g1\] DISK under way", "\r"),
                       *typed(prompt, "stop g1"), (r"g1: powered off by command", "\r"),
                       *typed(prompt, "start g1"), (r"\[g1\] WORKLOAD ok", None), (r"g1: powered off", "\r"),
                       *typed(prompt, "frames"), (r"all accounted for", "\r"), *typed(prompt, "poweroff")),
               expect=(r"disk of g1: ", r"[1-9]\d* left behind by resets", verified("g1")))

    # A driver that lies, beside one that verifies and a guest with no disk, all on one controller.
    yield case("-liar", host() + bare("bad", "virtio", "16M", extra="seed=1", disk="bad") +
               guest("g2", "disk=mib=8,ops=100") + bare("n1", well, "24M"),
               Disk(mib=28, partitions=(("bad", "disk", 8), ("g2", "disk", 12)), faults="delay 20000\n"),
               forbid=(panic, "VIRTIO FAIL"),
               expect=(rf"(?=(.|\n)*\[bad\] WORKLOAD ok profile=virtio)(?=(.|\n)*{verified('g2')})",
                       r"^bad .*verdict ok", r"^g2 .*verdict ok", r"^n1 .*verdict ok"))

    # Who may have which partition.
    guid = "D1A5C0DE-0000-4000-8000-00000000B10C"
    yield case("-names", alone + "".join(bare(name, "balloon", "16M", disk=disk) for name, disk in (
        ("a", "g1"), ("b", "g1"), ("c", "absent"), ("d", "other"), ("e", "vm1"), ("f", guid))),
        one("g1", fill=virtio_disk.as_readme_says("vm1", guid)), targets=("qemu",), verdict="stopped",
        script=((r"a: started", "\r"), *typed(prompt, "vms"), (r"", "\r"), *typed(prompt, "poweroff")),
        expect=(r"b: not started: disk g1: it is the disk of VM a, which is on",
                r"c: not started: disk absent: no such partition",
                r"d: not started: disk other: its partition type is not that of a VM's disk",
                rf"f: not started: disk {guid}: it is the disk of VM e", r"e: started"))
