"""A soak, as make soak and a short case run it: operations at random on guests that verify their memory, on a host that
is short of it. It ends when all guests are off: then every frame is accounted for and none of theirs is left, every
slot of the swap volume is free, nobody saw a wrong byte, nobody was stopped but who wanted it."""
import collections
import re
import time

import monitor
import monitor_cases
import soak_plan
from disk import Disk

HOST_MIB, HOST_MIB_WITH_LINUX = 128, 208
SWAP_MIB = 480
OPERATIONS = 60          # of the short one in make test
ANSWER_SECONDS, TRIES = 20.0, 4  # for one command; a slow machine has more
END_SECONDS = 180.0      # for all to have ended
KEEP = 1 << 16           # of the text: it is searched again and again
GUEST = re.compile(r"^(?:bellows> .*?)?\[([A-Za-z][\w.-]*)\] (.*)")
OWN = re.compile(r"\[ *\d+\.\d+\] (?:ERROR |WARN\w* )?([\w.-]+): (.*)")
# The hostile one says what it likes, and is stopped for what it does.
HOSTILE = "bad"
NOT_OF_A_GUEST = re.compile(r"WORKLOAD FAIL|[A-Z]+ FAIL\b|wrong=[1-9]|Kernel panic|Oops|general protection|(?<!watchdog: )BUG:")
NOT_OF_THE_HOST = re.compile(r"BELLOWS PANIC|NOT ALL|ABOVE")
VERIFIED = re.compile(r"WORKLOAD ok ")
EFFECTS = (
    ("started", r"started, "), ("reset", r"reset$"), ("stopped by command", r"powered off by command"),
    ("powered off", r"powered off$"), ("not started", r"not started: "), ("set", r"\S+ = .*, by command"),
    ("reclaimed", r"reclaimed "), ("scanned", r"scanned for sharing"), ("stopped for a reason", r"stopped: "))
EFFECTS = tuple((name, re.compile(pattern)) for name, pattern in EFFECTS)
THEIRS = ("tables", "private", "shared", "zcache", "orphan", "join")
# On Bochs: the control file's rules, by Operation.fault.
BOCHS_FAULTS = ("error 281 1", "corrupt 1", "garbage 1", "die", "stall 1", "lose 1")
# On QEMU a disk is slow or not: bytes a second, 0 is all it can. (Each fails once by itself: SWAP_ERRORS.)
QEMU_SPEEDS = (0, 0, 4 << 20, 8 << 20, 16 << 20, 32 << 20)
SWAP_ERRORS = '[set-state]\nevent = "flush_to_disk"\nstate = "1"\nnew_state = "2"\n' + "".join(
    f'[inject-error]\nevent = "{what}_aio"\niotype = "{what}"\nerrno = "5"\nstate = "2"\nonce = "on"\n'
    for what in ("read", "write"))


def config(plan, host, vm, bare, pvh):
    text = host(autostop="no", **{"Mem.ShareForceSalting": 1})
    for guest in plan.guests:
        keys = {"sched.mem.min": 0, "vcpus": guest.vcpus, "autostart": "no", **guest.keys}
        text += vm(guest.name, "soak", f"{guest.mib}M", **keys) if guest.linux else \
            bare(guest.name, "soak", f"{guest.mib}M", pvh, **keys)
    return text


def swap_disk():
    return Disk(name="swap", mib=SWAP_MIB + 4, partitions=(("swap", "swap", SWAP_MIB),), blkdebug=SWAP_ERRORS,
                faults="delay 20000\n")


