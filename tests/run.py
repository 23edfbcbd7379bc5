#!/usr/bin/env python3
"""make test: build what the chosen tests need, run them, count.

Names: unit/X, model/X and sim/X are host programs (tests/unit/test_X.c, tests/model/X.c ...), fuzz/X a bounded
run of tests/fuzz/fuzz_X.c from its kept corpus, qemu/X, bochs/X and kvm/X the cases of
tests/emu/cases.py on that machine, pkg/X tests a package. The last line is "N passed, N failed, N skipped", alone.
"""
import argparse
import concurrent.futures
import dataclasses
import fnmatch
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
os.chdir(ROOT)
sys.path[:0] = [str(ROOT / "tests/emu"), str(ROOT / "tests/bench"), str(ROOT / "tests/pkg"), str(ROOT / "tests/tools")]
import balloon
import cases
import emulated
import guest_tools
import live_tools
import machine as machines
import report_test
import swap
import table_test
import terminal
import tools_cases
import usb_image
import watch_tools
import zcache

BUILD = machines.BUILD
IMAGES = (str(BUILD / "bellows.elf"), str(BUILD / machines.DEBUG))
GROUPS = ("unit", "model", "sim", "fuzz", "pkg", "qemu", "kvm", "bochs")
HOST_TEST_SECONDS = 600
STATUSES = ("passed", "failed", "skipped")
TAIL_LINES = 40          # of a failed test's words, where it fails
LAST_LINES = 6           # and again at the end
CORES = int(os.environ.get("JOBS") or os.cpu_count() or 1)


@dataclasses.dataclass
class Test:
    name: str
    run: object              # () -> Result
    needs: tuple = ()        # make's targets
    long: bool = False


@dataclasses.dataclass
class Result:
    status: str              # passed, failed, skipped; timing: failed, but may pass where no other test runs
    detail: str = ""
    seconds: float = 0.0


# --- Host tests ---------------------------------------------------------------------------------

def run_program(command, timeout, environment=None):
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=timeout, check=False,
                              env={**os.environ, **(environment or {})})
    except subprocess.TimeoutExpired as late:
        text = (late.stdout or b"").decode(errors="replace")
        return Result("failed", f"{text}\nno end within {timeout} s")
    text = done.stdout.decode(errors="replace")
    return Result("passed" if done.returncode == 0 else "failed", f"{text}\nexit status {done.returncode}")


