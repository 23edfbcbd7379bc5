"""Cases of six guests on memory for two thirds of them, with sharing, a balloon, compression and swap at once, and of a
disk that fails meanwhile: what is transient nobody notices; who lost a page is stopped, with the reason, and everybody
else verifies every byte. Afterwards every frame and every slot is accounted for.

g1's swap file is on one disk, those of g2 to g5 on another; what of g6 is not in its balloon is reserved.
On QEMU the disks are two controllers, on Bochs two namespaces of one."""
import re

import swap_volume
from disk import Disk
from steps import press, typed

MIB = 1 << 20
NAMES = tuple(f"g{i}" for i in range(1, 6))
# What such a guest runs in, and where the first file of a volume begins.
MEMORY_MIB = 44
SLOTS_AT = swap_volume.START + 4096
# From the flush on that ends the making of the volume.
WHEN_MADE = '[set-state]\nevent = "flush_to_disk"\nstate = "1"\nnew_state = "2"\n'
FAILS = '[inject-error]\nevent = "{0}_aio"\niotype = "{0}"\nerrno = "5"\nstate = "2"\n'
ONCE = 'once = "on"\n'
DELAY = "delay 20000\n"
UNREADABLE = f"unreadable 1 {SLOTS_AT // 512} {MEMORY_MIB * MIB // 512}\n"
BAD_IS_FREE, GOOD_IS_FREE = (rf"\({disk}\): ready\n +{size}, {size[:-4]} free, {size[:-4]} in one piece"
                             for disk, size in (("bad", r"47\.9 MiB"), ("good", r"199\.9 MiB")))
# The one that gives a reset is the last but for those that wait for a time limit.
TRANSIENT = "".join(f"after 20 {fault}\n" for fault in ("error 281 2", "corrupt 1", "garbage 1", "die", "stall 1", "lose 1"))


def all_of(*patterns):
    """To be waited for: that all of these have been seen, in any order."""
    compiled = [re.compile(pattern, re.M) for pattern in patterns]
    return lambda text: all(pattern.search(text) for pattern in compiled)


def ended(*names):
    return all_of(*(rf"\[ *\d+\.\d+\] (ERROR )?{name}: (powered off|stopped: )" for name in names))


def spoil_first_file(disk):
    """A step of a script: a bit of each slot of the volume's first file is another, on the disk."""
    def spoil(machine):
        path, = (path for path in machine.disk_paths if path.stem == disk)
        with open(path, "r+b") as image:
            for at in range(SLOTS_AT, SLOTS_AT + MEMORY_MIB * MIB, 4096):
                image.seek(at + 1234)
                byte = image.read(1)[0]
                image.seek(at + 1234)
                image.write(bytes([byte ^ 0x10]))
    return spoil


def control(text):
    return lambda machine: (machine.directory / "nvme.control").write_text(text)


def still(disk, bytes_a_second):
    """A step of a script, for QEMU: the disk moves so much and no more; 0: all it can."""
    return lambda machine: machine.monitor(f"block_set_io_throttle {disk} {bytes_a_second} 0 0 0 0 0")


