"""pkg/run-report: make run's table and report of samples whose numbers are known."""
import types
import xml.etree.ElementTree

import demo
from watch_tools import need

MIB = 1 << 20
LOG = """[a] WORKLOAD ok profile=mixed mib=64 ops=3000 writes=10 seconds=2.50 wrong=0
[b] [a] WORKLOAD ok profile=mixed mib=64 ops=99 writes=10 seconds=2.50 wrong=0
[b] WORKLOAD FAIL profile=unique mib=64 ops=500 writes=10 seconds=4.00 wrong=3 first=7
"""


def vm(name, **numbers):
    keys = ("consumed", "shared", "shared_saved", "balloon", "zipped", "swapped")
    return {"name": name, "state": "running", "health": "good", "memory_bytes": 256 * MIB, "unzipped": 0, "zipped": 0,
            "swapped_out": 0, "swapped_in": 0, **{f"{key}_bytes": 0 for key in keys}, **numbers}


def sample(seconds, state, *vms):
    return ({"time_ms": seconds * 1000, "state": state, "memory_bytes": 768 * MIB, "free_bytes": 100 * MIB,
             "min_free_bytes": 46 * MIB}, list(vms))


SAMPLES = [
    sample(1, "high", vm("a", consumed_bytes=100 * MIB), vm("b")),
    sample(3, "soft", vm("a", consumed_bytes=90 * MIB, balloon_bytes=30 * MIB), vm("b", swapped_bytes=5 * MIB)),
    sample(4, "hard", vm("a", consumed_bytes=80 * MIB, balloon_bytes=20 * MIB, swapped_in=512), vm("b")),
    sample(9, "soft", vm("a", consumed_bytes=80 * MIB, swapped_in=512), vm("b", state="off")),
]


def run(directory):
    lines = list(demo.table(SAMPLES[:3]))
    need("4.0 s" in lines[0] and "state hard" in lines[0] and "0.67 times" in lines[0], lines[0])
    need(lines[2].split()[:4] == ["a", "running", "256.0", "80.0"] and lines[2].split()[12] == "2.0", lines[2])
    words = demo.write(types.SimpleNamespace(samples=SAMPLES), LOG, directory)
    for wanted in ("high 2 s (entered 0 times), soft 1 s (entered 2 times), hard 5 s (entered 1 times)",
                   "100.0        0.0       30.0        0.0        0.0      3000     2.50  ok",
                   "5.0       500     4.00  FAIL, 3 pages wrong", "operations: 3500"):
        need(wanted in words, f"not told: {wanted}\n{words}")
    picture = xml.etree.ElementTree.parse(directory / "report.svg").getroot()
    shapes = [one.tag.rsplit("}")[-1] for one in picture]
    need(shapes.count("polygon") == 2 * len(demo.TECHNIQUES), "not an area for each VM and technique")
    need(demo.write(types.SimpleNamespace(samples=SAMPLES[:1]), LOG, directory) is None, "a report of one sample")
