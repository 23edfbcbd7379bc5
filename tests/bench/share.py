"""Benches of page sharing on this machine, beside its kernel's KSM: tests/bench/bench_share.c, with the memory of
real guests."""
import os
import statistics

import corpus
import host
import results

NEEDS = ("bench/bench_share", *corpus.NEEDS)
KSM = f"KSM of Linux {os.uname().release}"
# KSM's rate in percent of ours: we are at least 5, or 1.2, times as fast.
FIRST_LIMIT = {"unique": 20, "duplicate": 83.3}
UNCHANGED_LIMIT = 20    # thousandths: an unchanged page is at least 50 times cheaper to pass than to hash
METADATA_LIMIT = 24     # bytes a frame, frame table and index together
LEFT_OUT = "ours kicks no CPUs for its flushes here, two for 32 pages that are merged, and nobody writes; KSM's has " \
           "its flushes in it, of a process that does not run"


def run(what):
    """(series, a note on the peer): bench_share's, which measures ours where there is no KSM, too."""
    series, lacking = host.run_beside("bench_share", what, *corpus.files())
    if lacking:
        return series, f"; not beside KSM: {lacking}"
    others = statistics.median(series["ksm-others"])
    return series, f"; {others:.0f} percent of the pages that KSM knew were other processes'" if others >= 1 else ""


def bench_first(name):
    """Pages looked up for the first time: those that are `unique` in the guests' memory, or have a `duplicate`."""
    series, peer_note = run(name)
    limit = None
    if "peer" in series:
        percent = 100 * statistics.median(series["peer"]) / statistics.median(series["ours"])
        limit = ("KSM's rate in percent of it", percent, FIRST_LIMIT[name])
    return results.of_runs(
        f"share.scan.{name}", "pages/cpu-s", series["ours"], series.get("peer"), KSM, limit=limit,
        note=f"until each page was looked up, which KSM does when it sees it again; {LEFT_OUT}{peer_note}")


def bench_unchanged():
    series, peer_note = run("unchanged")
    first = statistics.median(series["hash"])
    return results.of_runs(
        "share.pass.unchanged", "ns/page", series["ours"], series.get("peer"), KSM,
        note=f"a first pass takes {first:.0f} ns/page{peer_note}",
        limit=("thousandths of a first pass", 1000 * statistics.median(series["ours"]) / first, UNCHANGED_LIMIT))


def bench_corpus():
    """share.corpus.time95, .saved and .metadata: all of the guests' memory, until what is to be saved is."""
    series, peer_note = run("corpus")
    whole, possible = statistics.median(series["whole"]), statistics.median(series["possible"])
    metadata = statistics.median(series["metadata"])
    return [
        results.of_runs(
            "share.corpus.time95", "cpu-seconds", series["time95"], series.get("ksm-time95"), KSM,
            note=f"until 95 percent of the {possible:.0f} MiB are saved that can be, of {whole:.0f} MiB of "
                 f"{len(corpus.PROFILES)} guests; {LEFT_OUT}. KSM's is the part of its time that falls to these pages "
                 f"by number{peer_note}"),
        results.of_runs(
            "share.corpus.saved", "MiB-saved", series["saved"], series.get("ksm-saved"), KSM,
            note=f"of {possible:.0f}: pages less frames, zero pages counted as no frame; after two passes more"),
        results.of_runs(
            "share.corpus.metadata", "bytes", series["metadata"], series.get("ksm-metadata"), KSM,
            note="a page, whether shared or not: ours is all of the frame table, and the index; KSM's its items and "
                 "nodes, beside the 64 bytes of a struct page that Linux has for each frame",
            limit=("bytes a frame", metadata, METADATA_LIMIT))]