def cases(host, bare, workload, prompt, panic, pvh):
    some, lost = r"[1-9]\d*", "stopped .*the contents of one of its pages were lost"
    config = host(**{"autostop": "no", "Mem.ShareForceSalting": 0}) + "".join(
        bare(name, workload(seed=seed, mib=28, ops=800, wait=1), f"{MEMORY_MIB}M", pvh,
             **{"sched.mem.min": 0, "sched.swap.dir": "bad" if name == "g1" else "good"})
        for seed, name in enumerate(NAMES, 1)) + \
        bare("g6", "balloon", "24M", pvh, **{"sched.mem.min": "20M", "sched.swap.dir": "good"})

    # ... and get a fresh prompt.
    def step(wait, do):
        return (wait, do), ("", "\r")

    def press_all(names):
        return (step for name in names for step in press(prompt, name))

    def case(name, target, faults=("", ""), waiting=NAMES, goes_wrong=(), pressed=NAMES, disks=(), swap=(), **verdicts):
        verdicts = {**dict.fromkeys((*NAMES, "g6"), "ok "), **verdicts}
        return dict(
            name=f"reclaim-six-{name}", config=config, targets=(target,), memory=112, forbid=(panic,),
            verdict="stopped", timeout=150, disks=tuple(
                Disk(name=disk, mib=mib + 4, partitions=((disk, "swap", mib),),
                     **{"blkdebug" if target == "qemu" else "faults": fault})
                for disk, mib, fault in (("bad", 48, faults[0]), ("good", 200, faults[1]))),
            script=(
                (all_of(r"g6: balloon driver", *(rf"\[{one}\] WORKLOAD waiting" for one in waiting)), "\r"),
                *typed(prompt, "balloon g6 4M"), (all_of(r"\[g6\] BALLOON size=1024"), "\r"),
                *typed(prompt, "reclaim g2 8M"), (r"g2: reclaimed", "\r"), *typed(prompt, "memtop"),
                (r"g6: .*time=", "\r"), *typed(prompt, "disk limits 2000 1000"), (r"its abort 1000 ms", "\r"),
                *goes_wrong, *press_all(pressed), (ended(*NAMES), "\r"), *typed(prompt, "disks"),
                (r"requests: ", "\r"),
                *typed(prompt, "balloon g6 off"), (ended("g6"), "\r"), *typed(prompt, "swap"),
                (r"\(bad\)(.|\n)*\(good\).*\n.*\n", "\r"), *typed(prompt, "frames"), (r"accounted for", "\r"),
                *typed(prompt, "vms"), (r"^g6 .*$", "\r"), *typed(prompt, "poweroff")),
            # Compressed and swapped, shared (whoever's are), ballooned.
            expect=(rf"g2: reclaimed .*: {some} pages compressed, \d+ of one value, {some} written to swap",
                    r"^g\d +44\.0 +\S+ +\S+ +(?!0\.0 )\d", r"^g6 +24\.0( +\S+){6} +4\.0 +4\.0 +4\.0 ", *disks,
                    r"\[g6\] WORKLOAD ok profile=balloon .*wrong=0", *swap, r"^total .*: all accounted for",
                    *(rf"^{one} .* {verdict}" for one, verdict in verdicts.items())))


    # What a second try mends.
    once = WHEN_MADE + "".join(FAILS.format(what) + ONCE for what in ("read", "write"))
    yield case("transient-faults", "qemu", (once, once), pressed=NAMES[1:], goes_wrong=(
        *step(prompt, still("bad", 1)), *press(prompt, "g1"),
        *step(r"nvme0: reset: a request is not answered", still("bad", 0))),
        disks=(rf" 0 failed; commands: {some} retried, {some} late", rf" 0 failed; commands: {some} retried"),
        swap=(BAD_IS_FREE, GOOD_IS_FREE))
    yield case("transient-faults", "bochs", (DELAY, ""), goes_wrong=step(prompt, control(DELAY + TRANSIENT)), disks=(
        rf" 0 failed; commands: {some} retried, {some} late, {some} aborted; 2 resets, 1 senseless",),
        swap=(BAD_IS_FREE, GOOD_IS_FREE))

    # g1's pages cannot be read (it is stopped soon), and of g2's each has a wrong bit.
    for target, faults in (("qemu", WHEN_MADE + FAILS.format("read")), ("bochs", DELAY + UNREADABLE)):
        yield case("lost-pages", target, (faults, ""), waiting=NAMES[1:], goes_wrong=step(prompt, spoil_first_file("good")),
                   pressed=NAMES[1:], g1=lost, g2=lost, swap=(
                       BAD_IS_FREE, rf" {some} failed; \d+ read again, 0 corrupt",
                       GOOD_IS_FREE, rf" 0 failed; {some} read again, {some} corrupt"))

    # Nothing is answered any more: each request is tried three times, with a reset after each; on Bochs the controller is
    # dead for good.
    yield case("dead-disk", "qemu", pressed=NAMES[1:], goes_wrong=(
        *step(prompt, still("bad", 1)), *press(prompt, "g1"), *step(r"g1: stopped", still("bad", 0))), g1=lost,
        disks=(rf"serial bad, .*\n(?:.*\n){{1,2}} +requests: \d+ done, {some} failed; .* [3-9] resets",), swap=(
            r"\(bad\): (ready\n.* 47\.9 in one piece|its disk is dead)", GOOD_IS_FREE))
    yield case("dead-disk", "bochs", (DELAY, ""), goes_wrong=step(prompt, control("after 20 dead\n")),
               disks=(r": dead: ",), swap=(r"\(bad\): its disk is dead", r"\(good\): its disk is dead"),
               **dict.fromkeys(NAMES, rf"(ok |{lost})"))
