"""The emulator cases: what is booted, what is typed, what must and must not be seen.

A case runs as qemu/NAME, bochs/NAME and, where KVM with nesting works, kvm/NAME. `expect` are regular
expressions that must each be found in the serial log, in this order; `forbid` must not be found at
all. `verdict` is how the run must end (see session.Outcome.end). Workloads are bounded by operations,
not by time: the machines differ by a factor of ten.
"""
import dataclasses
import re

import balloon_cases
import disk_cases
import host_cases
import hostile
import machine as machines
import matrix_cases
import monitor_cases
import nvme_cases
import reclaim_cases
import reclaim_fault_cases
import sched_cases
import session
import swap_cases
import swap_fault_cases
import share_cases
import smp_cases
import soak_cases
import start_cases
import tools_cases
import vcpu_cases
import virtio_cases
from steps import ENDED, press

# Bochs runs about a tenth as fast as QEMU, but the firmware comes up sooner.
BOCHS_PATIENCE = 4
# The kernel's self-tests of its ciphers take as long as all the rest of its start.
FAST_BOOT = "console=ttyS0 quiet nokaslr cryptomgr.notests"
PROMPT = r"^bellows> "


@dataclasses.dataclass
class Case:
    name: str
    config: object                       # text, or None for no file at all
    expect: tuple = ()
    forbid: tuple = ()
    verdict: str = "ok"
    script: tuple = ()                   # (regex to wait for, line to type)
    until: object = None                 # a regex that ends the run, instead of a verdict
    targets: tuple = ("qemu", "bochs")
    hostile: bool = False                # a guest says what it likes, and is stopped for what it does
    memory: int = 768
    cpus: object = None
    needs_sound_smp: bool = False        # skipped on a QEMU whose several CPUs are not (machine.smp_problem())
    timeout: int = 180                   # seconds of a CPU that QEMU may take
    files: dict = dataclasses.field(default_factory=dict)   # more or other files on the ESP
    qemu_cpu: str = "max,-la57"
    qemu_args: tuple = ()
    bochs_cpu: str = machines.BOCHS_CPU
    disks: tuple = ()                    # of disk.Disk
    monitor: bool = False                # with a second serial line, for the watcher
    tcg_only: bool = False               # has a reason not to run under KVM
    long: bool = False                   # make test-all only
    long_on: tuple = ()                  # the same, on these targets
    check: object = None                 # (text) -> what is wrong with what was printed, as lines
    watcher: object = None               # makes another session.Watcher: (machine, timeout, slowness)


def host(**keys):
    return "[host]\n" + "".join(f"{key.replace('_', '.')} = {value}\n" for key, value in
                                {"autostop": "yes", **keys}.items())


def vm(name, does, memory="256M", kernel=r"\bellows\vmlinuz", initrd=r"\bellows\initrd.img", extra="",
       **keys):
    """One VM's section. `does` is its workload or action, as tests/emu/guests/init takes it."""
    lines = {"memory": memory, "vcpus": 1, "kernel": kernel, "initrd": initrd,
             "cmdline": " ".join(filter(None, [FAST_BOOT, extra, f"bellows.{does}"])), **keys}
    return f"\n[vm {name}]\n" + "".join(f"{key.replace('__', '.')} = {value}\n"
                                       for key, value in lines.items() if value is not None)


BZIMAGE, PVH, MULTIBOOT = r"\bellows\bare.img", r"\bellows\bare.pvh", r"\bellows\bare.mb"


def bare(name, does, memory="16M", kernel=BZIMAGE, initrd=None, **keys):
    """A VM with the bare test guest (tests/emu/guests/bare): up in no time, knows `does` only."""
    does = does if "=" in does else f"bare={does}"
    return vm(name, does, memory, kernel=kernel, initrd=initrd, **keys)


def workload(seed=1, mib=48, ops=8000, profile="mixed", **more):
    return "workload=" + ",".join(f"{key}={value}" for key, value in
                                  dict(profile=profile, mib=mib, ops=ops, seed=seed, **more).items() if value is not None)


