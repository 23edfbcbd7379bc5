"""Cases of the memory scheduler: who gets how much memory, and what is done about it in which state.

Each is a list of stages. Again and again "memsched" is typed, and its answer read; a stage ends when its condition
holds of an answer, and may type a line then. Conditions compare what the hypervisor says of memory and of its own
clock's seconds, never how long anything took on this machine."""
import re
import time

import session
from disk import Disk
from steps import said_by

ASK_SECONDS = 1.0                # between two answers
PUSH_EVERY = 2                   # answers, between two lines that push things on
ANSWER = re.compile(r"^memory is (\w+) for (\d+) s, [^\0]*?^NAME +PROMISED.*\n((?:(?!bellows> ).*\n)*)bellows> ", re.M)
BEGUN = re.compile(r"^  (\w+) +below .*begun (\d+) times", re.M)
DECISIONS = re.compile(r"; (\d+) decisions")
COLUMNS = "promised limit shares grant has active entitled balloon wanted zipped swapped blocks".split()


class Vm:
    """A VM's row of the answer; sizes in MiB."""

    def __init__(self, words):
        for column, value in zip(COLUMNS, words):
            setattr(self, column, float(value))
        self.out = self.zipped + self.swapped


class Answer:
    def __init__(self, match):
        self.state = match[1]
        self.begun = {state: int(count) for state, count in BEGUN.findall(match[0])}
        self.decisions = int(DECISIONS.search(match[0])[1])
        self.vms = {}
        for line in match[3].splitlines():
            words = line.split()
            # A guest's line may stand between.
            if len(words) > len(COLUMNS) and not line.startswith("["):
                self.vms[words[0]] = Vm(words[1:])

    def __getattr__(self, name):
        try:
            return self.__dict__["vms"][name]
        except KeyError:
            raise AttributeError(name) from None


class Watcher(session.Watcher):
    """`stages`: (what it is, condition of an answer and of this watcher, line to type then or None), and after these
    perhaps lines to be typed one after the other until the condition holds. `always`: (what it is, condition) that must hold of each answer once stage number `since` has been reached."""

    def __init__(self, machine, timeout, stages, always=(), since=0):
        super().__init__(machine, timeout)
        self.stages, self.always, self.since = list(stages), always, since
        self.stage = self.pushed = self.waited = 0
        self.asked_at = 0.0
        self.answered = True
        self.wrong = []
        self.memory = {}         # for conditions, of what they saw before
        self.decisions = 0

    def _holds(self, condition, answer):
        try:
            return condition(answer, self)
        except AttributeError:
            return False         # no such VM (yet)

    def _take_answer(self):
        found = ANSWER.search(self.text, self.seen)
        if not found:
            return
        self.seen = found.end() - len("bellows> ")
        self.answered = True
        answer = Answer(found)
        if self.stage >= self.since:
            self.wrong += [f"in stage {self.stage}: not {what}: {found[0]}" for what, condition in self.always
                           if not self._holds(condition, answer)]
        what, condition, line, *pushes = self.stages[self.stage]
        if self._holds(condition, answer):
            self.stage, self.pushed, self.waited = self.stage + 1, 0, 0
        else:
            line = self._push(pushes)
        if line:
            self._send(line)

    def _push(self, pushes):
        """The next of these lines, when the one before has had time to show."""
        self.waited += 1
        if self.pushed == len(pushes) or self.waited < PUSH_EVERY:
            return None
        self.pushed, self.waited = self.pushed + 1, 0
        return pushes[self.pushed - 1]

    def _type(self):
        while self.unsent and self.sent in self.text[self.sent_at:]:
            self._send(self.unsent)
        if self.unsent or "bellows> " not in self.text:
            return
        if not self.answered:
            self._take_answer()
        now = time.monotonic()
        if self.unsent or self.stage == len(self.stages):
            return
        # An answer that was lost is asked for again.
        if now - self.asked_at > (ASK_SECONDS if self.answered else 20):
            self.asked_at, self.answered = now, False
            self._send("memsched\r")

    def note_decisions(self, answer):
        """The first time: from here on it is counted."""
        self.decisions = self.decisions or answer.decisions
        return True

    def problems(self):
        if self.stage < len(self.stages):
            self.wrong.append(f"never came to stage {self.stage}: {self.stages[self.stage][0]}")
        return self.wrong


def said(text):
    return lambda answer, watcher: re.search(text, watcher.text, re.M)


def within(a, b, part):
    return abs(a - b) <= part * b


def steadily(condition, times=3):
    """... of so many answers in a row."""
    def count(answer, watcher):
        held = watcher.memory.get(condition, 0) + 1 if condition(answer, watcher) else 0
        watcher.memory[condition] = held
        return held >= times
    return count


