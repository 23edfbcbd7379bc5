"""What a bench measured, and how it compares: the arithmetic of build/bench/results.json."""
import dataclasses
import statistics

# Whether a small number of that unit is the good one.
UNITS = {
    "instructions": "lower",
    "ns/page": "lower",
    "us/page": "lower",
    "ns": "lower",
    "us": "lower",
    "seconds": "lower",
    "cpu-seconds": "lower",
    "bytes": "lower",
    "percent-lost": "lower",
    "pages/s": "higher",
    "pages/cpu-s": "higher",
    "MiB/s": "higher",
    "MiB-saved": "higher",
    "ops/s": "higher",
    "ops/100M": "higher",      # of instructions
    "faults/s": "higher",
}


@dataclasses.dataclass
class Result:
    """One line of results.json. `peer` and `peer_name` are None where there is nothing to compare with.
    `minimum` and `maximum` are those of our own runs; `limit` is a target of an issue's, or None; `plot_rows` is what
    its plot shows, if more than itself and the peer: rows of plot.bars()."""
    name: str
    unit: str
    ours: float
    runs: int
    minimum: float
    maximum: float
    peer_name: str = None
    peer: float = None
    note: str = ""
    limit: object = None       # (what is limited, its value, the limit)
    plot_rows: list = None

    @property
    def times_better(self):
        return None if self.peer is None else times_better(self.unit, self.ours, self.peer)

    @property
    def is_within(self):
        return self.limit is None or self.limit[1] <= self.limit[2]

    @property
    def limit_line(self):
        what, value, limit = self.limit
        return f"{self.name}: {what} {number(value)}, at most {number(limit)}: " + \
            ("within" if self.is_within else "MISSED")

    def as_json(self):
        return {"name": self.name, "unit": self.unit, "ours": self.ours, "peer_name": self.peer_name,
                "peer": self.peer, "times_better": self.times_better, "runs": self.runs,
                "min": self.minimum, "max": self.maximum}


def times_better(unit, ours, peer):
    """How many times better than the peer we are: more than 1 is better, whatever the unit. None where a
    measurement of nothing leaves the question open."""
    if unit not in UNITS:
        raise ValueError(f"unit {unit!r}: say in UNITS whether lower or higher is better")
    good, bad = (peer, ours) if UNITS[unit] == "lower" else (ours, peer)
    return good / bad if bad > 0 and good >= 0 else None


def of_runs(name, unit, samples, peer_samples=None, peer_name=None, **more):
    """A Result of the medians of several runs."""
    return Result(name, unit, statistics.median(samples), len(samples), min(samples), max(samples),
                  peer_name if peer_samples else None,
                  statistics.median(peer_samples) if peer_samples else None, **more)


def number(value):
    """Four digits that mean something."""
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.4g}"


def table(results):
    """The results as lines of text."""
    rows = [("name", "ours", "peer", "unit", "times better", "min .. max", "runs", "peer is")]
    for r in results:
        better = "-" if r.times_better is None else f"{r.times_better:.2f}"
        rows.append((r.name, number(r.ours), number(r.peer), r.unit, better,
                     f"{number(r.minimum)} .. {number(r.maximum)}", str(r.runs), r.peer_name or "-"))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) if i in (0, 3, 7) else cell.rjust(width)
                       for i, (cell, width) in enumerate(zip(row, widths))).rstrip() for row in rows]
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]
