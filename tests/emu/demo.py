"""make run's live table and its report: what the second serial line tells of the run, over time.

A thread keeps the line and the samples. The table stands above the console on a terminal with room for both,
else is printed now and then; the report is text, and an SVG with each VM's memory by technique over time.
"""
import html
import re
import sys
import threading
import time

import monitor

PERIOD_MS = 1000
RENEW_SECONDS = 20
PRINT_SECONDS = 20
SAMPLES_MOST = 4000
MIB = 1 << 20
PAGE = 4096
# What a VM's memory is, from the bottom of its picture: (name, its bytes in a sample, colour).
TECHNIQUES = (
    ("private", lambda vm: vm["consumed_bytes"] - (vm["shared_bytes"] - vm["shared_saved_bytes"]), "#1f6f8b"),
    ("shared", lambda vm: vm["shared_bytes"], "#6aa84f"),
    ("balloon", lambda vm: vm["balloon_bytes"], "#e0a030"),
    ("compressed", lambda vm: vm["zipped_bytes"], "#a64d79"),
    ("swapped", lambda vm: vm["swapped_bytes"], "#b03a2e"),
)
STATES = {"high": "#dff0d8", "clear": "#eef5c8", "soft": "#fcf0c0", "hard": "#f8d5b8", "low": "#f2b0a8"}
RESULT = re.compile(r"^\[([\w.-]+)\] WORKLOAD (ok|FAIL) .*?ops=(\d+) .*?seconds=([\d.]+) wrong=(\d+)", re.M)


class Recorder:
    """Samples of a machine's run. .samples: (host, VMs), oldest first."""

    def __init__(self, machine):
        self.machine = machine
        self.samples = []
        self.ended = threading.Event()
        self.new = threading.Event()
        self.thread = threading.Thread(target=self._follow, daemon=True)
        self.thread.start()

    def _follow(self):
        try:
            line = monitor.Line(self.machine)
            renew = 0.0
            while not self.ended.is_set():
                if not self.samples:
                    line.send(b"\n")
                if time.monotonic() >= renew or not self.samples:
                    line.send({"subscribe": "stats", "period_ms": PERIOD_MS})
                    renew = time.monotonic() + RENEW_SECONDS
                try:
                    self._keep(line.sample(1.0))
                except monitor.Silence:
                    continue
        except OSError:
            return  # the machine has gone, or never came

    def _keep(self, sample):
        self.samples.append(sample)
        if len(self.samples) > SAMPLES_MOST:
            del self.samples[::2]
        self.new.set()

    def stop(self):
        self.ended.set()
        self.thread.join(5)


# --- The table ----------------------------------------------------------------------------------

def rate(now, before, passed_ms, key):
    """MiB a second, of a counter of pages."""
    grown = now[key] - before[key] if before and now[key] >= before[key] else 0
    return grown * PAGE / MIB * 1000 / passed_ms if passed_ms > 0 else 0.0


def table(samples):
    """Lines: the host, a title, each VM."""
    host, vms = samples[-1]
    before, old = samples[-2] if len(samples) > 1 else (host, [])
    passed = host["time_ms"] - before["time_ms"]
    known = {vm["name"]: vm for vm in old}
    wanted = sum(vm["memory_bytes"] for vm in vms if vm["state"] == "running")
    yield (f"{host['time_ms'] / 1000:7.1f} s  host {host['memory_bytes'] / MIB:.0f} MiB, free "
           f"{host['free_bytes'] / MIB:.0f}, minFree {host['min_free_bytes'] / MIB:.0f}, state {host['state']}; guests "
           f"{wanted / MIB:.0f} MiB, {wanted / host['memory_bytes']:.2f} times that")
    yield (f"{'NAME':10}{'STATE':>9}{'MEMSZ':>7}{'CNSM':>7}{'SHRD':>7}{'SHRDSVD':>8}{'MCTLSZ':>7}{'ZIPPED':>7}"
           f"{'SWCUR':>7}{'ZIP/s':>7}{'UNZIP/s':>8}{'SWW/s':>7}{'SWR/s':>7}  HEALTH")
    for vm in vms:
        sizes = [vm[key] / MIB for key in ("memory_bytes", "consumed_bytes", "shared_bytes", "shared_saved_bytes",
                                           "balloon_bytes", "zipped_bytes", "swapped_bytes")]
        rates = [rate(vm, known.get(vm["name"]), passed, key)
                 for key in ("zipped", "unzipped", "swapped_out", "swapped_in")]
        cells = [f"{value:{width}.1f}" for value, width in
                 zip(sizes + rates, (7, 7, 7, 8, 7, 7, 7, 7, 8, 7, 7))]
        yield f"{vm['name'][:10]:10}{vm['state']:>9}{''.join(cells)}  {vm['health']}"


