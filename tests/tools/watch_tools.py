"""pkg/bellowstop, pkg/exporter, pkg/alert-rules: the tools that watch a host, against a recorded stream and a fake
host; qemu/bellowstop and qemu/exporter: against a hypervisor that runs."""
import csv
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import machine as machines
from fake_host import FakeHost, recording
from screen_tools import Terminal

HERE = pathlib.Path(__file__).resolve().parent
TOOLS = machines.ROOT / "guest-tools/monitor"
BELLOWSTOP, EXPORTER = machines.BUILD / "tools/bellowstop", machines.BUILD / "tools/bellows-exporter"
SECONDS = 60
NEEDS = (str(BELLOWSTOP), str(EXPORTER))


def need(holds, what):
    if not holds:
        raise AssertionError(what)


class Unavailable(Exception):
    """What the rest of a test needs is not to be had; all before it holds."""


def passes(test):
    """A test's result as the runner wants it; `test` gets a clean directory."""
    def run(directory):
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        try:
            test(directory)
        except AssertionError as problem:
            return "failed", str(problem)
        except Unavailable as reason:
            return "skipped", f"the rest holds, but {reason}"
        return "passed", ""
    return run


def run_tool(*words):
    return subprocess.run(list(map(str, words)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=SECONDS, check=False)


# --- bellowstop ---------------------------------------------------------------------------------

def batch(directory):
    """What a recording holds, to the digit: rates are differences by the host's own clock."""
    path = directory / "recorded"
    recording(path)
    done = run_tool(BELLOWSTOP, "-b", path)
    need(done.returncode == 0 and not done.stderr, f"{done}")
    rows = list(csv.DictReader(done.stdout.splitlines()))
    need([row["vm"] for row in rows] == ["alpha", "beta"] * 3, done.stdout)
    first, last = rows[0], rows[4]
    need(first["swap_read_mib_per_s"] == "0.00", "a rate with nothing before it")
    for key, value in {"time_s": "3.000", "host_state": "soft", "host_free_mib": "96.0", "health": "oops",
                       "memory_mib": "256.00", "consumed_mib": "100.00", "swap_read_mib_per_s": "1.00",
                       "swap_wait_pct": "25.00", "swap_in_p99_us": "512.00"}.items():
        need(last[key] == value, f"{key} is {last[key]}, not {value}")
    need([row["balloon_mib"] for row in rows[1::2]] == ["10.00", "20.00", "30.00"], done.stdout)
    need(len(run_tool(BELLOWSTOP, "-b", "-n", "2", path).stdout.splitlines()) == 5, "-n 2")


def refused(named, *words):
    done = run_tool(*words)
    need(done.returncode == 2 and named in done.stderr, f"{words}: {done}")


def wrong_use(directory):
    empty = directory / "empty"
    empty.write_bytes(b"nothing of Bellows'\n" * 10)
    need(run_tool(BELLOWSTOP, "-b", empty).returncode == 1, "a recording with no sample")
    for tool in (BELLOWSTOP, EXPORTER):
        for words, named in (((), "LINE"), (("-x", "y"), "'x'"), (("-d", "0", "y"), "-d 0"), (("-d", "nan", "y"), "-d nan"),
                             (("--delay=", "y"), "-d"), (("a", "b"), "b: one LINE")):
            refused(named, tool, *words)
        need("Usage: " + tool.name in run_tool(tool, "--help").stdout, "--help")
        need(run_tool(tool, "--version").stdout.startswith(tool.name + " "), "--version")
    for count in ("many", "", "-1", "1x"):
        refused(f"-n {count}", BELLOWSTOP, "-n", count, "y")
    for where in ("1:2:3", "localhost", "127.0.0.1:99999", "127.0.0.1:", "127.0.0.1:1x"):
        refused(f"-l {where}", EXPORTER, "-l", where, "y")


def order(screen):
    return re.findall(r"^(alpha|beta) ", screen, re.M)


def screen(directory):
    socket_path = os.path.relpath(directory / "line")
    with Terminal(directory, f"{BELLOWSTOP} {socket_path}") as terminal:
        terminal.wait_for(r"No such file", SECONDS)
        host = FakeHost(socket_path)
        host.start()
        shown = terminal.wait_for(r"^alpha +running +oops +256\.0 +128\.0 +100\.0", SECONDS)
        need(re.search(r"768\.0 MiB, free 96\.0, minfree 46\.0, state hard, overcommit 1\.02, health oops", shown), shown)
        terminal.wait_for(r"^alpha .*[▁▂▃▄▅▆▇█]{3}", SECONDS)
        need(order(shown) == ["alpha", "beta"], "not sorted by CNSM")
        terminal.type("r")
        terminal.wait_for(r"^beta .*\n^alpha ", SECONDS)
        terminal.type("r", "<", "<")
        terminal.wait_for(r"^beta .*\n^alpha ", SECONDS)    # by MEMSZ
        terminal.type("h")
        terminal.wait_for(r"^ +%SWPWT +time that it waited for pages", SECONDS)
        terminal.type("h")
        terminal.wait_for(r"^alpha ", SECONDS)
        seq = host.seq
        host.hang_up.set()
        terminal.wait_for(r"bellowstop +\S+$", SECONDS)
        end = time.monotonic() + SECONDS
        while host.seq < seq + 3:
            need(time.monotonic() < end, "it did not connect again")
            time.sleep(0.1)
        host.end()
        terminal.wait_for(r"No such file|has gone|refused", SECONDS)
        terminal.type("q")
        terminal.wait_for(r"it ended with 0", SECONDS)
        need({"subscribe": "stats", "period_ms": 1000} in host.asked, f"asked for {host.asked}")


def bellowstop(directory):
    batch(directory)
    wrong_use(directory)
    screen(directory)


# --- bellows-exporter ---------------------------------------------------------------------------

class Exporter:
    """A running one; .get(path) asks it."""

    def __init__(self, directory, line, *words):
        self.errors = directory / "exporter.log"
        with open(self.errors, "wb") as log:
            self.process = subprocess.Popen([*machines.DIE_WITH_US, EXPORTER, "-l", "127.0.0.1:0", *words, line],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.port = int(self._said(r"listening on port (\d+)")[1])

    def _said(self, pattern):
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            found = re.search(pattern, self.errors.read_text())
            if found:
                return found
            time.sleep(0.05)
        raise AssertionError(f"the exporter did not say {pattern}: {self.errors.read_text()}")

    def get(self, path="/metrics", method="GET"):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return answer.read().decode()

    def status(self, path, method="GET"):
        try:
            self.get(path, method)
        except urllib.error.HTTPError as problem:
            return problem.code
        return 200

    def wait_for(self, pattern):
        end = time.monotonic() + SECONDS
        while True:
            text = self.get()
            if re.search(pattern, text, re.M):
                return text
            need(time.monotonic() < end, f"not told within {SECONDS} s: {pattern}\n{text}")
            time.sleep(0.1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        need(self.process.wait(SECONDS) == 0, "the exporter's exit status")


def need_promtool(*words, text=None):
    found = subprocess.run([machines.ROOT / "tests/pkg/promtool.sh"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           text=True, check=False)
    if found.returncode:
        raise Unavailable("promtool is not to be had from Debian's package prometheus: " + " ".join(found.stderr.split())[-200:])
    done = subprocess.run([found.stdout.strip(), *words], input=text, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=SECONDS, check=False)
    need(done.returncode == 0, f"promtool: {done.stdout}")


def values_of(text):
    return {key: float(value) for key, value in re.findall(r"^([a-z0-9_]+(?:\{[^}]*\})?) (\S+)$", text, re.M)}


def exporter(directory):
    path = os.path.relpath(directory / "line")
    with Exporter(directory, path, "-d", "0.5") as one:
        need(values_of(one.get()) == {"bellows_up": 0, "bellows_exporter_samples_total": 0}, one.get())
        host = FakeHost(path)
        host.start()
        text = one.wait_for(r"^bellows_up 1$")
        values = values_of(text)
        for key, value in {"bellows_host_memory_bytes": 768 << 20, 'bellows_host_memory_state{state="hard"}': 1,
                           'bellows_host_memory_state{state="high"}': 0, 'bellows_vm_memory_bytes{vm="beta"}': 512 << 20,
                           'bellows_vm_balloon_bytes{vm="beta"}': 20 << 20, 'bellows_vm_health{vm="alpha"}': 3,
                           'bellows_vm_swap_in_latency_p99_seconds{vm="alpha"}': 0.000512}.items():
            need(values.get(key) == value, f"{key} is {values.get(key)}, not {value}\n{text}")
        seconds = values["bellows_host_uptime_seconds"]
        need(abs(values['bellows_vm_swap_in_bytes_total{vm="alpha"}'] - seconds * 10 * (1 << 20)) < 1, text)
        need(one.status("/other") == 404 and one.status("/metrics", "POST") == 405 and one.status("/") == 200, "statuses")
        with socket.create_connection(("127.0.0.1", one.port)) as rude:
            rude.sendall(b"\x00\xff\r\n\r\n GET")
        host.hang_up.set()
        samples = values_of(one.get())["bellows_exporter_samples_total"]
        one.wait_for(rf"^bellows_exporter_samples_total (?!{samples:.0f}$)")
        host.end()
        one.wait_for(r"^bellows_up 0$")
    need_promtool("check", "metrics", text=text)


def alert_rules(_directory):
    metrics = set(re.findall(r'"(bellows_\w+)"', (TOOLS / "metrics.c").read_text()))
    for name in ("alerts.yml", "dashboard.json"):
        used = set(re.findall(r"bellows_[a-z0-9_]+", (TOOLS / name).read_text())) - {"bellows_memory"}
        need(used and used <= metrics, f"{name} uses what is not told: {used - metrics}")
    json.loads((TOOLS / "dashboard.json").read_text())
    need_promtool("check", "rules", TOOLS / "alerts.yml")
