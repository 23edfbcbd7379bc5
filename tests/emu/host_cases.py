"""Cases of the hypervisor itself: what its panics say, that it sleeps when nothing is to do, that it divides
the CPU evenly."""
import re

IDLE = re.compile(r"^ +0 +\d+ online +(\d+) ms", re.M)
CPU_TIME = re.compile(r"^g1 +running .* (\d+) ms", re.M)
OPS = re.compile(r"WORKLOAD ok .* ops=(\d+)")
SLEEP_MS = 3000


def nearly_all_idle(text):
    """A guest that sleeps costs next to nothing, and meanwhile the host's CPU is halted."""
    idle, used = [int(ms) for ms in IDLE.findall(text)], [int(ms) for ms in CPU_TIME.findall(text)]
    if len(idle) != 2 or len(used) != 2:
        return [f"not two tables each: {idle}, {used}"]
    problems = []
    # How much of its sleep lies between the two looks depends on when they are typed.
    slept = idle[1] - idle[0]
    if slept < SLEEP_MS // 4:
        problems.append(f"idle for {slept} ms only of {SLEEP_MS}")
    if used[1] - used[0] > slept // 10:
        problems.append(f"the sleeping guest was given {used[1] - used[0]} ms, beside {slept} ms idle")
    return problems


def nearly_equal(text):
    """Two guests with the same to do in the same time got equally far."""
    done = [int(ops) for ops in OPS.findall(text)]
    if len(done) != 2:
        return [f"not two reports: {done}"]
    return [] if min(done) * 10 >= max(done) * 8 else [f"unequal: {done}"]


def cases(host, vm, bare, prompt, panic):
    alone = host(autostop="no")
    trace = r"rax=[0-9a-f]{16}(?:.|\n)*backtrace:\n(?:.|\n)*"

    def crash(name, how, expect):
        return dict(name=f"panic-{name}", config=alone, verdict="panic", expect=expect,
                    script=((r"try help", "\r"), (prompt, f"crash{how}\r")))

    yield crash("by-command", "", (panic + ": asked for", r"VM in progress: none", r"cr0=[0-9a-f]{16}",
                                   r"^backtrace:\n.* command_crash\+", r"^halted\."))
    # The page below the stack is not mapped; the double fault has a stack of its own.
    yield crash("stack-overflow", " stack", (panic + r": #DF", trace + r"exhaust_stack\+", r"^halted\."))
    yield crash("write-to-code", " text", (panic + r": #PF.* write of ffffffff8", trace + r"command_crash\+",
                                           r"^halted\."))
    # QEMU alone has a button for it.
    yield dict(name="panic-nmi", config=alone + bare("g1", "spin"), verdict="panic", targets=("qemu",),
               expect=(panic + r": NMI", r"VM in progress: g1", r"^backtrace:\n", r"^halted\."),
               script=((r"\[g1\] BELLOWS-GUEST up", lambda machine: machine.monitor("nmi")),))

    # (Page sharing would scan it meanwhile.)
    sleeper = vm("g1", "action=sleep", extra="bellows.halt=stay", sched__mem__pshare__enable="no")
    yield dict(name="sleeping-guest", config=alone + sleeper, verdict="stopped", check=nearly_all_idle,
               forbid=(panic,), expect=(r"^powering off",),
               script=((r"\[g1\] ACTION sleeping", "\r"), (prompt, "cpus\r"), (r"online", "\r"), (prompt, "vms\r"),
                       (r"g1 +running", None), (r"\[g1\] ACTION sleep ok", "\r"), (prompt, "cpus\r"), (r"online", "\r"),
                       (prompt, "vms\r"), (r"g1 +running", "\r"), (prompt, "poweroff\r")))
    yield dict(name="fair-slices", check=nearly_equal, forbid=(panic,), config=host() + "".join(
        bare(f"g{i}", f"workload=profile=unique,mib=4,seconds=4,seed={i}", "16M") for i in (1, 2)))