class Watcher(monitor_cases.Talker):
    """`goes_on(operations done, seconds since the first)`: is there to be another?"""

    def __init__(self, machine, timeout, slow, plan, goes_on, trace=False):
        super().__init__(machine, timeout, slow, self._soak, ())
        self.plan, self.goes_on, self.trace = plan, goes_on, trace
        self.done = collections.Counter()
        self.effects = collections.Counter()
        self.verified = collections.Counter()
        self.parsed = self.number = 0
        self.has_ended_well = False

    # --- What is done, by a thread on the second serial line ---

    def _soak(self, line, slow):
        self._command("disk limits 2000 1000")
        begun, count = time.monotonic(), 0
        for operation in self.plan:
            if self.wrong or not self.goes_on(count, time.monotonic() - begun):
                break
            count += 1
            self._do(count, operation)
            time.sleep(operation.pause * (2 if slow > 1 else 1))
        self._end(END_SECONDS * slow)
        self.has_ended_well = True
        line.send({"command": "poweroff"})

    def _command(self, text):
        """What the command printed. A line whose end was lost on the way is not answered: then it goes again."""
        for _ in range(TRIES):
            self.number += 1
            # Who was silent for a while says hello first: README, "The second serial line".
            self.line.hello(ANSWER_SECONDS * self.slow)
            try:
                return self.line.command(text, ANSWER_SECONDS * self.slow, self.number)
            except monitor.Silence:
                continue
        raise TimeoutError(f"no answer to {text}, {TRIES} times")

    def _do(self, number, operation):
        self.done[operation.kind] += 1
        out = self._command(operation.command) if operation.command else self._disk_fault(operation.fault)
        if self.trace:
            print(f"{number} {operation.command or operation}: {out.strip()[:200]}", flush=True)

    def _disk_fault(self, fault):
        if self.machine.spec.target == "bochs":
            (self.machine.directory / "nvme.control").write_text(f"delay 20000\nafter 30 {BOCHS_FAULTS[fault]}\n")
        else:
            self.machine.monitor(f"block_set_io_throttle swap {QEMU_SPEEDS[fault]} 0 0 0 0 0")
        return ""

    def _until(self, end, command, holds):
        """The command is given until what it says is so."""
        while not holds(out := self._command(command)):
            if time.monotonic() > end:
                raise TimeoutError(f"{command} still says\n{out}")
            time.sleep(0.5)
        return out

    def _end(self, seconds):
        end = time.monotonic() + seconds
        self._disk_fault(0)
        for guest in self.plan.guests:
            self._command(f"stop {guest.name}")
        self._until(end, "vms", lambda out: not re.search(r"^\S+ +(running|starting) ", out, re.M))
        self._until(end, "frames", self._none_is_left)
        self._until(end, "swap", lambda out: re.search(r"^ +(\d+\.\d) MiB, \1 free, \1 in one piece", out, re.M))

    def _none_is_left(self, out):
        counts = {name: int(count) for name, count in re.findall(r"^([a-z ]+?) +(\d+) ", out, re.M)}
        monitor_cases.need("all accounted for" in out, out)
        return not any(counts[kind] for kind in THEIRS)

    # --- What is seen on the first one ---

    def _type(self):
        end = self.text.rfind("\n") + 1
        for line in self.text[self.parsed:end].splitlines():
            self._judge(line)
        self.parsed = end
        if self.parsed > 4 * KEEP:
            self.text = self.text[self.parsed - KEEP:]
            self.parsed = KEEP

    def _judge(self, line):
        said = GUEST.match(line)
        if said:
            if said[1] != HOSTILE and NOT_OF_A_GUEST.search(said[2]):
                self.wrong.append(line)
            self.verified[said[1]] += said[1] != HOSTILE and bool(VERIFIED.match(said[2]))
            return
        if NOT_OF_THE_HOST.search(line):
            self.wrong.append(line)
        own = OWN.search(line)
        for name, pattern in EFFECTS if own else ():
            if pattern.match(own[2]):
                self.effects[name] += 1
                if name == "stopped for a reason" and own[1] != HOSTILE:
                    self.wrong.append(line)

    def _is_late(self):
        # What went wrong has been said; where it stands is shown.
        return super()._is_late() or bool(self.wrong)

    def problems(self):
        lines = list(dict.fromkeys(super().problems()))
        if not lines and not self.has_ended_well:
            lines.append("it did not come to its end")
        if not lines and not sum(self.verified.values()):
            lines.append("no guest verified its memory")
        return lines

    def summary(self):
        def counted(counter):
            return ", ".join(f"{name} {count}" for name, count in sorted(counter.items()) if count) or "none"
        return (f"{sum(self.done.values())} operations: {counted(self.done)}\nwhat came of them: {counted(self.effects)}\n"
                f"guests that verified all their memory: {counted(self.verified)}")


def cases(host, vm, bare, panic, pvh):
    """A short one, always the same."""
    def watcher(machine, timeout, slow):
        return Watcher(machine, timeout, slow, soak_plan.Plan(1, False), lambda count, _: count < OPERATIONS)
    for target, cpus in (("qemu", None), ("bochs", 2)):
        yield dict(name="soak", config=config(soak_plan.Plan(1, False), host, vm, bare, pvh), targets=(target,), cpus=cpus,
                   memory=HOST_MIB, disks=(swap_disk(),), monitor=True, watcher=watcher, verdict="stopped", hostile=True,
                   forbid=(panic,), timeout=300)