def hostile_config(seed, deeds, linux=False, trace=False, vcpus=1):
    """A hostile VM and its neighbours: (the configuration, the neighbours' names)."""
    text = host(autostop="no") + bare("bad", f"hostile=ops={deeds}" + (",trace=1" if trace else ""), kernel=PVH,
                                      extra=f"seed={seed}", vcpus=vcpus)
    text += bare("n1", workload(seed=11, mib=8, ops=20000, profile="unique"), "16M", PVH)
    text += bare("n2", workload(seed=12, mib=16, ops=20000), "24M", MULTIBOOT)
    if linux:
        text += vm("n3", workload(seed=13, mib=32, ops=20000))
    return text, ("n1", "n2", *(("n3",) if linux else ()))


def hostile_case(name, seed, seconds, linux=False, vcpus=1, **more):
    config, neighbours = hostile_config(seed, 2000, linux, vcpus=vcpus)

    def watcher(machine, timeout, slow):
        return hostile.Watcher(machine, timeout, seed, seconds * (2 if slow > 1 else 1), neighbours, slow)
    return Case(name, config, verdict="stopped", forbid=(PANIC,), watcher=watcher, **more)


def no_gap_beyond(ms):
    """No time in which the guest `gap` had to stand aside was longer: slices of others, and lines on the screen.
    Bochs' clock counts instructions; QEMU's is the wall's, and says nothing on a busy machine."""
    def check(text):
        if "AMD-V" in text:
            return []
        worst = [int(us) for us in re.findall(r"GAP worst, in us: (\d+)", text)]
        return [] if worst and max(worst) <= ms * 1000 else [f"gaps of {worst} us, more than {ms} ms or none told"]
    return check


CONFIG_ONE = host() + vm("g1", workload())
PANIC = "BELLOWS PANIC"
# When the good VM has ended, the other must still be there, and be one that can be stopped.
SOON_STOP_BAD = ((r"good: powered off", "\r"), (PROMPT, "vms\r"), (r"\bbad +running", "stop bad\r"),
                 (r"bad: powered off", "\r"), (PROMPT, "poweroff\r"))
WELL = workload(seed=2, mib=16, ops=2000)

