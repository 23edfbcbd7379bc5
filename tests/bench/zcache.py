"""Benches of the compression cache on this machine, beside its kernel's zram (lz4): tests/bench/bench_zcache.c."""
import os
import statistics

import host
import machine as machines
import results

# Kernel and program: pages of code and data, as guests have them.
CORPUS = (machines.BUILD / "guests/vmlinux", "/usr/bin/qemu-system-x86_64")
LOSS_LIMIT = 3    # percent
ZRAM = f"zram (lz4) of Linux {os.uname().release}"


def median(series, name):
    return statistics.median(series[name])


def beside(series, ours, peer):
    """The target "no more than zram's", where there is a zram: one that is missed is this many times too much."""
    return ("times zram's", median(series, ours) / median(series, peer), 1) if peer in series else None


def bench_time():
    """zcache.store and zcache.load, from one run of both."""
    series = host.run_beside("bench_zcache", "time", *CORPUS)
    found = []
    for name in ("store", "load"):
        note = f"p99 {median(series, f'{name}-p99'):.3g} us"
        if name == "load":
            note += f", and {median(series, 'drop'):.3g} us to drop the object"
        if f"zram-{name}" in series:
            note += f"; zram's p99 {median(series, f'zram-{name}-p99'):.3g} us; its O_DIRECT request for a block " \
                    f"that is not there takes {median(series, 'floor'):.3g} us of that, block layer and clearing"
        found.append(results.of_runs(
            f"zcache.{name}", "us/page", series[name], series.get(f"zram-{name}"), ZRAM,
            note=f"{note}; CPU time, reading the clock included on both sides; of {median(series, 'kept'):.0f} "
                 f"pages that reach half, {median(series, 'refused'):.0f} did not",
            limit=beside(series, name, f"zram-{name}")))
    return found


def bench_loss():
    """zcache.loss and zcache.bytes: a cache of 26 MiB, full, after 60,000 pages went and came."""
    series = host.run_beside("bench_zcache", "loss", *CORPUS)
    return [
        results.of_runs("zcache.loss", "percent-lost", series["loss"], series.get("zram-loss"), ZRAM,
                        note=f"of the frames that hold objects; with the table of handles {median(series, 'loss-all'):.2g} "
                             "percent. zram's after its compaction",
                        limit=("percent", median(series, "loss"), LOSS_LIMIT)),
        results.of_runs("zcache.bytes", "bytes", series["bytes"], series.get("zram-bytes"), ZRAM,
                        note="a page, with table, directory and struct; zram's mem_used_total and 24 bytes of table and "
                             "handle",
                        limit=beside(series, "bytes", "zram-bytes"))]
