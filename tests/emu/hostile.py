"""A machine with one hostile VM, started again and again with the next seed, and neighbours whose
memory is verified meanwhile.

Watcher drives it by the console: "start bad seed=N" when the last run ended, "stop bad" when one hangs,
"start good" when a neighbour is through. At the end of its time it lets the neighbours finish, and
powers off. What went wrong stands in problems(), how the runs ended in `ends`.
"""
import collections
import re
import time

import session

NAME = "bad"
PATIENCE = 4.0            # seconds without a word; longer is a hang, which is the guest's right
ANSWER_SECONDS = 30.0     # for the hypervisor to do what it is told
KEEP = 1 << 16            # of the text: searching all of it again and again takes time
EVENT = re.compile(r"\] (?:ERROR )?([\w-]+): (started|stopped: .*|powered off.*|reset|not started: .*)", re.M)
REPORT = re.compile(r"\[([\w-]+)\] WORKLOAD (ok|FAIL)", re.M)
DEEDS = re.compile(r"HOSTILE deeds=(\d+)")
DEEDS_A_WORD = 20
READY = re.compile(r"CPUs? online")


def kind_of(end):
    """The end of a run without its numbers, for counting."""
    end = re.sub(r"^stopped: ", "", end)
    end = re.split(r"[:,]", end)[0]
    return re.sub(r"0x[0-9a-f]+|\d+", "#", end).strip()


class Watcher(session.Watcher):
    """`seconds`: how long new seeds are started, counted from the first start."""

    def __init__(self, machine, timeout, seed, seconds, neighbours, slow=1.0):
        super().__init__(machine, timeout)
        self.seed, self.first_seed = seed, seed
        self.seconds, self.slow = seconds, slow
        self.running = set()
        self.neighbours = list(neighbours)
        self.ok_runs = collections.Counter()
        self.ends = collections.Counter()
        self.starts = 0
        self.deeds = 0           # of all starts
        self.wrong = []
        self.begun = None        # when the hypervisor came up
        self.since = None        # when the hostile VM was started, or told to stop
        self.told_to_stop = False
        self.is_ending = False
        self.parsed = 0
        self.to_type, self.typed_at = b"", 0.0
        self.born, self.lifetime = 0.0, min(max(seconds / 6, 3.0), 30.0)

    def _tell(self, line):
        self.to_type += line.encode() + b"\r"

    def _type_some(self):
        """A few characters at a time: the hypervisor's serial line has room for 16, and is polled."""
        if self.to_type and time.monotonic() - self.typed_at > 0.05 * self.slow:
            self.machine.write(self.to_type[:8])
            self.to_type, self.typed_at = self.to_type[8:], time.monotonic()

    def _take(self, timeout):
        return super()._take(min(timeout, 0.02) if self.to_type else timeout)

    def _time_is_up(self):
        return time.monotonic() - self.begun > self.seconds

    def _take_event(self, name, what):
        if what == "started":
            self.running.add(name)
            if name == NAME:
                self.starts += 1
                self.since, self.told_to_stop = time.monotonic(), False
                self.born = self.since
        elif what == "reset":
            # The same seed from the beginning: no use.
            if name == NAME and not self.told_to_stop:
                self.ends["reset"] += 1
                self._stop()
        elif what.startswith("not started"):
            self.wrong.append(f"{name}: {what}")
        else:
            self.running.discard(name)
            if name == NAME:
                if not self.told_to_stop:
                    self.ends[kind_of(what)] += 1
                self.since = None
            elif not what.startswith("powered off"):
                self.wrong.append(f"the neighbour {name} was {what}")

    def _stop(self):
        self.told_to_stop, self.since = True, time.monotonic()
        self._tell(f"stop {NAME}")

    def _take_text(self):
        # Whole lines only.
        end = self.text.rfind("\n") + 1
        new = self.text[self.parsed:end]
        self.parsed = end
        self.deeds += DEEDS_A_WORD * sum(1 for number in DEEDS.findall(new) if number != "0")
        if f"[{NAME}]" in new and not self.told_to_stop and self.since:
            self.since = time.monotonic()
        found = [(m.start(), m) for m in EVENT.finditer(new)] + [(m.start(), m) for m in REPORT.finditer(new)]
        for _, match in sorted(found, key=lambda one: one[0]):
            if match.re is EVENT:
                self._take_event(match[1], match[2])
            elif match[1] != NAME:
                if match[2] == "ok":
                    self.ok_runs[match[1]] += 1
                else:
                    self.wrong.append(f"the neighbour {match[1]} found a wrong byte")
        if self.parsed > 4 * KEEP:
            self.text = self.text[self.parsed - KEEP:]
            self.parsed = KEEP

    def _type(self):
        if self.begun is None:
            if not READY.search(self.text):
                return
            self.begun = time.monotonic()
        self._type_some()
        self._take_text()
        now = time.monotonic()
        if self.wrong or self.is_ending:
            if not self.is_ending:
                self.is_ending = True
                self._tell("vms")
                self._tell("poweroff")
            return
        if NAME in self.running:
            if self.told_to_stop and now - self.since > ANSWER_SECONDS:
                self.wrong.append(f"seed {self.seed}: the hypervisor does not obey stop")
            elif not self.told_to_stop and now - self.since > PATIENCE * self.slow:
                self.ends["went on for ever"] += 1
                self._stop()
            elif not self.told_to_stop and now - self.born > self.lifetime:
                self.ends["had its time"] += 1
                self._stop()
        elif self.starts and not self._time_is_up() and self.since is None:
            self.seed += 1
            self.since = now
            self._tell(f"start {NAME} seed={self.seed}")
        elif self.since and now - self.since > ANSWER_SECONDS:
            self.wrong.append(f"seed {self.seed}: the hypervisor does not obey start")
        for name in self.neighbours:
            if self.ok_runs[name] and name not in self.running and not self._time_is_up():
                self.running.add(name)
                self._tell(f"start {name}")
        if self._time_is_up() and not self.running:
            self.is_ending = True
            self._tell("poweroff")

    def problems(self):
        """What must not have been, as lines."""
        lines = list(self.wrong)
        for name in self.neighbours:
            if not self.ok_runs[name]:
                lines.append(f"the neighbour {name} never verified its memory")
        if not self.is_ending:
            lines.append(f"the machine ended in the midst of it, with seed {self.seed}")
        if self.starts < 2:
            lines.append(f"the hostile VM was started {self.starts} times only")
        return lines

    def summary(self):
        runs = ", ".join(f"{name} {count}" for name, count in sorted(self.ok_runs.items()))
        ends = "\n".join(f"  {count:6} {end}" for end, count in self.ends.most_common())
        return (f"seeds {self.first_seed} to {self.seed}: {self.starts} starts, over {self.deeds} deeds; neighbours verified all their "
                f"memory: {runs or 'never'}\nthe hostile VM's ends:\n{ends}")