def has_sources(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.readline().startswith("/* SRCS:")


def host_tests():
    for group, prefix in (("unit", "test_"), ("model", ""), ("sim", "")):
        for path in sorted((ROOT / "tests" / group).glob("*.c")):
            if not has_sources(path):
                continue
            program = str(BUILD / "tests" / group / path.stem)
            name = re.sub(rf"^({prefix}|test_|model_)", "", path.stem)
            yield Test(f"{group}/{name}", lambda p=program: run_program([p], HOST_TEST_SECONDS), (program,))


def check_include_order():
    here = run_program([sys.executable, "tests/check/includes.py", "."], 60)
    if here.status != "passed":
        return here
    return run_program([sys.executable, "tests/check/includes.py", "tests/check/broken",
                        "--expect-broken"], 60)


def check_style():
    return run_program([sys.executable, "tests/check/style.py"], 120)


def check_atomics():
    return run_program([sys.executable, "tests/check/atomics.py", *IMAGES], 60)


def check_harness():
    """A runner that cannot fail proves nothing: feed it what must fail."""
    return run_program([sys.executable, "tests/check/harness.py"], 120)


def check_rebuild():
    return run_program([sys.executable, "tests/check/rebuild.py"], HOST_TEST_SECONDS)


def check_bench():
    return run_program([sys.executable, "tests/bench/selftest.py"], 60)


def fuzz_tests(options):
    for path in sorted((ROOT / "tests/fuzz").glob("fuzz_*.c")):
        if has_sources(path):
            name = path.stem[len("fuzz_"):]
            program = BUILD / "tests/fuzz" / path.stem
            yield Test(f"fuzz/{name}", lambda n=name, p=program: run_fuzzer(n, p, options), (str(program),))


def run_fuzzer(name, program, options):
    kept = ROOT / "tests/fuzz/corpus" / name
    work = BUILD / "fuzz" / name
    (work / "new").mkdir(parents=True, exist_ok=True)
    corpora = [str(work / "new")] + ([str(kept)] if kept.is_dir() else [])
    result = run_program(
        [str(program), f"-max_total_time={options.fuzz_seconds}", "-seed=1", "-timeout=20",
         "-rss_limit_mb=2048", "-print_final_stats=1", f"-artifact_prefix={work}/", *corpora],
        options.fuzz_seconds + 120)
    if options.keep_corpus and result.status == "passed":
        kept.mkdir(parents=True, exist_ok=True)
        run_program([str(program), "-merge=1", str(kept), str(work / "new")], 300)
        result.detail += f"\ncorpus: {len(list(kept.iterdir()))} inputs kept"
    return result


# --- Emulator tests -----------------------------------------------------------------------------

def emulator_tests():
    for case in cases.CASES:
        for target in case.targets:
            yield Test(f"{target}/{case.name}", lambda c=case, t=target: run_case(c, t),
                       (str(BUILD / ".all"),), case.long or target in case.long_on)
        if "qemu" in case.targets and not case.tcg_only:
            yield Test(f"kvm/{case.name}", lambda c=case: run_case(c, "kvm"), (), case.long)


def image_test():
    return Test("qemu/usb-image", lambda: Result(*usb_image.run(BUILD / "runs/qemu-usb-image")),
                (str(BUILD / ".image"),))


def terminal_test():
    return Test("qemu/make-run", lambda: Result(*terminal.run(BUILD / "runs/qemu-make-run")), (str(BUILD / ".all"),))


def table_test_of_run():
    return Test("qemu/run-table",
                lambda: Result(*watch_tools.passes(table_test.run)(BUILD / "runs/qemu-run-table")), (str(BUILD / ".all"),))


def stranger_test():
    return Test("qemu/tools-on-another-hypervisor",
                lambda: Result(*tools_cases.run_stranger(BUILD / "runs/qemu-tools-stranger")), (str(BUILD / ".guests"),))


def package_test():
    return Test("pkg/guest-tools", lambda: Result(*guest_tools.run()), (str(BUILD / ".guest-tools"),))


def watch_tests():
    for name, test in (("bellowstop", watch_tools.bellowstop), ("exporter", watch_tools.exporter),
                       ("alert-rules", watch_tools.alert_rules), ("run-report", report_test.run)):
        yield Test(f"pkg/{name}", lambda n=name, t=test: Result(*watch_tools.passes(t)(BUILD / "runs" / f"pkg-{n}")),
                   watch_tools.NEEDS)


def live_watch_test():
    return Test("qemu/monitor-tools", lambda: Result(*live_tools.run(BUILD / "runs/qemu-monitor-tools")),
                (str(BUILD / ".all"), *watch_tools.NEEDS))


def costs_test():
    """What make bench says of an exit, faults and the balloon, against the issues' targets."""
    def run():
        found = [emulated.bench_cpuid("bochs"), emulated.bench_touch("bochs"), emulated.bench_cow("bochs"),
                 balloon.bench_inflate_4k(), balloon.bench_inflate_2m(), zcache.bench_fault(), swap.bench_fault()]
        return Result("passed" if all(one.is_within for one in found) else "failed",
                      "\n".join(one.limit_line for one in found))
    return Test("bochs/exit-costs", run, tuple(str(BUILD / need) for need in emulated.NEEDS))


def has_bochs():
    """Build Bochs beforehand, so that no case's time holds the minutes that takes."""
    try:
        machines.bochs_prefix()
    except subprocess.CalledProcessError:
        return False
    return True


def run_case(case, target):
    if target == "kvm":
        problem = machines.kvm_problem()
        if problem:
            return Result("skipped", problem)
    if case.needs_sound_smp and machines.smp_problem(target):
        return Result("skipped", machines.smp_problem(target))
    return Result(*cases.run(case, target, BUILD / "runs" / f"{target}-{case.name}"))


# --- Running ------------------------------------------------------------------------------------

def matches(name, pattern):
    return not pattern or any(fnmatch.fnmatch(name, one) or one in name for one in pattern.split(","))


def build(tests):
    """Make what the tests need. Returns the targets that could not be made, with make's output."""
    targets = sorted({target for test in tests for target in test.needs})
    if not targets:
        return set()
    relative = [os.path.relpath(target) for target in targets]
    make = ["make", "--no-print-directory", f"BUILD={os.path.relpath(BUILD)}"]
    BUILD.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    done = subprocess.run(["flock", BUILD / ".lock", *make, "-k", f"-j{CORES}", *relative],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    print(f"built in {time.monotonic() - start:.1f} s")
    if done.returncode == 0:
        return set()
    print(done.stdout)
    # A stale program of an earlier build must not pass for the new one.
    return {target for target, name in zip(targets, relative)
            if subprocess.run([*make, "-q", name], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, check=False).returncode != 0}


def excerpt(text):
    """What to show of a failed test: a sanitizer's report from its beginning, else the end."""
    lines = text.rstrip().split("\n")
    for at, line in enumerate(lines):
        if "ERROR: " in line and "Sanitizer" in line or "runtime error:" in line:
            return lines[max(at - 5, 0):at + TAIL_LINES]
    return lines[-TAIL_LINES:]


def run_one(test, broken):
    start = time.monotonic()
    if broken.intersection(test.needs):
        return Result("failed", "it could not be built (make's words are above)")
    try:
        result = test.run()
    except Exception as problem:  # a broken harness is a failed test, and the others go on
        result = Result("failed", f"the harness failed: {problem!r}")
    result.seconds = time.monotonic() - start
    return result


def run_group(group, tests, broken, at_once):
    """Returns the tests with their results, in the order in which they ended."""
    start = time.monotonic()
    ended = []
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        running = {pool.submit(run_one, test, broken): test for test in tests}
        for future in concurrent.futures.as_completed(running):
            test, result = running[future], future.result()
            ended.append((test, result))
            note = f"  ({result.detail})" if result.status == "skipped" else ""
            print(f"{result.status:8}{test.name:40}{result.seconds:7.1f} s{note}", flush=True)
            if result.status in ("failed", "timing"):
                print("    | " + "\n    | ".join(excerpt(result.detail)), flush=True)
    print(f"-- {group}: {time.monotonic() - start:.1f} s", flush=True)
    return ended


def try_alone(ended, broken):
    """An emulator's machine and what is typed to it run side by side, and on a busy machine one may get too far ahead.
    Such a test has a second try, alone, which decides. A panic, a wrong byte, a lost guest has none."""
    decided = [(test, result) for test, result in ended if result.status != "timing"]
    late = [test for test, result in ended if result.status == "timing"]
    if late:
        print("-- once more, one at a time, what may have been too slow:", flush=True)
        for test, result in run_group("second try", late, broken, 1):
            decided.append((test, dataclasses.replace(result, status="failed" if result.status == "timing" else result.status)))
    return decided


def sum_up(ended):
    """The failed ones once more, for whoever sees only the end of all this; then the last line."""
    for test, result in ended:
        if result.status == "failed":
            print(f"failed  {test.name}\n    | " + "\n    | ".join(excerpt(result.detail)[-LAST_LINES:]))
    print(", ".join(f"{sum(result.status == status for _, result in ended)} {status}" for status in STATUSES))


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--match", default="", help="PATTERN[,PATTERN]: shell pattern or part of a name")
    parser.add_argument("--all", action="store_true", help="the long cases too")
    parser.add_argument("--list", action="store_true", help="print the names only")
    parser.add_argument("--fuzz-seconds", type=int, default=10)
    parser.add_argument("--keep-corpus", action="store_true")
    return parser.parse_args()


def main():
    options = parse_arguments()
    tests = [*host_tests(), Test("unit/include-order", check_include_order),
             Test("unit/style", check_style),
             Test("unit/atomics", check_atomics, IMAGES),
             Test("unit/harness", check_harness, (str(BUILD / "guests/workload"),)),
             Test("unit/rebuild", check_rebuild), Test("unit/bench", check_bench), *fuzz_tests(options), package_test(),
             *watch_tests(), *emulator_tests(), image_test(), terminal_test(), table_test_of_run(),
             stranger_test(), live_watch_test(), costs_test()]
    tests = [test for test in tests
             if matches(test.name, options.match) and (options.all or not test.long)]
    if options.list:
        print("\n".join(test.name for test in tests))
        return 0
    broken = build(tests)
    bochs_tests = [test for test in tests if test.name.startswith("bochs/")]
    if bochs_tests and not has_bochs():
        for test in bochs_tests:
            test.run = lambda: Result("failed", "Bochs could not be built (its words are above)")
    ended = []
    for group in GROUPS:
        chosen = [test for test in tests if test.name.startswith(group + "/")]
        if chosen:
            ended += run_group(group, chosen, broken, CORES)
    if not tests:
        print(f"no test matches {options.match!r}")
    ended = try_alone(ended, broken)
    sum_up(ended)
    return 1 if not tests or any(result.status == "failed" for _, result in ended) else 0


if __name__ == "__main__":
    sys.exit(main())
