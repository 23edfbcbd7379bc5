"""Cases of memory that is short: pages compressed and swapped by command, because there is too little for all,
and at every chance; every guest verifies every byte."""
import re


def typed(prompt, line):
    """Steps that type a line at the prompt, in pieces that a serial line's FIFO holds."""
    pieces = [line[at:at + 12] for at in range(0, len(line), 12)]
    return tuple(zip((prompt, *(re.escape(piece) for piece in pieces)), (*pieces, "\r")))


def cases(host, vm, bare, workload, prompt, panic, pvh):
    small_pages = {"Mem.AllocGuestLargePage": 0}

    # Everything that no vCPU needs just now goes at every 50th exit, and the guest still finishes.
    yield dict(name="reclaim-everything-compressed", forbid=(panic,), expect=(r"WORKLOAD ok",),
               config=host(**small_pages) + bare("g1", workload(mib=3, ops=300), "8M", pvh,
                                                 **{"sched.mem.min": 0, "debug.reclaim": 200}))
    # By command, while the guest works.
    yield dict(name="reclaim-command-compressed", forbid=(panic,), verdict="stopped", timeout=60,
               config=host(autostop="no", **small_pages) +
               bare("g1", workload(mib=48, ops=1000, wait=1, overwrite=1), "64M", pvh, **{"sched.mem.min": 0}),
               script=((r"\] WORKLOAD waiting", "\r"), *typed(prompt, "reclaim g1 4M"),
                       (r"g1: reclaimed 4\.\d MiB of 4\.0 in \d+ us: ", "\r"), (prompt, "memtop\r"),
                       (prompt, "console g1\r"), (r"-- g1: its last output", "x\x1d"), (r"detached from g1", "\r"),
                       (r"\] WORKLOAD ok", "\r"), (prompt, "poweroff\r")))
