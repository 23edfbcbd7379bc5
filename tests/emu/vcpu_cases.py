"""Cases of guests with several vCPUs: how Linux finds and starts them, and what it uses of what it is offered."""
import machine as machines
from disk import Disk

ONLINE = r"ACTION cpus online=2(?:.|\n)*?ACTION cpus ok"
X2APIC = rf"Switched APIC routing to physical x2apic(?:.|\n)*?{ONLINE}"


def cases(host, vm, bare, workload, prompt, panic, pvh):
    # The kernel says on the console what it chose.
    def guest(does, extra, memory="128M", **keys):
        return vm("g1", does, memory, extra=f"loglevel=7 bellows.{extra}", vcpus=2, **keys)

    def case(name, config, **more):
        return dict(name=f"vcpus-{name}", config=config, forbid=(panic, "ACTION cpus FAIL", *more.pop("forbid", ())),
                    timeout=240, **more)

    # By itself, again after a reset, and where the kernel before left the mode on.
    yield case("x2apic", host(autostop="no") + guest("action=cpus", "halt=stay"), verdict="stopped",
               script=((X2APIC, "\r"), (prompt, "reset g1\r"), (X2APIC, "\r"), (prompt, "stop g1\r"),
                       (r"g1: powered off", "\r"), (prompt, "poweroff\r")), forbid=("x2apic: enabled by BIOS",))
    yield case("kexec", host(autostop="no") + guest("action=cpus,kexec", "halt=stay", "192M", initrd=r"\bellows\kexec.img"),
               verdict="stopped", script=((X2APIC, None), (r"x2apic: enabled by BIOS", None), (X2APIC, "\r"),
                                          (prompt, "stop g1\r"), (r"g1: powered off", "\r"), (prompt, "poweroff\r")),
               files={"bellows/kexec.img": machines.BUILD / "guests/kexec.img"}, long_on=("bochs",))
    yield case("xapic", host() + guest("action=cpus", f"{workload(mib=16, ops=500)} nox2apic"),
               expect=(r"APIC: Switch to symmetric I/O mode", ONLINE), forbid=("x2apic enabled", "APIC routing to .*x2apic"))
    # All that were started have halted with interrupts off, and nothing is on its way to one: the VM has ended.
    dead = "verdict stopped: halted for good: HLT with interrupts off"
    for name, cpus, targets in (("halt", None, ("qemu", "bochs")), ("halt-on-two-cpus", 2, ("bochs",))):
        yield case(name, host() + "".join(bare(how, f"halts={how}", "8M", pvh, vcpus=2) for how in ("halt", "init", "blocked"))
                   + bare("alone", "halt", "8M", pvh, vcpus=2), cpus=cpus, targets=targets, verdict="failed",
                   expect=(r"(\] HALTS rounds=200(?:.|\n)*){3}",
                           *(f"^{vm} .*{dead}" for vm in ("halt", "init", "blocked", "alone"))))
    yield case("halt-linux", host() + guest("action=cpus", "halt=halt"), verdict="failed", expect=(ONLINE, f"^g1 .*{dead}"))
    # Where both share a CPU, a flush waits for nobody, and the time that each waits for the other is told.
    offered = (r"setup pv remote TLB flush", r"PV spinlocks enabled", r"setup PV IPIs")
    for name, cpus, stolen, targets in (("flush-on-one-cpu", 1, r"[1-9]\d*", ("qemu", "bochs")),
                                        ("flush-on-two-cpus", 2, r"\d+", ("bochs",))):
        yield case(name, host() + guest("action=flush", workload(mib=16, ops=500)), cpus=cpus, targets=targets, expect=(
            *offered, rf"ACTION flush rounds=1000 us=\d+ stolen={stolen}\b", r"ACTION flush ok"),
            forbid=("ACTION flush FAIL",))
    # The same while all that is not needed just now, the records of preempted vCPUs with it, is evicted again and again.
    yield case("flush-evicted", host(**{"Mem.AllocGuestLargePage": 0, "Mem.MemZipMaxPct": 5}) + guest(
        "action=flush", workload(mib=16, ops=500), **{"sched.mem.min": 0, "debug.reclaim": 10000}), cpus=1, long=True,
        disks=(Disk(name="swap", mib=160, partitions=(("swap", "swap", 144),)),), forbid=("ACTION flush FAIL",),
        expect=(offered[0], r"ACTION flush ok"))
