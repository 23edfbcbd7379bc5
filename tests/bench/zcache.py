"""Benches of the compression cache on this machine, beside its kernel's zram (lz4): tests/bench/bench_zcache.c."""
import os
import statistics

import emulated
import host
import machine as machines
import results

# Kernel and program: pages of code and data, as guests have them.
CORPUS = (machines.BUILD / "guests/vmlinux", "/usr/bin/qemu-system-x86_64")
LOSS_LIMIT = 3    # percent
FAULT_LIMIT = 2000    # instructions beyond LZ4 and checksum
# All of the guest's pages go once, at the exit that tests/emu/guests/bare/zip.c waits for.
ZIP_CONFIG = """\
[host]
autostop = yes
Mem.AllocGuestLargePage = 0

[vm bench]
memory = 32M
vcpus = 1
kernel = \\bellows\\bare.img
cmdline = bellows.bench=zip
sched.mem.min = 0
debug.reclaim = 4096
"""
ZRAM = f"zram (lz4) of Linux {os.uname().release}"


def median(series, name):
    return statistics.median(series[name])


def beside(series, ours, peer):
    """The target "no more than zram's", where there is a zram: one that is missed is this many times too much."""
    return ("times zram's", median(series, ours) / median(series, peer), 1) if peer in series else None


def bench_time():
    """zcache.store and zcache.load, from one run of both."""
    series, _ = host.run_beside("bench_zcache", "time", *CORPUS)
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
    series, _ = host.run_beside("bench_zcache", "loss", *CORPUS)
    return [
        results.of_runs("zcache.loss", "percent-lost", series["loss"], series.get("zram-loss"), ZRAM,
                        note=f"of the frames that hold objects; with the table of handles {median(series, 'loss-all'):.2g} "
                             "percent. zram's after its compaction",
                        limit=("percent", median(series, "loss"), LOSS_LIMIT)),
        results.of_runs("zcache.bytes", "bytes", series["bytes"], series.get("zram-bytes"), ZRAM,
                        note="a page, with table, directory and struct; zram's mem_used_total and 24 bytes of table and "
                             "handle",
                        limit=beside(series, "bytes", "zram-bytes"))]


def bench_fault():
    """fault.zip: the touch of a compressed page, in Bochs. LZ4 and checksum are measured in the same guest."""
    found = emulated.boot("bochs", "zip", ZIP_CONFIG, emulated.hypervisor_files())
    if not {"zip", "lz4", "checksum"} <= found.keys():
        raise host.Failed(f"the guest measured {sorted(found)} only")
    touch, lz4, checksum = found["zip"], found["lz4"]["median"], found["checksum"]["median"]
    if touch["median"] < lz4 + checksum:
        raise host.Failed(f"the pages were not compressed: a touch took {touch['median']} instructions")
    return results.Result(
        "fault.zip", "instructions", touch["median"], touch["count"], touch["min"], touch["max"],
        "LZ4 and checksum alone", lz4 + checksum,
        note=f"on average {touch['mean']}; LZ4 takes {lz4} of them, the checksum {checksum}",
        limit=("instructions beyond LZ4 and checksum", touch["median"] - lz4 - checksum, FAULT_LIMIT))