CASES = [
    Case("linux-one", CONFIG_ONE, expect=(r"g1.*WORKLOAD ok|WORKLOAD ok",)),
    Case("linux-four", host() + "".join(
        vm(f"g{i}", workload(seed=i, mib=32, ops=4000), sched__mem__min="120M") for i in range(1, 5)),
        memory=768, timeout=180),
    Case("linux-two-cpus", CONFIG_ONE, cpus=2, expect=(r"(?i)\b2 CPUs\b",)),

    # A wrong byte in one guest must be seen, be that guest's alone, and turn the verdict.
    Case("wrong-byte-is-noticed", host() + vm("bad", workload(corrupt=100, mib=16, ops=500)) +
         vm("good", WELL), verdict="failed", expect=(r"(?m)^.*\bbad\b.*(?i:fail)", r"(?m)^.*\bgood\b.*\bok\b")),

    # The other ways to start a kernel, and what a kernel is handed with each.
    Case("multiboot-workload", host() + bare("g1", workload(mib=48), "64M", MULTIBOOT),
         expect=(r"bare, by multiboot", r"WORKLOAD ok profile=mixed mib=48 ops=8000 writes=\d+ .*wrong=0")),
    Case("pvh-workload", host() + bare("g1", workload(mib=48), "64M", PVH) +
         bare("g2", workload(seed=2, mib=8), "16M", BZIMAGE),
         expect=(r"g1\] .*bare, by pvh", r"g1\] WORKLOAD ok profile=mixed mib=48 ops=8000")),
    *(Case(f"{how}-modules", host() + bare("g1", "modules", "24M", kernel, r"\bellows\one",
                                           modules=r"\bellows\two a few words, three"),
           files={"bellows/one": b"Bellows" * 1000, "bellows/two": b"x", "bellows/three": bytes(2 << 20)},
           expect=(rf"MODULES 3 by {how} memory_mib=24", r"MODULE bytes=7000 sum=3113675776 aligned=1 words=$",
                   r"MODULE bytes=1 sum=120 aligned=1 words=a few words$",
                   r"MODULE bytes=2097152 sum=0 aligned=1 words=$"))
      for how, kernel in (("pvh", PVH), ("multiboot", MULTIBOOT))),
    Case("linux-pvh", host() + vm("g1", workload(), kernel=r"\bellows\vmlinux"),
         files={"bellows/vmlinux": machines.BUILD / "guests/vmlinux"}, expect=(r"g1.*WORKLOAD ok",)),
    Case("kernel-elf-is-none", host() + vm("bad", WELL, kernel=r"\bellows\bellows.elf") + bare("good", WELL, "32M", PVH),
         verdict="failed", expect=(r"\bbad\b.*PVH note", r"\bgood\b.*\bok\b"), forbid=(PANIC,)),
    Case("module-missing", host() + bare("bad", "ok", kernel=PVH, modules="absent") + bare("good", WELL, "32M", PVH),
         verdict="failed", expect=(r"\bbad\b.*module absent: no such file", r"\bgood\b.*\bok\b"), forbid=(PANIC,)),

    # What a guest may ask of its machine.
    Case("platform", host() + vm("g1", "action=ports,clock,avx", extra=f"bellows.{WELL}"),
         expect=("ACTION ports ok", "ACTION clock ok", "ACTION avx ok"), timeout=120),
    Case("vectors-of-two-guests", host() + vm("g1", "action=avx", extra=f"bellows.{WELL}") +
         vm("g2", "action=avx", extra=f"bellows.{WELL}"),
         expect=("ACTION avx ok", "ACTION avx ok"), timeout=120),

    # A guest that resets itself by the ACPI register, the keyboard controller, port CF9H, or as Linux does unasked
    # (here by a jump to the reset vector), comes up again.
    Case("guest-resets", host(autostop="no") + "".join(vm(f"g{i}", "action=reboot", "128M", extra=how)
                                                       for i, how in enumerate(("reboot=a", "reboot=k", "reboot=p", ""), 1)),
         verdict="until", forbid=(PANIC,),
         until=r"\A" + "".join(rf"(?=[^\0]*\bg{i}: reset\n[^\0]*\[g{i}\] BELLOWS-GUEST up)" for i in range(1, 5))),

    # Every kind of event, delivered through absent IDT, TSS, stack, GDT, page tables.
    Case("events-through-absent-pages", "[host]\nautostop = yes\nMem.AllocGuestLargePage = 0\n" +
         bare("g1", "events", **{"debug.hypercalls": "yes"}), expect=(r"WORKLOAD ok profile=events",)),
    Case("interrupts-behind-sti", host() + bare("g1", "shadow"), expect=(r"WORKLOAD ok profile=shadow tests=14000 wrong=0",)),
    Case("emulated-instructions", host(**{"Mem.AllocGuestLargePage": 0}) +
         bare("g1", "io", **{"debug.hypercalls": "yes"}), expect=(r"across a page\]", r"WORKLOAD ok profile=io")),
    Case("linux-with-pages-hidden", host() + vm("g1", WELL, **{"debug.hide": 3000})),

    # Misdeeds: that VM ends with its reason, the other one goes on and verifies.
    Case("guest-touches-beyond-memory", host() + vm("bad", "action=oob") + vm("good", WELL),
         verdict="failed", expect=(r"\bbad\b.*0x80000000", r"\bgood\b.*\bok\b"), forbid=(PANIC,)),
    Case("guest-triple-faults", host() + vm("bad", "action=reboot", extra="reboot=t") + vm("good", WELL),
         verdict="failed", expect=(r"\bbad\b.*(?i:triple fault)", r"\bgood\b.*\bok\b"), forbid=(PANIC,)),
    Case("guest-unknown-mmio", host() + vm("bad", "action=mmio", extra="iomem=relaxed") + vm("good", WELL),
         verdict="failed", expect=(r"\bbad\b.*(?i:instruction|decode)", r"\bgood\b.*\bok\b"), forbid=(PANIC,)),
    *(Case(f"guest-{name}", host() + bare("bad", name) + bare("good", "ok"), verdict="failed",
           expect=(rf"^bad .*verdict stopped: .*{reason}", r"^good .*verdict ok"), forbid=(PANIC,))
      for name, reason in (("triple", "triple fault"), ("oob", "80000000"), ("jump", "80000000"),
                           ("walk", "80000000"), ("mmio", "f0 0f c1"),
                           ("halt", "halt"))),
    # QEMU's TCG checks no alignment, and a guest's breakpoints are not sound there.
    *(Case(f"guest-{name}-loop", host() + bare("bad", name) + bare("good", "ok"), verdict="failed", targets=("bochs",),
           expect=(rf"^bad .*verdict stopped: exception {vector} raises itself", r"^good .*verdict ok"),
           forbid=(PANIC,)) for name, vector in (("debug", 1), ("align", 17))),
    Case("guest-hangs", host(autostop="no") + vm("bad", "action=hang") + vm("good", WELL),
         script=SOON_STOP_BAD, verdict="stopped", expect=(r"\[good\] WORKLOAD ok", "powering off")),
    Case("guest-spins-with-interrupts-off", host(autostop="no") + bare("bad", "spin") + vm("good", WELL),
         script=SOON_STOP_BAD, verdict="stopped", expect=(r"\[good\] WORKLOAD ok", "powering off")),

    # A VM starts, resets and ends in slices, for which its neighbours do not wait. The figures are QEMU's or Bochs's.
    Case("neighbours-of-a-start", host(autostop="no") + vm("g1", "action=idle", autostart="no") + bare("n1", "gap"),
         # Both lines at once: a machine that runs ahead of us has started g1 before the second could follow.
         script=((r"\[n1\] GAP begins", "\r"), (PROMPT, "start g1\rvms\r"), (r"\bg1 +starting", None),
                 (r"g1: started", "\r"), (PROMPT, "reset g1\r"), (r"g1: reset", "\r"), (PROMPT, "stop g1\r"),
                 (r"g1: powered off by command", "\r"), *press(PROMPT, "n1", ENDED), (PROMPT, "poweroff\r")),
         verdict="stopped", expect=(r"g1: started", r"GAP worst"), timeout=90, forbid=(PANIC,)),

    # A reset and an end clear 96 MiB of small pages: in one piece that is 43 ms in Bochs, by slices 14.
    Case("neighbours-of-an-end", host(autostop="no", Mem_AllocGuestLargePage=0) + bare("n1", "gap") +
         bare("g1", workload(mib=96, ops=10, wait=1), "128M", PVH, autostart="no"),
         script=((r"\[n1\] GAP begins", "\r"), (PROMPT, "start g1\r"), (r"\[g1\] WORKLOAD waiting", "\r"),
                 (PROMPT, "reset g1\r"), (r"g1: reset", "\r"), (r"\[g1\] WORKLOAD waiting", "\r"),
                 # It starts again when its memory is free, not before.
                 (PROMPT, "stop g1\r"), (r"g1: powered off by command", "\r"), (PROMPT, "start g1\r"),
                 (r"\[g1\] WORKLOAD waiting", "\r"), (PROMPT, "frames\r"), (r"all accounted for", "\r"),
                 (PROMPT, "stop g1\r"), (r"g1: powered off by command", "\r"), *press(PROMPT, "n1", ENDED),
                 (PROMPT, "poweroff\r")),
         verdict="stopped", forbid=(PANIC, "NOT ALL"), check=no_gap_beyond(20)),

    # Everything that a guest must not do, at random; the seeds are the same each time, so a fault comes again.
    hostile_case("hostile", 1000, 20),
    hostile_case("hostile-vcpus", 3000, 20, vcpus=2),  # it sends INIT and SIPI, too
    hostile_case("hostile-beside-linux", 2000, 120, linux=True, timeout=300, long=True),

    # The console.
    Case("console", host(autostop="no") + vm("g1", "action=idle"), verdict="stopped",
         script=((PROMPT, "help\r"), (r"memtop", None), (PROMPT, "vms\r"), (r"\bg1\b", None),
                 (PROMPT, "memtop\r"), (r"\bg1\b", None), (PROMPT, "frames\r"), (r"all accounted for", None),
                 (r"\[g1\] BELLOWS-GUEST up", "\r"),
                 (PROMPT, "console g1\r"), (r"BELLOWS-GUEST up", "\x1d"), (r"detached from g1", "\r"),
                 (PROMPT, "cpus\r"), (r"0 +0 online", None), (PROMPT, "log\r"),
                 (r"g1: started", None), (PROMPT, "stop g1\r"), (r"g1: powered off", "\r"),
                 (PROMPT, "start g1\r"), (r"g1: started", "\r"), (r"\[g1\] BELLOWS-GUEST up", "\r"),
                 (PROMPT, "reset g1\r"), (r"\[g1\] BELLOWS-GUEST up", "\r"),
                 (PROMPT, "nonsense\r"), (r'unknown command "nonsense"', None), (PROMPT, "poweroff\r")),
         expect=("^powering off",), forbid=(PANIC,)),

    # The hypervisor's own memory against its budget, every frame accounted for, on hosts of all sizes: with
    # memory above the hole below 4 GiB, and with so much that no table of a guessed size would do.
    *(Case(f"own-memory-{name}", host(autostop="no") + "".join(vm(f"g{i}", "action=idle") for i in (1, 2)),
           memory=memory, targets=("qemu",), tcg_only=True, verdict="stopped", qemu_args=args,
           script=((r"\[g2\] BELLOWS-GUEST up", "\r"), (PROMPT, "frames\r"), (r"hypervisor's own:", None),
                   (PROMPT, "poweroff\r")),
           expect=(r"all accounted for", r"hypervisor's own: .*: within"),
           forbid=(PANIC, "ABOVE", "NOT ALL"))
      for name, memory, args in (
          ("768-mib", 768, ()), ("6-gib", 6144, ()),
          ("80-gib", 81920, ("-object", "memory-backend-ram,id=ram,size=80G,reserve=off",
                             "-machine", "memory-backend=ram")))),

    # Firmware that leaves x2APIC mode on: it stays so, also on the other CPU. (QEMU 7.2's TCG has no x2APIC.)
    Case("x2apic-left-on", CONFIG_ONE, targets=("bochs",), cpus=2,
         files={"EFI/BOOT/BOOTX64.EFI": machines.BUILD / "x2apic_on.efi",
                "EFI/BOOT/BELLOWS.EFI": machines.BUILD / "BOOTX64.EFI"},
         expect=("x2APIC mode is on", r"2 of 2 CPUs online \(x2APIC\)", "WORKLOAD ok"), forbid=(PANIC,)),

    # Bad input.
    Case("config-missing", None, verdict="refused", expect=(r"bellows\.conf: no such file",),
         forbid=(PANIC,)),
    Case("hypervisor-missing", CONFIG_ONE, verdict="refused", files={"bellows/bellows.elf": None},
         expect=(r"bellows\.elf: no such file",)),
    Case("hypervisor-is-none", CONFIG_ONE, verdict="refused",
         files={"bellows/bellows.elf": b"\x7fELF, it says" * 1000},
         expect=(r"bellows\.elf cannot be started: ",)),
    Case("config-unknown-key", host() + vm("bad", WELL, colour="blue") + vm("good", WELL),
         verdict="failed", expect=(r"bellows\.conf:\d+:.*colour", r"\bgood\b.*\bok\b"), forbid=(PANIC,)),
    Case("config-bad-value", host() + vm("bad", WELL, memory="lots") + vm("good", WELL),
         verdict="failed", expect=(r"bellows\.conf:\d+:.*memory", r"\bgood\b.*\bok\b"), forbid=(PANIC,)),
    Case("kernel-is-none", host() + vm("bad", WELL, kernel=r"\bellows\bellows.conf") + vm("good", WELL),
         verdict="failed", expect=(r"\bbad\b.*(?i:kernel)", r"\bgood\b.*\bok\b"), forbid=(PANIC,)),
    Case("kernel-missing", host() + vm("bad", WELL, kernel=r"\bellows\absent") + vm("good", WELL),
         verdict="failed", expect=(r"absent", r"\bgood\b.*\bok\b"), forbid=(PANIC,)),
    Case("initrd-too-large", host() + vm("bad", WELL, initrd=r"\bellows\huge", memory="96M") + vm("good", WELL),
         verdict="failed", files={"bellows/huge": bytes(100 << 20)},
         expect=(r"\bbad\b.*(?i:initrd)", r"\bgood\b.*\bok\b"), forbid=(PANIC,)),
    Case("memory-does-not-fit", host() + vm("good", WELL) + vm("bad", WELL, memory="4G"),
         verdict="failed", expect=(r"\bbad\b.*(?i:memory|MiB|fit)", r"\bgood\b.*\bok\b"), forbid=(PANIC,)),
    # More promised to nobody than there is: it starts, and is stopped when the last frame is gone.
    Case("memory-runs-out", host() + bare("bad", workload(mib=380, profile="unique"), "400M", PVH,
                                          sched__mem__min="16M") + bare("good", "ok"), memory=256,
         verdict="failed", forbid=(PANIC,),
         expect=(r"^bad .*verdict stopped: the host has no free memory for it", r"^good .*verdict ok")),
    Case("no-virtualisation", CONFIG_ONE, qemu_cpu="max,-la57,-svm", bochs_cpu="athlon64_clawhammer",
         tcg_only=True, verdict="refused", expect=(r"cannot run here: .*(VT-x|AMD-V)",)),
    Case("no-nested-paging", CONFIG_ONE, qemu_cpu="max,-la57,-npt", bochs_cpu="core2_penryn_t9600",
         tcg_only=True, verdict="refused", expect=(r"cannot run here: .*(EPT|nested paging)",)),

    *(Case(**arguments) for arguments in balloon_cases.cases(host, bare, workload, PVH, WELL, PROMPT, PANIC)),
    *(Case(**arguments) for arguments in disk_cases.cases(host, vm, WELL, PROMPT, PANIC)),
    *(Case(**arguments) for arguments in swap_cases.cases(host, bare, WELL, PROMPT, PANIC)),
    *(Case(**arguments) for arguments in swap_fault_cases.cases(host, bare, workload, PROMPT, PANIC, PVH)),
    *(Case(**arguments) for arguments in start_cases.cases(host, bare, workload, PROMPT, PANIC, PVH)),
    *(Case(**arguments) for arguments in share_cases.cases(host, vm, bare, workload, PVH, PROMPT, PANIC)),
    *(Case(**arguments) for arguments in tools_cases.cases(host, vm, bare, workload, PVH, PROMPT, PANIC)),
    *(Case(**arguments) for arguments in virtio_cases.cases(host, vm, bare, WELL, PROMPT, PANIC)),
    *(Case(**arguments) for arguments in host_cases.cases(host, vm, bare, PROMPT, PANIC)),
    *(Case(**arguments) for arguments in reclaim_cases.cases(host, vm, bare, workload, PROMPT, PANIC, PVH)),
    *(Case(**arguments) for arguments in reclaim_fault_cases.cases(host, bare, workload, PROMPT, PANIC, PVH)),
    *(Case(**arguments) for arguments in monitor_cases.cases(host, bare, workload, PROMPT, PANIC, PVH)),
    *(Case(**arguments) for arguments in sched_cases.cases(host, bare, PROMPT, PANIC, PVH)),
    *(Case(**arguments) for arguments in nvme_cases.cases(host, vm, PROMPT, PANIC)),
    *(Case(**arguments) for arguments in smp_cases.cases(host, vm, bare, workload, PROMPT, PANIC, PVH)),
    *(Case(**arguments) for arguments in vcpu_cases.cases(host, vm, bare, workload, PROMPT, PANIC, PVH)),
    *(Case(**arguments) for arguments in soak_cases.cases(host, vm, bare, PANIC, PVH)),
    *(Case(**arguments) for arguments in matrix_cases.cases(host, vm, bare, workload, PROMPT, PANIC, PVH)),
]
CASES += smp_cases.again(CASES)


