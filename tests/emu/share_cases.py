"""Cases of page sharing: guests that are partly alike wait with their memory as it is, are scanned, and write to
every page afterwards; each verifies. `share audit` says how much of what is alike is shared."""
from steps import press

SALT = "sched.mem.pshare.salt"
LARGE = "Mem.AllocGuestLargePage"
ENABLE = "sched.mem.pshare.enable"
RATE = "Mem.ShareScanGHz"
FORCE = "Mem.ShareForceSalting"
NEARLY_ALL = r"share audit: .*: (9[5-9]|100)\.\d%"


def each_of_four(pattern, count=4):
    return rf"(?:{pattern}(?:.|\n)*?){{{count}}}"


def each_of_two(pattern):
    return each_of_four(pattern, 2)


def cases(host, vm, bare, workload, pvh, prompt, panic):
    # In two pieces: Bochs drops what the serial line's FIFO of 16 bytes cannot take at once.
    type_scan_all = ((prompt, "share scan "), (r"share scan ", "now all\r"))
    audit = ((prompt, "share audit\r"), (r"share audit: ", "\r"))
    scan_all = (*type_scan_all, (each_of_four(r"scanned for sharing"), "\r"), *audit)
    figures = ((prompt, "share\r"), (r"index-full", "\r"))

    press_key = tuple(step for i in range(1, 5) for step in press(prompt, f"g{i}"))
    both_pressed = *press(prompt, "g1"), *press(prompt, "g2")
    all_wait = (each_of_four(r"\] WORKLOAD waiting"), "\r")
    all_ok = each_of_four(r"^g\d .*verdict ok")
    # The guest that was scanned first may be the one whose pages the others took for theirs.
    others_shared = (each_of_four(r"^  g\d: .*merged-other=[1-9]", 3),)

    def sharing(*more, force=0, salts=(None,) * 4, ops=300):
        """Four bare guests, a quarter of whose pages is the same in all, and another quarter zero."""
        does = [",".join((workload(seed=i, mib=12, ops=ops), *more)) for i in range(1, 5)]
        return host(**{FORCE: force, LARGE: 0}) + "".join(
            bare(f"g{i}", does[i - 1], "16M", pvh, **{SALT: salts[i - 1]}) for i in range(1, 5))

    def case(name, config, script, expect, **more):
        return dict(name=f"share-{name}", config=config, script=script, expect=expect,
                    **{"forbid": (panic,), **more})

    overwritten = sharing("wait=1", "overwrite=1")
    frames = ((prompt, "frames\r"), (r"all accounted for", "\r"))
    yield case("four", overwritten, (all_wait, *scan_all, *figures, *frames, *press_key),
               (rf"{NEARLY_ALL}; [5-9]\d{{3}} saved", *others_shared, r"^shared +[1-9]", all_ok),
               forbid=(panic, "NOT ALL"))
    yield case("salts", sharing("wait=1", "overwrite=1", force=2, salts=("a", "b", None, None)),
               (all_wait, *scan_all, *figures, *press_key), (each_of_four(r"merged-other=0 "), all_ok))
    yield case("write-storm", sharing(ops=12000), (
        (each_of_four(r"\] BELLOWS-GUEST up"), "\r"), *scan_all[:-2], *scan_all[:-2], *scan_all), (all_ok,))
    yield case("death-and-reset", overwritten, (
        all_wait, *type_scan_all, (prompt, "stop g1\r"), (r"g1: powered off", "\r"), (prompt, "reset g2\r"),
        (r"g2: reset", "\r"), (prompt, "start g1\r"), (each_of_two(r"\] WORKLOAD waiting"), "\r"), *scan_all,
        (prompt, "stop g3\r"), (prompt, "start g3\r"), (r"\[g3\] WORKLOAD waiting", "\r"), *scan_all, *frames,
        *press_key), (rf"{NEARLY_ALL}; [5-9]\d{{3}} saved", all_ok), forbid=(panic, "NOT ALL"))

    # Large pages are split for what is shared; when all of it was written they are joined again, with every byte.
    both_joined = "".join(rf"(?=(?:.|\n)*g{i}: \d regions are 2 MiB pages again)" for i in (1, 2))
    two = "".join(bare(f"g{i}", workload(seed=i, mib=12, ops=300) + ",wait=2,overwrite=1", "16M", pvh) for i in (1, 2))
    yield case("join", host(**{FORCE: 0, LARGE: 1}) + two, (
        (each_of_two(r"\] WORKLOAD waiting"), "\r"), *type_scan_all, (each_of_two(r"scanned for sharing"), "\r"),
        *figures, *both_pressed, (both_joined, "\r"),
        *figures, (r"moving \d+", "\r"), *frames, *both_pressed),
        (r"^  g[12]: .*merged-other=[1-9]", r"g[12]: [3-9] regions are 2 MiB pages again",
         r"joined=[3-9], moving [1-9]\d{2}",
         each_of_two(r"^g\d .*verdict ok")), forbid=(panic, "NOT ALL"))

    def linux(name, large):
        guests = "".join(vm(f"g{i}", workload(seed=i, mib=32, ops=None, seconds=24), "128M") for i in (1, 2))
        return case(name, host(**{FORCE: 1, LARGE: large}) + guests, (
            (each_of_two(r"\] BELLOWS-GUEST up"), "\r"), *type_scan_all, (each_of_two(r"scanned for sharing"), "\r"),
            *audit, (prompt, "memtop\r")),
            (rf"{NEARLY_ALL}; \d{{4,}} saved", each_of_two(r"^g\d .*verdict ok")), timeout=180)

    yield linux("linux", 0)
    yield linux("linux-large-pages", 1)

    # Salts changed while the guests run: what is shared is unshared, shared again, and every byte verifies.
    def change(words, done):
        return (prompt, f"set {words}\r"), (done, "\r")

    def refused(words, why):
        return change(words, rf"not changed: {why}")

    waiting = host(**{FORCE: 2, LARGE: 0, RATE: 0}) + "".join(
        bare(f"g{i}", workload(seed=i, mib=12, ops=300) + ",wait=1,overwrite=1", "16M", pvh, **{SALT: "red"})
        for i in (1, 2))
    both_scanned = (*type_scan_all, (each_of_two(r"scanned for sharing"), "\r"))
    shared = (*both_scanned, (prompt, "share audit\r"), (rf"{NEARLY_ALL}; [1-9]\d{{3}} saved of \d+; 0 shared under", "\r"))
    # SHRD of pages whose frame was another VM's first, of both; with nothing left of former salts.
    apart = (*both_scanned, (prompt, "share audit\r"), (r"; 0 shared under a former salt", "\r"), (prompt, "share\r"),
             (each_of_two(r"^g\d( +\d+\.\d){5} +0\.0 "), "\r"))
    both_unshared = r"(?=(?:.|\n)*g1: unshared: )(?=(?:.|\n)*g2: unshared: )"
    yield case("salt-changes", waiting, (
        (each_of_two(r"\] WORKLOAD waiting"), "\r"), (prompt, "share\r"), (each_of_two(r"^  g\d: .* hashed=0 "), "\r"),
        *change(f"{RATE} 4", r"host: Mem\.ShareScanGHz = 4, by command"), *shared,
        *change(f"g2 {SALT} blue", r"g2: sched\.mem\.pshare\.salt = blue, by command(?:.|\n)*g2: unshared: "), *apart,
        *change(f"g2 {SALT} red", r"g2: unshared: "), *shared,
        *change(f"{FORCE} 0", both_unshared), *shared,
        *change(f"g1 {ENABLE} no", r"g1: unshared: "), (prompt, "share audit\r"), (r"; 0 shared under", "\r"),
        *change(f"g1 {ENABLE} yes", r"g1: sched\.mem\.pshare\.enable = yes, by command"),
        *refused(f"g1 {ENABLE} perhaps", r"sched\.mem\.pshare\.enable = perhaps: allowed is yes or no"),
        *refused(f"{FORCE} 3", r"Mem\.ShareForceSalting = 3: allowed is 0 \(all share\), 1"),
        *refused("Mem.ShareScanTime 0", r"Mem\.ShareScanTime = 0: allowed is minutes, from 1 to 600"),
        *change("Mem.ShareRateMax 2048", r"host: Mem\.ShareRateMax = 2048, by command"),
        *change("g1 sched.mem.min 8M", r"g1: it has no swap file; beyond its reservation of 8 MiB"),
        *change("g9 memory 1G", r'no VM is called "g9"'), *change("memory 1G", r"memory cannot be set for the host"),
        (prompt, "set\r"), (r"host +Mem\.ShareRateMax = 2048(?:.|\n)*g2 +sched\.mem\.pshare\.salt = red", "\r"),
        *both_pressed), (each_of_two(r"^g\d .*verdict ok"),))