class Table:
    """Shows the newest sample. On a terminal of so many rows it has the top of it, and the console scrolls below."""

    def __init__(self, recorder, rows, vm_count):
        self.recorder = recorder
        self.top = vm_count + 3
        self.rows = rows if rows >= self.top + 12 else 0
        self.begun = False
        self.printed = time.monotonic()

    def _draw(self):
        out = []
        if not self.begun:
            self.begun = True
            # What stood there scrolls up; the console has the rest from now on.
            out.append("\n" * self.top + f"\x1b[{self.top + 1};{self.rows}r\x1b[{self.rows};1H")
        out.append("\x1b7")
        lines = list(table(self.recorder.samples))[:self.top - 1]
        for at in range(self.top):
            out.append(f"\x1b[{at + 1};1H\x1b[K{lines[at] if at < len(lines) else ''}")
        out.append("\x1b8")
        return "".join(out)

    def show(self):
        """Called often. Only between lines of the console, and when there is something new."""
        if not self.recorder.new.is_set():
            return
        if self.rows:
            self.recorder.new.clear()
            sys.stdout.write(self._draw())
        elif not sys.stdout.isatty() and time.monotonic() - self.printed >= PRINT_SECONDS:
            self.recorder.new.clear()
            self.printed = time.monotonic()
            sys.stdout.write("\n" + "\n".join(table(self.recorder.samples)) + "\n\n")
        sys.stdout.flush()

    def end(self):
        if self.begun:
            sys.stdout.write(f"\x1b[r\x1b[{self.rows};1H\n")
            sys.stdout.flush()


# --- The report ---------------------------------------------------------------------------------

def time_by_state(samples):
    """Seconds in each state, and how often each was entered."""
    seconds, entered = dict.fromkeys(STATES, 0.0), dict.fromkeys(STATES, 0)
    for (before, _), (after, _) in zip(samples, samples[1:]):
        seconds[before["state"]] += (after["time_ms"] - before["time_ms"]) / 1000
        entered[after["state"]] += after["state"] != before["state"]
    return seconds, entered


def most(samples, name, what):
    return max((what(vm) for _, vms in samples for vm in vms if vm["name"] == name), default=0)


def report(samples, log):
    """Text: what was taken from whom at most and by which technique, what was done, in which states."""
    seconds, entered = time_by_state(samples)
    results = {found[0]: found[1:] for found in RESULT.findall(log)}
    names = [vm["name"] for vm in samples[-1][1]]
    yield "states: " + ", ".join(f"{state} {seconds[state]:.0f} s (entered {entered[state]} times)"
                                 for state in STATES if seconds[state] or entered[state])
    yield (f"{'at most, MiB':14}" + "".join(f"{name:>11}" for name, _, _ in TECHNIQUES) +
           f"{'ops':>10}{'seconds':>9}  result")
    for name in names:
        peaks = "".join(f"{most(samples, name, what) / MIB:11.1f}" for _, what, _ in TECHNIQUES)
        verdict, ops, took, wrong = results.get(name, ("none", "0", "0", "0"))
        yield f"{name:14}{peaks}{ops:>10}{took:>9}  {verdict}" + (f", {wrong} pages wrong" if wrong != "0" else "")
    yield f"operations: {sum(int(result[1]) for result in results.values())}"


