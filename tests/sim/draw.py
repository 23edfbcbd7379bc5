#!/usr/bin/env python3
"""A simulator's trace as SVG: free memory and states above, then each VM's memory by where it is.

Usage: draw.py TRACE.csv OUT.svg
"""
import csv
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "bench"))
import plot

WIDTH, LEFT, RIGHT, TOP, HEIGHT, GAP = 960, 60, 150, 40, 90, 26
STATES = {"high": "#eef5ee", "clear": "#dcebf5", "soft": "#fbeec2", "hard": "#f6cfa8", "low": "#eda6a0"}
KINDS = (("consumed", "#1f6f8b"), ("zipped", "#8ab17d"), ("swapped", "#d1495b"), ("ballooned", "#c9c9c9"))
POINTS = 300


def mib(pages):
    return int(pages) / 256


def read(path):
    """{vm: [row]}, thinned to what a plot can show."""
    vms = {}
    with open(path, encoding="ascii", newline="") as file:
        for row in csv.DictReader(file):
            vms.setdefault(int(row["vm"]), []).append(row)
    return {vm: rows[::max(len(rows) // POINTS, 1)] for vm, rows in vms.items()}


class Panel:
    def __init__(self, top, end, seconds):
        self.top, self.end, self.seconds = top, max(end, 1), max(seconds, 1)

    def x(self, row):
        return LEFT + int(row["second"]) / self.seconds * (WIDTH - LEFT - RIGHT)

    def y(self, value):
        return self.top + HEIGHT * (1 - value / self.end)

    def line(self, rows, key, colour, dash=""):
        points = " ".join(f"{self.x(row):.1f},{self.y(mib(row[key])):.1f}" for row in rows)
        return f"<polyline points='{points}' fill='none' stroke='{colour}' stroke-width='1.3' {dash}/>"

    def area(self, rows, low, high, colour):
        there = [f"{self.x(row):.1f},{self.y(value):.1f}" for row, value in zip(rows, high)]
        back = [f"{self.x(row):.1f},{self.y(value):.1f}" for row, value in zip(rows, low)][::-1]
        return f"<polygon points='{' '.join(there + back)}' fill='{colour}'/>"

    def axis(self, words):
        return plot.text(4, self.top + 12, words, 11) + plot.text(4, self.top + HEIGHT, f"{self.end:.0f} MiB", 10, plot.FAINT)


def host_panel(rows, seconds):
    panel = Panel(TOP, max(mib(row["aim"]) for row in rows) * 2, seconds)
    out = []
    for row, after in zip(rows, rows[1:]):
        out.append(f"<rect x='{panel.x(row):.1f}' y='{TOP}' width='{panel.x(after) - panel.x(row) + 0.2:.1f}' "
                   f"height='{HEIGHT}' fill='{STATES[row['state']]}'/>")
    free = [dict(row, free=min(int(row["free"]), int(panel.end * 256))) for row in rows]
    return out + [panel.line(free, "free", plot.INK), panel.line(rows, "aim", plot.FAINT, "stroke-dasharray='4 3'"),
                  panel.axis("free")]


def vm_panel(vm, rows, top, seconds):
    sums = [sum(mib(row[kind]) for kind, _ in KINDS) for row in rows]
    panel = Panel(top, max(sums) * 1.05, seconds)
    out, low = [], [0.0] * len(rows)
    for kind, colour in KINDS:
        high = [value + mib(row[kind]) for value, row in zip(low, rows)]
        out.append(panel.area(rows, low, high, colour))
        low = high
    return out + [panel.line(rows, "entitled", plot.INK), panel.axis(f"VM {vm}")]


def legend():
    out, y = [], TOP + 12
    for words, colour in (*STATES.items(), *KINDS, ("entitled", plot.INK)):
        out.append(f"<rect x='{WIDTH - RIGHT + 16}' y='{y - 9}' width='10' height='10' fill='{colour}'/>")
        out.append(plot.text(WIDTH - RIGHT + 32, y, words, 11))
        y += 16
    return out


def draw(vms):
    seconds = max(int(rows[-1]["second"]) for rows in vms.values())
    height = TOP + (len(vms) + 1) * (HEIGHT + GAP)
    out = [f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{height}' viewBox='0 0 {WIDTH} {height}'>",
           f"<rect width='{WIDTH}' height='{height}' fill='white'/>",
           plot.text(LEFT, 24, f"A simulated host over {seconds} s: free memory, and where each VM's memory is", 15)]
    out += host_panel(next(iter(vms.values())), seconds)
    for i, (vm, rows) in enumerate(sorted(vms.items())):
        out += vm_panel(vm, rows, TOP + (i + 1) * (HEIGHT + GAP), seconds)
    return "\n".join([*out, *legend(), "</svg>", ""])


def main():
    pathlib.Path(sys.argv[2]).write_text(draw(read(sys.argv[1])), encoding="ascii")
    print(f"drawn: {sys.argv[2]}")


if __name__ == "__main__":
    main()
