#!/usr/bin/env python3
"""The gates, fed with what they must refuse: a runner or a workload that cannot fail proves nothing."""
import contextlib
import importlib.util
import io
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/emu"))
import cases
import hostile
import machine as machines
import run as runner
import session

GOOD = session.Outcome("ok", "one\ntwo\nBELLOWS VERDICT ok\n", 1.0, powered_off=True)
CASE = cases.Case("sample", "", expect=("one", "two"), forbid=("three",))


class Script:
    """Stands in for a machine: gives out pieces of text, takes what is typed, then ends, or is killed."""

    def __init__(self, *pieces, killed=""):
        self.pieces, self.typed, self.killed = list(pieces), b"", killed

    def read(self, _timeout, _also=()):
        return self.pieces.pop(0).encode() if self.pieces else b""

    def write(self, data):
        self.typed += data

    def has_ended(self):
        return not self.pieces

    def killed_by(self):
        return self.killed

    def cpu_seconds(self):
        return 0.0

    def describe(self):
        return "registers"


def watch(*pieces, **more):
    machine = Script(*pieces)
    return machine, session.Watcher(machine, 5, **more).run()


def check_judge():
    yield "a good run passes", cases.judge(CASE, GOOD) == []
    for what, outcome in {
            "wrong verdict": session.Outcome("failed", GOOD.text, 1.0, powered_off=True),
            "panic": session.Outcome("panic", GOOD.text, 1.0),
            "timeout": session.Outcome("timeout", GOOD.text, 1.0),
            "no power-off": session.Outcome("ok", GOOD.text, 1.0),
            "missing line": session.Outcome("ok", "one\n", 1.0, powered_off=True),
            "wrong order": session.Outcome("ok", "two\none\n", 1.0, powered_off=True),
            "forbidden line": session.Outcome("ok", "one\ntwo\nthree\n", 1.0, powered_off=True)}.items():
        yield f"{what} is refused", cases.judge(CASE, outcome) != []


