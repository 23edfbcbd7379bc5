"""qemu/monitor-tools: bellowstop in a terminal, then the exporter, against a hypervisor that runs. On one machine, for
they only know the line."""
import cases
import monitor
import monitor_cases
import watch_tools
from screen_tools import Terminal
from watch_tools import need

ANSWER_SECONDS = monitor_cases.ANSWER_SECONDS


def use_tools(line, slow):
    """Both see what is there, and the exporter what was reclaimed meanwhile."""
    wait = ANSWER_SECONDS * slow
    line.close()
    directory, path = line.machine.directory, line.machine.monitor_path()
    with Terminal(directory, f"{watch_tools.BELLOWSTOP} {path}") as terminal:
        terminal.wait_for(r"host: 7\d\d\.\d MiB, .* state high, overcommit 0\.1\d, health awesome", wait)
        terminal.wait_for(r"^g1 +running +awesome +64\.0 ", wait)
        terminal.type("q")
        terminal.wait_for(r"it ended with 0", wait)
    again = monitor.Line(line.machine)
    again.hello(wait)
    while "reclaimed" not in again.command("log", wait):
        again.command("reclaim g1 4M", wait)
    again.close()
    with watch_tools.Exporter(directory, path, "-d", "0.5") as exporter:
        text = exporter.wait_for(r'^bellows_vm_compressed_bytes_total\{vm="g1"\} [1-9]')
        need('bellows_vm_running{vm="g2"} 1' in text and 'state="high"} 1' in text, text)
    line.machine.write(b"\rpoweroff\r")


CASE = cases.Case(
    "monitor-tools", cases.host(autostop="no") +
    cases.bare("g1", cases.workload(mib=48, ops=2000, wait=1, overwrite=1), "64M", cases.PVH, **{"sched.mem.min": 0}) +
    cases.bare("g2", "spin", kernel=cases.PVH), monitor=True, forbid=(cases.PANIC,), verdict="stopped",
    expect=("g1: reclaimed", "g1: powered off with the host"),
    watcher=lambda machine, timeout, slow: monitor_cases.Talker(machine, timeout, slow, use_tools, ()))


def run(directory):
    return cases.run(CASE, "qemu", directory)
