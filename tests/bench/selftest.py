#!/usr/bin/env python3
"""The benches' own arithmetic and reading, fed with what must come out one way: figures that nobody can
trust are worth nothing."""
import json
import pathlib
import sys
import xml.dom.minidom

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/bench"), str(ROOT / "tests/emu")]
import emulated
import host
import overcommit
import plot
import results
import run


def raises(kind, act):
    try:
        act()
    except kind:
        return True
    return False


def check_times_better():
    better = results.times_better
    yield "half the time is twice as good", better("ns/page", 50.0, 100.0) == 2.0
    yield "twice the time is half as good", better("instructions", 200, 100) == 0.5
    yield "twice the pages are twice as good", better("pages/cpu-s", 200.0, 100.0) == 2.0
    yield "half the pages are half as good", better("MiB/s", 50.0, 100.0) == 0.5
    yield "alike is 1, either way", better("us", 7.0, 7.0) == better("ops/s", 7.0, 7.0) == 1.0
    yield "no loss at all is beyond any number", better("percent-lost", 0.0, 3.0) is None
    yield "a peer that does nothing is beyond any number", better("pages/s", 5.0, 0.0) is None
    yield "we that do nothing are no good", better("pages/s", 0.0, 5.0) == 0.0
    yield "a unit without a direction is refused", raises(ValueError, lambda: better("furlongs", 1, 2))


def check_result():
    one = results.of_runs("x", "us", [3.0, 1.0, 2.0], [8.0, 2.0, 6.0], "them")
    alone = results.of_runs("y", "pages/s", [5.0] * 10, None, "them")
    keys = ["name", "unit", "ours", "peer_name", "peer", "times_better", "runs", "min", "max"]
    yield "medians are compared", (one.ours, one.peer, one.times_better) == (2.0, 6.0, 3.0)
    yield "runs, least and most are our own", (one.runs, one.minimum, one.maximum) == (3, 1.0, 3.0)
    yield "results.json has the fields of the issue", list(one.as_json()) == keys
    yield "without a peer its fields are null", json.loads(json.dumps(alone.as_json())) == {
        "name": "y", "unit": "pages/s", "ours": 5.0, "peer_name": None, "peer": None,
        "times_better": None, "runs": 10, "min": 5.0, "max": 5.0}
    one.limit = ("us", 2.0, 2.0)
    yield "a target that is just met is met", one.is_within
    one.limit = ("us", 2.1, 2.0)
    yield "a target that is missed is missed", not one.is_within
    yield "the table has a line for each", len(results.table([one, alone])) == 4


def check_reading():
    text = "x\nBENCH cpuid-1 count=512 min=16 median=32 mean=33 max=64\r\nBENCH failed: no\n"
    read = {"count": 512, "min": 16, "median": 32, "mean": 33, "max": 64}
    yield "a guest's line is read", emulated.parse(text) == {"cpuid-1": read}
    yield "ticks become instructions, the count stays", emulated.parse(text, 4) == {
        "cpuid-1": {"count": 512, "min": 1, "median": 2, "mean": 2, "max": 4}}
    yield "a program's samples are read", host.read_samples(
        "SAMPLE ours 1.5\nnoise\nSAMPLE peer 3\nSAMPLE ours 2e3\n") == {"ours": [1.5, 2000.0], "peer": [3.0]}


