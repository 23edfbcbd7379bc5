"""Cases of memory that is short: pages compressed and swapped by command, because there is too little for all,
and at every chance; every guest verifies every byte."""
from disk import Disk
from steps import ENDED, press, typed


def cases(host, vm, bare, workload, prompt, panic, pvh):
    small_pages = {"Mem.AllocGuestLargePage": 0}

    # Everything that no vCPU needs just now goes at every 50th exit, and the guest still finishes.
    yield dict(name="reclaim-everything-compressed", forbid=(panic,), expect=(r"WORKLOAD ok",),
               config=host(**small_pages) + bare("g1", workload(mib=3, ops=300), "8M", pvh,
                                                 **{"sched.mem.min": 0, "debug.reclaim": 200}))
    # The library that compresses uses vector registers: the guest's are its own all the time.
    yield dict(name="reclaim-keeps-vectors", forbid=(panic,), expect=(r"ZIP with AVX", r"WORKLOAD ok profile=zip"),
               config=host(**small_pages) + bare("g1", "zip", "8M", pvh, **{"sched.mem.min": 0, "debug.reclaim": 3}))
    # By command, while the guest works.
    yield dict(name="reclaim-command-compressed", forbid=(panic,), verdict="stopped", timeout=60,
               config=host(autostop="no", **small_pages) +
               bare("g1", workload(mib=48, ops=1000, wait=1, overwrite=1), "64M", pvh, **{"sched.mem.min": 0}),
               script=((r"\] WORKLOAD waiting", "\r"), *typed(prompt, "reclaim g1 4M"),
                       (r"g1: reclaimed 4\.\d MiB of 4\.0 in \d+ us: ", "\r"), (prompt, "memtop\r"), (r"g1: .*time=", "\r"),
                       *press(prompt, "g1", ENDED), (prompt, "poweroff\r")))

    # The same through a swap volume: pages that do not shrink, and objects for which the cache has no room.
    volume = Disk(name="swap", mib=96, partitions=(("swap", "swap", 80),))
    yield dict(name="reclaim-everything-swapped", forbid=(panic,), expect=(r"WORKLOAD ok",), disks=(volume,),
               config=host(**{**small_pages, "Mem.MemZipMaxPct": 5}) +
               bare("g1", workload(mib=3, ops=300), "8M", pvh, **{"sched.mem.min": 0, "debug.reclaim": 200}))
    yield dict(name="reclaim-command-swapped", forbid=(panic,), verdict="stopped", disks=(volume,), timeout=60,
               config=host(autostop="no", **small_pages) +
               bare("g1", workload(mib=48, ops=1000, wait=1, overwrite=1), "64M", pvh, **{"sched.mem.min": 0}),
               script=((r"\] WORKLOAD waiting", "\r"), *typed(prompt, "reclaim g1 30M"),
                       (r"g1: reclaimed (29\.[5-9]|3\d\.\d) MiB of 30\.0 in \d+ us: \d+ pages compressed, \d+ of one "
                        r"value, [1-9]\d* written to swap", "\r"), (prompt, "memtop\r"), (r"g1: .*time=", "\r"),
                       *press(prompt, "g1", ENDED), (prompt, "poweroff\r")))

    # Six guests on too little memory for two and a half of them, all techniques on: all finish, every byte verifies. (The
    # same in small, and with faults: reclaim_fault_cases.)
    yield dict(name="reclaim-six", memory=424, forbid=(panic,), expect=(r"(?:^g\d .*verdict ok(?:.|\n)*?){6}",),
               disks=(Disk(name="swap", mib=2100, partitions=(("swap", "swap", 2048),)),), timeout=900, long=True,
               config=host(**{"Mem.ShareForceSalting": 0}) + "".join(
                   bare(f"g{i}", workload(seed=i, mib=160, ops=4000), "256M", pvh, **{"sched.mem.min": 0})
                   for i in range(1, 7)))

    # Two Debian guests on two thirds of what they have together: pages of both are swapped and compressed, and come back.
    above = r" +(?!0\.0 )\d+\.\d"
    yield dict(name="reclaim-two-linux", memory=224, forbid=(panic, "WORKLOAD FAIL"), timeout=300, verdict="stopped",
               disks=(Disk(name="swap", mib=304, partitions=(("swap", "swap", 300),)),),
               config=host(autostop="no") + "".join(
                   vm(f"g{i}", workload(seed=i, mib=72, ops=1000), "144M", extra="bellows.halt=stay",
                      **{"sched.mem.min": 0}) for i in (1, 2)),
               script=((r"(\[g\d\] WORKLOAD ok[^\0]*?){2}", "\r"), *typed(prompt, "memtop"), (r"g2: .*time=", "\r"),
                       *typed(prompt, "poweroff")),
               expect=(*(rf"^g{i} +144\.0( +\S+){{9}}{above}( +\S+){{3}}{above} " for i in (1, 2)),
                       *(rf"^g{i} +\d+ +\d+\.\d +[1-9]\d* " for i in (1, 2))))