def judge(case, outcome):
    """What is wrong with that outcome, as lines; none if it is what the case says."""
    problems = []
    if outcome.end != case.verdict:
        problems.append(f"ended with {outcome.end!r}, not {case.verdict!r}")
    if outcome.end in ("ok", "failed") and not outcome.powered_off:
        problems.append("gave its verdict but did not power off")
    at = 0
    for pattern in case.expect:
        found = re.compile(pattern, re.M).search(outcome.text, at)
        if not found:
            problems.append(f"not seen{' (any more)' if at else ''}: {pattern}")
        else:
            at = found.start()
    if case.check:
        problems += case.check(outcome.text)
    for pattern in case.forbid:
        if re.search(pattern, outcome.text, re.M):
            problems.append(f"seen, but forbidden: {pattern}")
    return problems


# Of a run that did not go as wanted: signs of an error that may be rare, and of which one is enough.
HARD = re.compile(r"BELLOWS PANIC|NOT ALL|Kernel panic - |WORKLOAD FAIL|wrong=[1-9]")
HARD_OF_THE_HOST = re.compile(r"BELLOWS PANIC|NOT ALL")
LOST = re.compile(session.OWN + r"\b[\w.-]+: stopped: ", re.M)


def wants_a_lost_vm(case):
    waits = [wait for wait, _ in case.script if isinstance(wait, str)]
    return any("stopped" in pattern for pattern in (*case.expect, *waits))


