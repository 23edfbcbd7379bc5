"""Cases of the second serial line: every request is answered, nonsense too; who never reads disturbs nobody."""
import re
import threading
import time

import monitor
import session
from disk import Disk

HELLO_SECONDS, ANSWER_SECONDS = 120, 60
GARBAGE = (
    (b"\x00\xff\x1b[31m\x80 no JSON at all\n", "not a JSON object"),
    (b"{" * 300 + b"\n", "key in quotes"),
    (b"x" * 600 + b"\n", "at most 512 bytes"),
    (b'{"command":"vms","colour":1}\n', "unknown key"),
    (b'{"subscribe":"everything"}\n', '"stats"'),
    (b'{"subscribe":"stats","period_ms":1}\n', "from 100 to 60000"),
    (b'{"command":"vms"\n', "separated"),
)


class Talker(session.Watcher):
    """A watcher that runs `talk(line, slow)` in a thread beside it, once the hypervisor answers."""

    def __init__(self, machine, timeout, slow, talk, script):
        super().__init__(machine, timeout, script)
        self.wrong = []
        self.line = None
        self.slow = slow
        self.talk = talk
        self.thread = threading.Thread(target=self._talk, daemon=True)

    def _talk(self):
        try:
            # Open to the end: what a client that hangs up has sent last may be lost with it.
            self.line = monitor.Line(self.machine)
            self.line.hello(HELLO_SECONDS * self.slow)
            self.talk(self.line, self.slow)
        except Exception as problem:  # whatever it is, the case has failed
            self.wrong.append(f"on the second line: {problem!r}")
            self.deadline = time.monotonic()

    def run(self):
        self.thread.start()
        return super().run()

    def problems(self):
        self.thread.join(5)
        return self.wrong + (["the second line is still being waited for"] if self.thread.is_alive() else [])


def need(holds, what):
    if not holds:
        raise AssertionError(what)


def is_sound(host, vms, names):
    """A sample is complete, and its numbers agree with each other."""
    need([one["name"] for one in vms] == names, f"VMs: {vms}")
    need(0 < host["free_bytes"] < host["memory_bytes"], f"host: {host}")
    need(host["state"] == "high", f"host: {host}")
    for one in vms:
        need(one["consumed_bytes"] <= one["granted_bytes"] <= one["memory_bytes"], f"VM: {one}")


def talk_sense(line, slow):
    wait = ANSWER_SECONDS * slow
    for number, command in enumerate(("help", "memtop", "health", "vms", "nonsense", "console g1"), 2):
        out = line.command(command, wait, number)
        wanted = {"help": "memtop", "memtop": "SHRDSVD", "health": "health: awesome", "vms": "g1",
                  "nonsense": "unknown command", "console g1": "who sits at the terminal"}[command]
        need(wanted in out, f"{command}: {out}")
    for data, reason in GARBAGE:
        line.hello(wait)
        answer = line.request(data, ("error",), wait)
        need(reason in answer["error"], f"{data[:40]}: {answer}")
    line.request({"subscribe": "stats", "period_ms": 200}, ("ok",), wait)
    first, vms = line.sample(wait)
    is_sound(first, vms, ["g1", "g2"])
    second, vms = line.sample(wait)
    is_sound(second, vms, ["g1", "g2"])
    need(second["seq"] == first["seq"] + 1 and second["time_ms"] > first["time_ms"], f"{first} {second}")
    need(line.request({"unsubscribe": "stats", "id": "end"}, ("ok",), wait)["id"] == "end", "the id of an answer")
    need(line.command("stop g2", wait) is not None, "stop")
    need("powered off by command" in line.command("log", wait), "the log does not tell of it")
    line.request({"subscribe": "stats", "period_ms": 100}, ("ok",), wait)
    off = line.sample(wait)[1][1]
    need(off["state"] == "off" and off["granted_bytes"] == off["consumed_bytes"] == off["overhead_bytes"] == 0 and
         off["exits"] > 0, f"g2 is off: {off}")
    need("powering off" in line.request({"command": "poweroff"}, ("output",), wait)["text"], "no last words")


