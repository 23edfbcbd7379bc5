"""Benches of the balloon, in Bochs: what a guest's call that gives pages up costs inside the hypervisor."""
import emulated
from results import Result

# What the issue on the balloon asks for, in instructions: for one page of a full list, and for 2 MiB.
LIMIT_4K, LIMIT_2M = 250, 3000
LIST_PAGES = 512


def bench_inflate(name, entries, large, limit):
    bare = emulated.bare_exit("bochs")["cpuid"]["median"]
    ours = emulated.guest("bochs", f"balloon-{name}", large)[f"balloon-{name}"]
    inside = {key: (ours[key] - bare) / entries for key in ("min", "median", "max")}
    what = "a page" if entries > 1 else "2 MiB"
    return Result(
        f"balloon.inflate.{name}", "instructions", inside["median"], ours["count"], inside["min"], inside["max"],
        note=f"the call for {entries} of them takes {ours['median']}, of which {bare} are the bare exit",
        limit=(f"instructions for {what}", inside["median"], limit))


def bench_inflate_4k():
    return bench_inflate("4k", LIST_PAGES, 0, LIMIT_4K)


def bench_inflate_2m():
    return bench_inflate("2m", 1, 1, LIMIT_2M)