WIDTH, ROW, LEFT, TOP, GAP = 900, 90, 90, 60, 16
INK, FAINT = "#1c1c1c", "#6d757c"


def text(x, y, words, size=12, colour=INK):
    return (f"<text x='{x:.1f}' y='{y:.1f}' font-family='DejaVu Sans, Helvetica, sans-serif' font-size='{size}' "
            f"fill='{colour}'>{html.escape(words)}</text>")


def bands(samples, x_of, height):
    """The host's states as stripes behind everything."""
    for (before, _), (after, _) in zip(samples, samples[1:]):
        x = x_of(before["time_ms"])
        yield (f"<rect x='{x:.1f}' y='{TOP}' width='{x_of(after['time_ms']) - x + 0.5:.1f}' height='{height}' "
               f"fill='{STATES[before['state']]}'/>")


def areas(samples, name, x_of, bottom):
    """One VM's memory, technique upon technique."""
    points = [(x_of(host["time_ms"]), vm) for host, vms in samples for vm in vms if vm["name"] == name]
    floor = [0.0] * len(points)
    for _, what, colour in TECHNIQUES:
        ceiling = [low + max(what(vm), 0) / max(vm["memory_bytes"], 1) for low, (_, vm) in zip(floor, points)]
        outline = [(x, high) for (x, _), high in zip(points, ceiling)] + \
                  [(x, low) for (x, _), low in reversed(list(zip(points, floor)))]
        path = " ".join(f"{x:.1f},{bottom - min(part, 1.2) * (ROW - GAP):.1f}" for x, part in outline)
        yield f"<polygon points='{path}' fill='{colour}'/>"
        floor = ceiling


def svg(samples, title):
    names = [vm["name"] for vm in samples[-1][1]]
    first, last = samples[0][0]["time_ms"], samples[-1][0]["time_ms"]
    height = TOP + ROW * len(names) + 30

    def x_of(ms):
        return LEFT + (ms - first) * (WIDTH - LEFT - 20) / max(last - first, 1)
    out = [f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{height}' viewBox='0 0 {WIDTH} {height}'>",
           f"<rect width='{WIDTH}' height='{height}' fill='white'/>", text(16, 24, title, 15)]
    at = 16
    for name, _, colour in (*TECHNIQUES, *((f"state {state}", None, colour) for state, colour in STATES.items())):
        out.append(f"<rect x='{at}' y='36' width='10' height='10' fill='{colour}'/>" + text(at + 14, 45, name, 11))
        at += 24 + 7 * len(name)
    out += bands(samples, x_of, ROW * len(names))
    for row, name in enumerate(names):
        bottom = TOP + ROW * (row + 1) - GAP / 2
        out += [text(10, bottom - ROW / 2 + 10, name), *areas(samples, name, x_of, bottom),
                f"<path d='M{LEFT} {bottom} H{WIDTH - 20}' stroke='{FAINT}' stroke-width='0.5'/>"]
    out += [text(LEFT, height - 10, f"{first / 1000:.0f} s", 11, FAINT),
            text(WIDTH - 60, height - 10, f"{last / 1000:.0f} s", 11, FAINT), "</svg>", ""]
    return "\n".join(out)


def write(recorder, log, directory):
    """Leave report.txt and report.svg in the directory; returns the text, or None where nothing was recorded."""
    samples = [(host, vms) for host, vms in recorder.samples if vms]
    if len(samples) < 2:
        return None
    words = "\n".join(report(samples, log))
    (directory / "report.txt").write_text(words + "\n")
    (directory / "report.svg").write_text(svg(samples, f"{len(samples[-1][1])} guests on "
                                              f"{samples[-1][0]['memory_bytes'] / MIB:.0f} MiB: memory by technique"))
    return words