def check_overcommit():
    done = "bellows> [g{}] OVERCOMMIT ops={} ticks={}\n"
    text = "".join(done.format(guest, 1000 * guest, 200000000 if guest == 2 else 100000000) for guest in (1, 2, 3, 4))
    yield "operations of a longer span count as those of one", overcommit.spans(text) == [[1000], [1000], [3000], [4000]]
    whole = text * (overcommit.WARM_SPANS + overcommit.SPANS)
    yield "a guest that is behind is waited for", overcommit.enough(whole) and not overcommit.enough(
        whole.replace("[g3]", "[g1]", 1))
    yield "who is lost is known with his reason, once all of it is told", [
        bool(overcommit.LOST.search(words)) for words in (
            "bellows> [   1.0] ERROR g3: stopped: no memory\n", "[   1.0] ERROR g3: stopped: no mem",
            "[g3] g3: stopped: says a guest\n")] == [True, False, False]
    found = {(which, ratio): overcommit.Outcome([[10.0 * len(which)] * 2] * 4) for ratio in overcommit.RATIOS
             for which in (overcommit.ALL, *overcommit.TECHNIQUES)}
    found["swap", "3to1"] = overcommit.Outcome(why="g4: not started: no room")
    found[overcommit.ALL, "2to1"] = overcommit.Outcome([[5.0, 7.0]] * 4)
    on_flash = {("swap", "2to1"): overcommit.Outcome([[15.0]] * 4), ("swap", "3to1"): found["swap", "3to1"]}
    lines = "\n".join(overcommit.matrix("mixed", found, on_flash))
    yield "the table tells totals, percent of 1:1, and why there are none", all(
        words in lines for words in ("120 = 100%", "24 = 20%", "swap alone at 3:1: g4: not started: no room",
                               "with flash's latency: 2:1 swap 60 = 50%; 3:1 swap -"))
    one = overcommit.result("mixed", overcommit.ALL, "2to1", found, 120)
    yield "what is lost is judged at 2:1", one.limit[1:] == (80.0, 15) and not one.is_within and \
        overcommit.result("mixed", overcommit.ALL, "3to1", found, 120).limit is None
    flash = overcommit.result("mixed", "swap", "2to1", on_flash, 120, ".flash")
    yield "with flash's latency it has a name of its own, and no limit", (
        flash.name, flash.limit) == ("overcommit.2to1.mixed.swap.flash", None)
    yield "a span's totals are its range", (one.ours, one.minimum, one.maximum) == (24.0, 20.0, 28.0)


def check_programs():
    """What stands for a program here is a shell that prints what one would."""
    ours = "for i in 1 2 3 4 5 6 7 8 9 10; do echo SAMPLE ours $i; done; "

    def beside(script, **more):
        return host.run_beside("/bin/sh", "-c", script, **more)
    yield "ours is kept where the peer is missing, and why is told", beside(
        ours + "echo SAMPLE peer 1; echo CANNOT no KSM") == ({"ours": [float(i) for i in range(1, 11)]}, "no KSM")
    yield "nothing is told where nothing is missing", beside(ours)[1] is None
    yield "where the peer is needed its absence is said", raises(
        host.CannotRun, lambda: beside(ours + "echo CANNOT no KSM", peer_is_needed=True))
    yield "without ours there is nothing", raises(host.CannotRun, lambda: beside("echo CANNOT no KSM"))
    yield "too few runs are a failure", raises(host.Failed, lambda: beside("echo SAMPLE ours 1"))
    yield "so is a program that fails", raises(host.Failed, lambda: beside(ours + "exit 1"))


def check_run():
    def raising(what):
        def act():
            raise what
        return run.Bench("x", "", act, ("a",))
    yield "what the machine lacks is said, and no failure", run.measure(
        raising(host.CannotRun("no KSM")), set()) == ([], "no KSM", False)
    yield "a bench that breaks is a failure", run.measure(raising(host.Failed("oh")), set())[1:] == ("it failed: oh", True)
    yield "what is not built is not measured, a failure", run.measure(
        raising(AssertionError("ran")), {"a", "b"})[2]
    yield "no name twice", len({bench.name for bench in run.BENCHES}) == len(run.BENCHES)
    yield "patterns choose", run.matches("exit.cpuid", "exit.*") and not run.matches("exit.cpuid", "fault")


def check_plot():
    one = results.of_runs("a<b>&c", "us", [1.0, 2.0, 30.0], [5.0], "the 'other' one")
    document = xml.dom.minidom.parseString(plot.of_result(one)).documentElement
    bars = [float(bar.getAttribute("width")) for bar in document.getElementsByTagName("rect")[1:]]
    yield "names do not break the plot", "a<b>&c" in "".join(
        node.firstChild.data for node in document.getElementsByTagName("text"))
    yield "bars are as long as their values", len(bars) == 2 and abs(bars[0] / bars[1] - 2.0 / 5.0) < 0.01
    yield "nothing measured as 0 breaks the plot", "<svg" in plot.of_result(
        results.of_runs("z", "us", [0.0], [0.0], "them"))


def main():
    failed = 0
    for check in (check_times_better, check_result, check_reading, check_overcommit, check_programs, check_run, check_plot):
        for what, good in check():
            print(f"{'ok  ' if good else 'FAIL'} {what}")
            failed += not good
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