def make_test():
    """tests/run.py as a module; the emulators' own run.py has its name."""
    spec = importlib.util.spec_from_file_location("make_test", ROOT / "tests/run.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def check_second_try():
    late = session.Outcome("timeout", "one\n", 1.0)
    yield "what was late may be tried again", not cases.is_hard(CASE, late)
    for what, end, text in (("a panic", "panic", "BELLOWS PANIC: x\n"), ("a lost guest", "failed", GOOD.text),
                            ("a guest lost on the way", "timeout", "[ 1.0] g1: stopped: its page was lost\n"),
                            ("a wrong byte", "timeout", "WORKLOAD FAIL profile=mixed wrong=1\n"),
                            ("what is forbidden", "timeout", "three\n")):
        yield f"{what} has no second try", cases.is_hard(CASE, session.Outcome(end, text, 1.0))
    wanted = cases.Case("sample", "", expect=("g1: stopped",))
    yield "a guest that is to be stopped is not lost", not cases.is_hard(
        wanted, session.Outcome("timeout", "[ 1.0] g1: stopped: its page was lost\n", 1.0))
    yield "nor is one that says so itself", not cases.is_hard(
        CASE, session.Outcome("timeout", "[g1] g2: stopped: no\n", 1.0))
    tests = make_test()
    slow = [(tests.Test(f"qemu/{end}", lambda end=end: tests.Result(end)), tests.Result("timing", "late"))
            for end in ("passed", "timing", "failed")]
    with contextlib.redirect_stdout(io.StringIO()):
        decided = {test.name: result.status for test, result in tests.try_alone(slow, set())}
    yield "the second try decides", decided == {"qemu/passed": "passed", "qemu/timing": "failed", "qemu/failed": "failed"}


def check_watcher():
    yield "verdict ok", watch("BELLOWS VER", "DICT ok\n")[1].end == "ok"
    yield "verdict failed", watch("x\nBELLOWS VERDICT failed\n")[1].end == "failed"
    yield "panic", watch("BELLOWS PANIC: no\n", "backtrace\n")[1].end == "panic"
    yield "panic's report is kept", "backtrace" in watch("BELLOWS PANIC: no\n", "backtrace\n")[1].text
    for what in ("BELLOWS VERDICT ok", "BELLOWS PANIC: mine", "Bellows was not started"):
        for line in (f"[g1] {what}", f"[no-vm.1] x {what}", f"bellows> sto\r\x1b[K[g1] {what}"):
            yield f"no guest's word for it: {line!r}", watch(f"{line}\n")[1].end == "stopped"
    yield "a guest's panic", watch("[g1] Kernel panic - not syncing: Fatal\n")[1].end == "guest-panic"
    yield "an end with no verdict", watch("hello\n")[1].end == "stopped"
    crash = session.Watcher(Script("hello\n", killed="SIGSEGV"), 5).run()
    yield "a fault of the emulator's own", crash.end == "crashed" and "SIGSEGV" in crash.detail
    machine, _ = watch("bellows> ", "vms: g1\nbellows> ", "BELLOWS VERDICT ok\n",
                       script=(("bellows> ", "vms\r"), ("g1", None), ("bellows> ", "poweroff\r")))
    yield "the script is typed in order", machine.typed == b"vms\rpoweroff\r"
    for word, typed in (("one", b"x\r"), ("three", b"")):
        machine, _ = watch("one\ntwo\n", "bellows> ", script=(("two", None), (lambda text, w=word: w in text, "x\r")))
        yield f"a function finds what came before: {word}", machine.typed == typed


def hostile_problems(*pieces):
    """A run in which the hostile VM is started twice, with these pieces in the midst of it."""
    log = "[    0.1] 1 of 1 CPUs online\n", "[    0.2] bad: started, 16 MiB\n[    0.3] n1: started, 16 MiB\n"
    again = ("[    0.4] ERROR bad: stopped: triple fault, rip 0x1\n", "[    0.5] bad: started, 16 MiB\n",
             "[n1] WORKLOAD ok profile=mixed\n[    0.6] n1: powered off\n[    0.7] bad: powered off\n")
    machine = Script(*log, *pieces, *again, "bellows> ")
    watcher = hostile.Watcher(machine, 5, 1, 0.0, ("n1",))
    watcher.run()
    return watcher.problems(), watcher


def check_hostile():
    problems, watcher = hostile_problems()
    yield "a hostile VM that dies alone passes", problems == []
    yield "its end is counted", watcher.ends["triple fault"] == 1 and watcher.starts == 2
    yield "a neighbour's wrong byte", hostile_problems("[n1] WORKLOAD FAIL wrong=1\n")[0] != []
    yield "a neighbour stopped", hostile_problems("[    0.3] ERROR n1: stopped: no memory\n")[0] != []
    yield "the hostile VM's own word", hostile_problems("[bad] WORKLOAD FAIL\n")[0] == []
    machine = Script("[    0.1] 1 of 1 CPUs online\n", "[    0.2] bad: started, 16 MiB\n")
    watcher = hostile.Watcher(machine, 5, 1, 60.0, ("n1",))
    watcher.run()
    yield "a machine that ends in the midst", any("midst" in line for line in watcher.problems())


def check_configs():
    text = "[host]\nx = 1\n[vm a]\nm = 1\n[vm b]\nm = 2\n"
    yield "autostop is added", "[host]\nautostop = yes\n" in runner.with_autostop(text, True)
    yield "autostop is replaced", runner.with_autostop("[host]\nautostop = no\n", True) == \
        "[host]\nautostop = yes\n"
    yield "guests are cut", "[vm b]" not in runner.with_guests(text, 1) and "[vm a]" in \
        runner.with_guests(text, 1)


def check_workload():
    program = machines.BUILD / "guests/workload"
    for what, argument, status, line in (
            ("a sound workload passes", "profile=mixed,mib=4,ops=2000", 0, "WORKLOAD ok"),
            ("a wrong byte fails it", "profile=mixed,mib=4,ops=10,corrupt=0", 1, "WORKLOAD FAIL"),
            ("nonsense fails it", "profile=mixed,mib=four", 1, "WORKLOAD FAIL")):
        done = subprocess.run([program, argument], stdout=subprocess.PIPE, text=True, check=False)
        yield what, done.returncode == status and done.stdout.startswith(line)


def main():
    os.chdir(ROOT)
    failed = 0
    for check in (check_judge, check_second_try, check_watcher, check_hostile, check_configs, check_workload):
        for what, good in check():
            print(f"{'ok  ' if good else 'FAIL'} {what}")
            failed += not good
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