def is_hard(case, outcome):
    """Was it more than that the machine was late, or ahead of what was typed to it?"""
    if LOST.search(outcome.text) and not (case.hostile or wants_a_lost_vm(case)):
        return True
    return (HARD_OF_THE_HOST if case.hostile else HARD).search(outcome.text) or (outcome.end == "failed" != case.verdict) or any(
        re.search(pattern, outcome.text, re.M) for pattern in case.forbid)


def run(case, target, directory):
    """Run the case on the target: ("passed", "") or, with what to show, "failed" or, if what came too late or too soon
    may be all that was wrong, "timing"."""
    files = {**machines.guest_files(machines.DEBUG), **case.files}
    cpus = case.cpus or (machines.default_cpus(target) if target == "qemu" else 1)
    spec = machines.Spec(target, directory, case.config, case.memory, cpus, files,
                         qemu_cpu=case.qemu_cpu, bochs_cpu=case.bochs_cpu, disks=case.disks, monitor=case.monitor,
                         qemu_args=case.qemu_args)
    timeout = case.timeout * (BOCHS_PATIENCE if target == "bochs" else 1)
    with machines.Machine(spec) as machine:
        if case.watcher:
            watcher = case.watcher(machine, timeout, BOCHS_PATIENCE if target == "bochs" else 1)
        else:
            watcher = session.Watcher(machine, timeout, case.script, case.until)
        outcome = watcher.run()
    problems = judge(case, outcome) + watcher.problems()
    if not problems:
        return "passed", ""
    tail = "\n".join(outcome.text.rstrip().split("\n")[-60:])
    return "failed" if is_hard(case, outcome) else "timing", "\n".join([
        tail, outcome.detail, f"log: {directory}/serial.log", *[f"PROBLEM: {problem}" for problem in problems]])
