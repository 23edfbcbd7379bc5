"""Faults a second against CPUs, on this machine: tests/bench/bench_smp.c."""
import statistics

import host
import results

LOCKED = "one lock around every fault"
# One CPU does at most so much of what two do with a VM each: two do 1.8 times as much.
ONE_OF_TWO_LIMIT = 100 / 1.8
KINDS = (("one_cpu", "one CPU", "one-cpu"), ("one_vm", "two CPUs in one VM", "one-vm"),
         ("two_vms", "two CPUs, a VM each", "two-vms"))


def bench_faults():
    """smp.faults.one_cpu, .one_vm and .two_vms, from one run; each beside the same under one lock."""
    series = host.run_program("bench_smp")
    one, two = statistics.median(series["one-cpu"]), statistics.median(series["two-vms"])
    rows = []
    for _, words, kind in KINDS:
        rows.append((words, statistics.median(series[kind]), True, min(series[kind]), max(series[kind])))
        rows.append((f"{words}; {LOCKED}", statistics.median(series[f"locked-{kind}"]), False, None, None))
    found = []
    for name, words, kind in KINDS:
        times = statistics.median(series[kind]) / one
        found.append(results.of_runs(
            f"smp.faults.{name}", "faults/s", series[kind], series[f"locked-{kind}"], LOCKED,
            note=f"{words}: {times:.2f} times one CPU's; first writes to pages, by CPU time, each the best of five runs "
                 "in which no CPU was taken away", plot_rows=rows))
    found[-1].limit = ("percent that one CPU does of what two do", 100 * one / two, ONE_OF_TWO_LIMIT)
    return found
