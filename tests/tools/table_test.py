"""qemu/run-table: make run's live table, on a terminal with room for it: it stands still above a console that scrolls
and takes commands, and tells what these do."""
import re
import sys
import time

from screen_tools import Terminal
from watch_tools import need

# Of a machine that has to boot on a busy host; else of an answer.
BOOT_SECONDS, ANSWER_SECONDS = 600, 240
ROWS = 36
CONFIG = r"""[host]
autostop = no
Mem.AllocGuestLargePage = 0

[vm waits]
memory = 48M
kernel = \bellows\bare.pvh
cmdline = bellows.workload=profile=mixed,mib=40,ops=100,seed=1,wait=1
sched.mem.min = 0

[vm spins]
memory = 16M
kernel = \bellows\bare.pvh
cmdline = bellows.bare=spin
"""
VM_COUNT = 2
TABLE_ROWS = VM_COUNT + 3
HOST_LINE = r"\A +(\d+\.\d) s  host 7\d\d MiB, free \d+, minFree \d+, state \w+; guests \d+ MiB"


def table_of(screen):
    """The host's seconds, and each VM's cells by the titles above them; what is not in its place is a failure."""
    lines = screen.split("\n")
    host = re.match(HOST_LINE, screen)
    need(host and lines[1].startswith("NAME "), f"no table at the top:\n{screen}")
    titles = lines[1].split()
    rows = [dict(zip(titles, line.split())) for line in lines[2:2 + VM_COUNT]]
    need([row.get("NAME") for row in rows] == ["waits", "spins"], f"other VMs:\n{screen}")
    need(lines[TABLE_ROWS - 1].strip() == "", f"the console is in the table:\n{screen}")
    return float(host[1]), {row["NAME"]: row for row in rows}


def below(pattern):
    """A pattern of a screen: it is so below the table."""
    return rf"\A(?:.*\n){{{TABLE_ROWS}}}(?:.*\n)*?{pattern}"


def look(terminal, after=-1.0):
    """table_of() of a screen that was not caught while it was drawn, and tells of a later time than that."""
    end = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            seconds, vms = table_of(terminal.screen())
            need(seconds > after, f"the table stands at {after} s")
            return seconds, vms
        except AssertionError:
            if time.monotonic() > end:
                raise
        time.sleep(0.2)


def use(terminal):
    terminal.wait_for(HOST_LINE + r"[^\0]*^waits +running ", BOOT_SECONDS)
    terminal.wait_for(below(r".*WORKLOAD waiting"), ANSWER_SECONDS)
    before, vms = look(terminal)
    need(vms["spins"]["STATE"] == "running" and vms["waits"]["MEMSZ"] == "48.0", f"{vms}")

    # What is typed gets to the console, and scrolls there; the table goes on above.
    terminal.type("Enter")
    for _ in range(2):
        terminal.type("help", "Enter")
        terminal.wait_for(below(r" +poweroff +[^\0]*\nbellows> *\n*\Z"), ANSWER_SECONDS)
    look(terminal, after=before)

    # What commands do is in it.
    need(float(vms["waits"]["ZIPPED"]) == 0, f"{vms}")
    terminal.type("reclaim waits 8M", "Enter")
    terminal.wait_for(below(r".*waits: reclaimed 8\.\d MiB"), ANSWER_SECONDS)
    terminal.wait_for(r"^waits +running +48\.0( +\d+\.\d){4} +[1-9]\d*\.\d", ANSWER_SECONDS)
    terminal.type("stop spins", "Enter")
    terminal.wait_for(r"^spins +off ", ANSWER_SECONDS)
    need(look(terminal)[1]["waits"]["STATE"] == "running", "who was not stopped")

    terminal.type("poweroff", "Enter")
    ended = terminal.wait_for(r"it ended with \d", ANSWER_SECONDS)
    need("it ended with 0" in ended and "run: report: " in ended, ended)


def run(directory):
    config = directory / "two.conf"
    config.write_text(CONFIG)
    command = f"{sys.executable} tests/emu/run.py --target tcg --config {config} --directory {directory / 'machine'}"
    with Terminal(directory, command, columns=140, rows=ROWS) as terminal:
        use(terminal)
