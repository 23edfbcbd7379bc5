"""What a soak does: its guests, and operations one after the other, all of it drawn from a seed and from nothing else,
so that the seed alone brings the same sequence again. What an operation finds when its turn comes (is that VM on?)
is a matter of timing; an operation that does not apply is refused, and that is no error."""
import dataclasses
import random

LOOKS = ("vms", "memtop", "health", "memsched", "cpus", "frames", "swap", "disks", "balloon", "share", "set")
HOST_SETTINGS = (
    ("Mem.ShareForceSalting", lambda r: r.randint(0, 2)),
    ("Mem.ShareScanTime", lambda r: r.randint(1, 600)),
    ("Mem.ShareScanGHz", lambda r: r.choice((0, 4, 32))),
    ("Mem.ShareRateMax", lambda r: r.choice((0, 1024, 1000000))),
    ("Mem.IdleTax", lambda r: r.randint(0, 99)),
    ("Mem.SamplePeriod", lambda r: r.randint(1, 30)),
    ("Mem.BalancePeriod", lambda r: r.randint(1, 15)),
    ("Mem.MemMinFreePct", lambda r: r.choice((0, 5, 12, 20))),
    ("states", lambda r: r.choice(("sliding", "fixed"))),
)
VM_SETTINGS = (
    ("sched.mem.min", lambda r, mib: f"{r.choice((0, 0, mib // 8, mib // 4))}M"),
    ("sched.mem.max", lambda r, mib: f"{r.choice((mib // 2, mib * 3 // 4, mib, mib))}M"),
    ("sched.mem.shares", lambda r, mib: r.choice(("low", "normal", "high", "1", "100000"))),
    ("sched.mem.pshare.enable", lambda r, mib: r.choice(("yes", "yes", "no"))),
    ("sched.mem.pshare.salt", lambda r, mib: r.choice(("a", "b", '""'))),
)
# Of the disk: which of its faults, each to be got over without anybody's loss.
DISK_FAULTS = 6


@dataclasses.dataclass
class Guest:
    """`words(random)`: what is added to its command line when it is started."""
    name: str
    mib: int
    words: object
    vcpus: int = 1
    linux: bool = False
    keys: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Operation:
    kind: str
    command: str = ""        # for the console; none: the disk's fault `fault`
    fault: int = 0
    pause: float = 0.0       # afterwards, in seconds of a fast machine


def workload(mib, profile):
    return lambda r: (f"bellows.workload=profile={profile},mib={mib},ops={r.randint(2000, 60000)},seed={r.randint(1, 999)}"
                      f",overwrite={r.randint(0, 1)}")


def cpus(vcpus, pages):
    return lambda r: f"bellows.cpus=n={vcpus},pages={pages},rounds={r.randint(100, 1500)},sleep={r.choice((500, 5000))}"


def linux(r):
    return f"bellows.balloon bellows.workload=profile=mixed,mib=48,ops={r.randint(1000, 6000)},seed={r.randint(1, 999)}"


def guests(with_linux):
    alike = {"sched.mem.pshare.salt": "a"}
    yield Guest("w1", 40, workload(28, "mixed"), keys=alike)
    yield Guest("w2", 40, workload(28, "mixed"), keys=alike)
    yield Guest("u1", 32, workload(20, "unique"))
    yield Guest("c2", 24, cpus(2, 1024), vcpus=2, keys=alike)
    yield Guest("c4", 24, cpus(4, 512), vcpus=4, keys=alike)
    yield Guest("p1", 40, lambda r: f"bellows.pages=mib=24,seed={r.randint(1, 999)},idle={r.randint(0, 1)}")
    yield Guest("b1", 48, lambda r: "bellows.bare=" + r.choice(("balloon", "balloon-early")))
    yield Guest("r1", 32, lambda r: "bellows.roles=mib=16", vcpus=6)
    yield Guest("bad", 16, lambda r: f"bellows.hostile=ops=1500 seed={r.randint(1, 99999)}", vcpus=2)
    if with_linux:
        yield Guest("l1", 128, linux, vcpus=2, linux=True)


class Plan:
    """The operations of a seed, without an end."""

    def __init__(self, seed, with_linux):
        self.random = random.Random(seed)
        self.guests = list(guests(with_linux))
        self.kinds = (
            (30, self._start), (7, self._stop), (6, self._reset), (8, self._balloon), (7, self._set_host),
            (9, self._set_vm), (9, self._reclaim), (7, self._scan), (3, self._audit), (5, self._hide),
            (6, self._look), (5, self._disk))

    def __iter__(self):
        # All of them are there in the beginning.
        for guest in self.guests:
            yield self._start(guest)
        while True:
            draw, = self.random.choices([draw for _, draw in self.kinds], [weight for weight, _ in self.kinds])
            operation = draw(self.random.choice(self.guests))
            operation.pause = self.random.choice((0.0, 0.0, 0.1, 0.3, 1.0))
            yield operation

    def _start(self, guest):
        return Operation("start", f"start {guest.name} {guest.words(self.random)}")

    def _stop(self, guest):
        return Operation("stop", f"stop {guest.name}")

    def _reset(self, guest):
        return Operation("reset", f"reset {guest.name}")

    def _balloon(self, guest):
        # Mostly of those that have a driver.
        name = self.random.choice((guest.name, "b1", "b1", self.guests[-1].name))
        mib = next(one.mib for one in self.guests if one.name == name)
        return Operation("balloon", f"balloon {name} {self.random.choice(('off', f'{self.random.randint(1, mib)}M'))}")

    def _set_host(self, _):
        key, draw = self.random.choice(HOST_SETTINGS)
        return Operation("set", f"set {key} {draw(self.random)}")

    def _set_vm(self, guest):
        key, draw = self.random.choice(VM_SETTINGS)
        return Operation("set", f"set {guest.name} {key} {draw(self.random, guest.mib)}")

    def _reclaim(self, guest):
        return Operation("reclaim", f"reclaim {guest.name} {self.random.randint(1, guest.mib)}M")

    def _scan(self, guest):
        return Operation("scan", f"share scan now {self.random.choice((guest.name, 'all'))}")

    def _audit(self, _):
        return Operation("audit", "share audit")

    def _hide(self, guest):
        every = self.random.choice(("", "", " every 3000", " every 0"))
        return Operation("hide", f"hide {guest.name}{every}")

    def _look(self, guest):
        return Operation("look", self.random.choice((*LOOKS, f"why {guest.name}")))

    def _disk(self, _):
        return Operation("disk fault", fault=self.random.randrange(DISK_FAULTS))
