"""Cases of disks: what is found on them, and that no fault of theirs goes unnoticed or brings down more
than the request it befell. `disk test` writes, reads and verifies; `disks` counts what happened."""
from disk import Disk
from steps import typed

SLOW = "delay 300000\n"
# One of each that a driver must get over, far enough apart that each is over before the next comes.
TRANSIENT = SLOW + "after 20 error 281 2\nafter 20 stall 1\nafter 20 lose 1\nafter 20 garbage 1\nafter 20 die\n"
LASTING = SLOW + "after 100 error 4281 1\nafter 5 corrupt 1\n"
DEAD = SLOW + "after 50 dead\n"
# The partition begins at block 2048, and holds nothing the firmware would look at there.
READ_ERROR = '[inject-error]\nevent = "read_aio"\nerrno = "5"\nsector = "6000"\n'
WRITE_ERROR = '[inject-error]\nevent = "write_aio"\nerrno = "5"\nsector = "7000"\n'
ONCE = 'once = "on"\n'

COUNTS = (r"requests: (?P<done>\d+) done, {failed} failed; commands: {retried} retried, {late} late, "
          r"{aborted} aborted; {resets} resets, {senseless} senseless")


def counts(failed="0", retried="0", late="0", aborted="0", resets="0", senseless="0"):
    return COUNTS.format(**locals())


def script(prompt, limits=False):
    """List the disks, test a partition, list them again."""
    steps = (*typed(prompt, "disks"), (r"requests: ", "\r"))
    if limits:
        steps += (*typed(prompt, "disk limits 500 300"), (r"its abort 300 ms", "\r"))
    return (*steps, *typed(prompt, "disk test scratch"), (r"disk test scratch: \w+:", "\r"),
            *typed(prompt, "disks"), (r"requests: ", "\r"), *typed(prompt, "poweroff"))


def cases(host, vm, well, prompt, panic):
    alone = host(autostop="no")

    def case(name, disk, expect, config=alone, **more):
        disks = disk if isinstance(disk, tuple) else (disk,)
        return dict(name=f"nvme{name}", config=config, disks=disks, expect=expect, forbid=(panic,),
                    verdict="stopped", **{"timeout": 90, "script": script(prompt), **more})

    def found(block):
        return (rf"nvme0n1: 32 MiB in blocks of {block} bytes", r"nvme0n1: 2 partitions", r": ready$", "MSI-X",
                rf"nvme0n1p1 +12 MiB at block {(1 << 20) // block} +scratch +Bellows test",
                r"nvme0n1p2 +4 MiB .*other +Linux data")

    ok = r"disk test scratch: ok: \d+ blocks of \d+ bytes, \d+ requests, 0 failed, 0 blocks wrong"
    yield case("", Disk(faults=SLOW), (*found(512), ok, counts()))
    yield case("-4k", Disk(faults=SLOW, block_bytes=4096), (*found(4096), ok, counts()))
    # A queue for each CPU (no guests: QEMU 7.2 runs those on one CPU only).
    yield case("-two-cpus", Disk(faults=SLOW), (r"2 queues of 64, MSI-X", ok, counts()), cpus=2)
    # No byte is written but to a partition of the test type.
    yield case("-other-type", Disk(), (r"disk test other: not a partition of the test type",),
               targets=("qemu",), script=(
                   *typed(prompt, "disk test other"), (r"test type", "\r"), *typed(prompt, "disk test absent"),
                   (r"disk test absent: no such partition", "\r"), *typed(prompt, "poweroff")))
    # Damage would not do: this firmware mends it.
    yield case("-backup-table", Disk(blkdebug=READ_ERROR.replace("6000", "1")), (r"its first partition table is bad .*the backup is used",
                                                    r"nvme0n1: 2 partitions", ok), targets=("qemu",))
    yield case("-no-table", Disk(damage=(1, -1)), (r"nvme0n1: 0 partitions: no partition table",),
               targets=("qemu",), script=(*typed(prompt, "disks"), ("no partition table", "\r"), *typed(prompt, "poweroff")))
    # Two controllers on QEMU, two namespaces on Bochs; guests run on meanwhile.
    second = Disk(name="second", block_bytes=4096, partitions=(("two", "test", 8),))
    yield case("-two-beside-a-guest", (Disk(faults=SLOW), second), (
        r"disk test two: ok: 2048 blocks of 4096 bytes, \d+ requests, 0 failed, 0 blocks wrong",
        r"g1\] WORKLOAD ok", r"disk test scratch: ok: .*0 failed, 0 blocks wrong"),
        config=alone + vm("g1", well), timeout=120, script=(
            (r"g1: started", "\r"), *typed(prompt, "disk test two"), (r"disk test two: \w+:", None),
            (r"WORKLOAD ok", "\r"), *typed(prompt, "disk test scratch"), (r"disk test scratch: \w+:", "\r"),
            *typed(prompt, "poweroff")))
    # Faults.
    some = r"[1-9]\d*"
    yield case("-error-once", Disk(blkdebug=READ_ERROR + ONCE + WRITE_ERROR + ONCE), (ok, counts(retried="2")),
               targets=("qemu",))
    yield case("-error-for-good", Disk(blkdebug=READ_ERROR), (
        r"failed with status 281", r"disk test scratch: FAILED: .* 0 blocks wrong", counts(failed=some, retried=some)),
        targets=("qemu",))
    yield case("-transient-faults", Disk(faults=TRANSIENT), (
        r"is late: aborting it", r"reset: a request is not answered, and cannot be aborted", r"reset: fatal status",
        ok, counts(retried=some, late=some, aborted=some, resets="2", senseless="1")),
        targets=("bochs",), script=script(prompt, limits=True))
    yield case("-lasting-faults", Disk(faults=LASTING), (
        r"failed with status 281", r"disk test scratch: FAILED: .* 1 failed, 1 blocks wrong", counts(failed="1")),
        targets=("bochs",))
    yield case("-dead", Disk(faults=DEAD), (
        r"nvme0: reset: fatal status", r"nvme0: dead: ", r"disk test scratch: FAILED: .* 0 blocks wrong", r": dead: "),
        targets=("bochs",), script=script(prompt, limits=True))