def swap_and_see(line, slow):
    """While pages are reclaimed by command, health and samples tell of it, and of nobody else."""
    wait = ANSWER_SECONDS * slow
    line.request({"subscribe": "stats", "period_ms": 100}, ("ok",), wait)
    swapped = 0
    while swapped < 1000:
        line.command("reclaim g1 4M", wait)
        g1 = line.sample(wait)[1][0]
        swapped = g1["swapped_out"]
    need(g1["swapped_bytes"] > 1 << 20 and g1["zipped"] > 0, f"{g1}")
    told = line.command("why g1", wait)
    need(re.search(r"^ +\d+ s ago for \d+ s: by command \(memory was high\): evict, 4\.0 MiB$(.|\n)*"
                   r"^ +from \d+ to \d+ s ago went: \d+\.\d MiB compressed, \d+\.\d swapped, ", told, re.M), told)
    line.request({"unsubscribe": "stats"}, ("ok",), wait)
    # A slow machine may have been at it for more than a minute.
    while not (found := re.search(r"^g1: (hmm: swaps|oops: sustained swapping), for \d+ s: .*(raise|lower)",
                                  (out := line.command("health", wait)), re.M)):
        line.command("reclaim g1 64K", wait)
    grade = found[1].split(":")[0]
    need(re.search(rf"^g2: awesome: nothing is taken from it$(.|\n)*^health: {grade}$", out, re.M), out)
    need("nothing was ever taken" in line.command("why g2", wait), "why g2")
    # However much was taken by now, it has more than this.
    line.command(f"set g1 sched.mem.max {max(g1['consumed_bytes'] >> 21, 1)}M", wait)
    while not re.search(r"^ +\d+ s ago for \d+ s: above its limit \(memory was high\): evict, \d+\.\d MiB$",
                        line.command("why g1", wait), re.M):
        pass
    need('no VM is called "g9"' in line.command("why g9", wait), "why g9")
    line.request({"command": "poweroff"}, ("output",), wait)


def never_read(line, ended, slow):
    """More is asked for than all buffers hold, and nothing is read until the guest has ended."""
    line.send({"subscribe": "stats", "period_ms": 100})
    for _ in range(80):
        line.send({"command": "log"})
        line.send({"command": "help"})
    need(ended.wait(ANSWER_SECONDS * 4 * slow), "the guest did not end")
    while not line.read_type(("done",), ANSWER_SECONDS * slow)["dropped"]:
        pass
    while not line.read_type(("host",), ANSWER_SECONDS * slow)["dropped"]:
        pass
    line.send({"command": "poweroff"})


def cases(host, bare, workload, prompt, panic, pvh):
    # Nobody types at the first line; the second does it all.
    yield dict(name="monitor", monitor=True, forbid=(panic,), verdict="stopped",
               expect=("g1: powered off with the host",),
               config=host(autostop="no") + bare("g1", "spin", kernel=pvh) + bare("g2", "spin", kernel=pvh),
               watcher=lambda machine, timeout, slow: Talker(machine, timeout, slow, talk_sense, ()))

    # (The other VM keeps an emulator from skipping time.)
    yield dict(name="monitor-health", monitor=True, forbid=(panic,), verdict="stopped", timeout=300,
               expect=("g1: reclaimed",),
               config=host(autostop="no", **{"Mem.AllocGuestLargePage": 0}) +
               bare("g1", workload(mib=48, ops=1000, wait=1, overwrite=1), "64M", pvh, **{"sched.mem.min": 0}) +
               bare("g2", "spin", kernel=pvh),
               disks=(Disk(name="swap", mib=128, partitions=(("swap", "swap", 112),)),),
               watcher=lambda machine, timeout, slow: Talker(machine, timeout, slow, swap_and_see, ()))

    # Meanwhile the console answers, and a guest verifies. (Bochs itself would wait for a terminal that is not read.)
    def deaf(machine, timeout, slow):
        ended = threading.Event()
        script = ((r"\[g1\] WORKLOAD ok", "\r"), (prompt, "vms\r"), (r"g1 +off", lambda _: ended.set()))
        return Talker(machine, timeout, slow, lambda line, slow: never_read(line, ended, slow), script)
    yield dict(name="monitor-never-read", monitor=True, forbid=(panic,), verdict="stopped", targets=("qemu",),
               expect=(r"WORKLOAD ok", r"g1 +off"), watcher=deaf,
               config=host(autostop="no") + bare("g1", workload(mib=8, ops=40000), "16M", pvh))