def cases(host, bare, prompt, panic, pvh):
    unshared = {"sched.mem.pshare.enable": "no"}
    quick = {"autostop": "no", "Mem.BalancePeriod": 1, "Mem.SamplePeriod": 2, "Mem.AllocGuestLargePage": 0}
    volume = Disk(name="swap", mib=420, partitions=(("swap", "swap", 400),))
    bad = (panic, "PAGES FAIL", "BALLOON FAIL")

    def case(name, config, stages, always=(), since=0, **more):
        stages = (*stages, ("the end", lambda answer, watcher: True, "poweroff\r"))
        return dict(name=f"sched-{name}", config=config, verdict="stopped", forbid=bad, expect=("^powering off",),
                    watcher=lambda machine, timeout, slow: Watcher(machine, timeout, stages, always, since),
                    **{"timeout": 600, "disks": (volume,), **more})

    def pages(name, mib, memory, seed, idle=0, **more):
        return bare(name, f"pages=mib={mib},seed={seed},idle={idle}", memory, pvh, **unshared, **more)

    # A limit holds though memory is free; it can be changed, and then that one holds.
    yield case("limit", host(**quick) + pages("g1", 40, "64M", 1, **{"sched.mem.max": "24M"}), (
        ("it has been round", said(r"\[g1\] PAGES round 1"), None),
        ("what is above the limit is out", lambda a, w: a.g1.out > 14, "set g1 sched.mem.max 64M\r"),
        ("all is in memory again", lambda a, w: a.g1.out == 0 and a.g1.has > 40, "set g1 sched.mem.max 30M\r"),
        # Asked at once: later entries drive this one out.
        ("what is above that one goes", lambda a, w: a.g1.limit == 30 and a.g1.out > 0, "why g1\r"),
        ("why that is so is told", said(r"above its limit \(memory was high\): evict, \d+\.\d MiB\n[^\0]*?s ago went: "), None),
        ("it has no more", steadily(lambda a, w: 28 < a.g1.has <= 31 and a.g1.out > 8), "why g1\r"),
        ("what its faults gave up for what they got is told",
         said(r"in exchange for pages that it got \(memory was high\): evict, [1-9]\d*\.\d MiB\n[^\0]*?s ago went: "), None,
         *["why g1\r"] * 5)),
        always=(("memory is free", lambda a, w: a.state == "high"),
                ("within its limit", lambda a, w: "g1" not in a.vms or a.g1.has <= a.g1.limit + 1 or w.stage > 2)))

    # Twice the shares are twice the memory where all want more than there is, and a reservation holds beside them,
    # that of who has almost no share.
    yield case("shares-and-reservation", host(**{**quick, "Mem.SamplePeriod": 180}) +
               pages("a1", 76, "84M", 1, **{"sched.mem.shares": 1000}) +
               pages("b1", 76, "84M", 2, **{"sched.mem.shares": 2000}) +
               pages("r1", 60, "68M", 3, **{"sched.mem.shares": 1, "sched.mem.min": "40M"}), (
        ("all have filled their memory", lambda a, w: all(re.search(rf"\[{g}1\] PAGES works", w.text) for g in "abr"), None),
        ("twice is twice", steadily(lambda a, w: within(a.b1.has, 2 * a.a1.has, 0.05) and a.r1.out > 10, 4), None)),
        always=(("its reservation", lambda a, w: a.r1.has >= 39.5),), since=1, memory=160)

    def reserved(name, mib):
        return bare(name, "pages=mib=1,idle=1", f"{mib}M", pvh, autostart="no", **unshared,
                    **{"sched.mem.min": f"{mib}M"})

    # Who lets memory lie idle is taxed: when there is too little, the other keeps all that it uses, where equal parts
    # would leave both with less than that. When it wakes it soon has its part again.
    yield case("idle-tax", host(**{**quick, "Mem.SamplePeriod": 1}) + pages("i1", 60, "68M", 1, idle=1) +
               pages("w1", 60, "68M", 2) + reserved("x1", 40), (
        ("one works, one is known to be idle", lambda a, w: a.w1.active > 50 and a.i1.active < 12 and a.i1.has > 59 and
         re.search(r"\[i1\] PAGES rests", w.text), "start x1\r"),
        # Who waits for each page that it touches uses all of them in a longer time only.
        ("the idle one pays", steadily(lambda a, w: a.i1.out > 18 and a.w1.out < 3), "set Mem.SamplePeriod 60\r"),
        ("samples take longer", said(r"Mem\.SamplePeriod = 60, by command"), "console i1\rx\x1d"),
        ("it is awake", lambda a, w: w.note_decisions(a) and re.search(said_by("i1", "PAGES works"), w.text, re.M), None),
        ("it has its part", lambda a, w: a.i1.has >= 0.85 * a.w1.has, None),
        ("that was soon", lambda a, w: a.decisions - w.decisions < 120, None)), memory=160, long_on=("bochs",))

    # Each state, entered by VMs whose memory is reserved, and left; with its techniques and no others.
    steps = [f"e{i}" for i in range(1, 10)]
    yield case("states", host(**{**quick, "Mem.MemMinFreePct": 20}) + bare("t1", "balloon", "64M", pvh, **unshared) +
               pages("w1", 40, "48M", 1, idle=1) + "".join(reserved(name, 8) for name in steps) + reserved("x1", 22) +
               reserved("x2", 31), (
        ("memory is high, and all have what they use", lambda a, w: a.state == "high" and a.t1.has > 60 and a.w1.has > 40 and
         re.search(r"\[w1\] PAGES rests", w.text) and re.search(r"t1: balloon driver", w.text), None),
        ("in clear nothing is taken", steadily(lambda a, w: a.state == "clear" and a.t1.balloon + a.t1.wanted + a.t1.out +
                                               a.w1.out == 0, 2), None, *(f"start {name}\r" for name in steps)),
        ("in soft one with tools is asked, one without is evicted from",
         lambda a, w: a.begun["soft"] and a.t1.balloon > 0 and a.t1.out == 0 and a.w1.out > 0, None,
         *(f"start {name}\r" for name in reversed(steps))),
        ("soft is left, and none was worse", lambda a, w: a.state in ("clear", "high") and not a.begun["hard"],
         "start x1\r"),
        ("hard, and left", lambda a, w: a.begun["hard"] and a.state in ("clear", "high") and not a.begun["low"],
         "start x2\r"),
        ("low, where who has too much stands still, and left",
         lambda a, w: a.begun["low"] and a.w1.blocks + a.t1.blocks > 0 and a.state not in ("low", "hard"), None),
        ("with memory there again it is high", lambda a, w: a.state == "high", None,
         "stop x2\r", "stop x1\r"),
        ("with nothing reserved any more the balloon is let out", said(r"\[t1\] WORKLOAD ok profile=balloon"), None,
         *(f"stop {name}\r" for name in ("x1", *steps))),
        ("what was out is back before it is used", lambda a, w: a.w1.out == 0, "console w1\rx\x1d"),
        ("with all its bytes", said(said_by("w1", "PAGES round 1")), None)), memory=192, long_on=("bochs",))

    # A VM may begin with less than its memory: its balloon takes the rest; who has no tools is kept to what it was
    # granted, which grows while memory is free.
    yield case("startup", host(**quick) + bare("t1", "balloon-early", "64M", pvh, **unshared, **{"memory.startup": "24M"}) +
               pages("g1", 48, "64M", 1, **{"memory.startup": "24M"}), (
        ("the balloon takes the rest", lambda a, w: a.t1.grant == 24 and a.t1.balloon >= 39 and a.t1.out == 0, None),
        ("what is granted grows with what is used", lambda a, w: a.g1.grant >= 48 and a.g1.has > 48, None),
        ("it has all that it uses", lambda a, w: a.g1.out == 0 and re.search(r"\[g1\] PAGES round 1", w.text), None)),
        always=(("granted", lambda a, w: "g1" not in a.vms or a.g1.has <= a.g1.grant + 1),), memory=256)

    # What cannot be is said, and that VM does not start; the others do.
    def refused(name, **claims):
        return bare(name, "ok", "40M", pvh, **{key.replace("_", "."): value for key, value in claims.items()})
    yield dict(
        name="sched-refusals", memory=192, verdict="failed", forbid=(panic,),
        config=host() + refused("limit", sched_mem_min="32M", sched_mem_max="24M") +
        refused("maximum", memory_min="48M") + refused("shares", sched_mem_shares="0") +
        bare("sum1", "ok", "120M", pvh, **{"sched.mem.min": "120M"}) +
        bare("sum2", "ok", "120M", pvh, **{"sched.mem.min": "120M"}) + bare("good", "ok", "16M", pvh),
        expect=(r"conf:\d+: sched\.mem\.max is 24 MiB; allowed is from sched\.mem\.min \(32\) to memory \(40\)",
                r"conf:\d+: memory\.min is 48 MiB, more than memory\.startup of 40 MiB",
                r"conf:\d+: sched\.mem\.shares = 0: allowed is low, normal, high, or a number from 1 to 1000000000",
                r"conf:\d+: sched\.mem\.min is 120 MiB, and the VMs before leave \d+ of the host's \d+",
                r"sum2: not started: it needs \d+ MiB \(120 promised of its 120, \d+ overhead\), and \d+ MiB of the "
                r"host's \d+ are unpromised", r"^good .*verdict ok"))
