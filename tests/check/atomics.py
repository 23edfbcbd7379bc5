"""Where the compiler adds an atomic addition's old value to itself, not to what was added.

GCC 12.2 (Debian 12) sometimes gives the operand and the result of __atomic_add_fetch() one register:
`lock xadd %rax,(mem); add %rax,%rax`, where the second addition wants what %rax held before. No source asks for
that, so each such place is one where the image does not do what its source says; write the source another way there
(mm/space_counts.c did).

    python3 tests/check/atomics.py IMAGE...
"""
import re
import subprocess
import sys

DOUBLED = re.compile(r"lock xadd (%\w+),[^\n]*\n[^\n]*\badd +\1,\1$", re.MULTILINE)
FUNCTION = re.compile(r"^[0-9a-f]+ <(.+)>:$", re.MULTILINE)

AS_BROKEN = "0 <f>:\n 1:\tlock xadd %rax,0x18(%rsi)\n 7:\tadd    %rax,%rax\n"
AS_RIGHT = "0 <f>:\n 1:\tlock xadd %rdx,0x18(%rsi)\n 7:\tadd    %rax,%rdx\n"


def doubled(listing):
    """The functions of a disassembly in which that is found."""
    return [([name.group(1) for name in FUNCTION.finditer(listing, 0, place.start())] or ["?"])[-1]
            for place in DOUBLED.finditer(listing)]


def main():
    assert doubled(AS_BROKEN) == ["f"] and not doubled(AS_RIGHT)
    found = 0
    for image in sys.argv[1:]:
        listing = subprocess.run(["objdump", "-d", "--no-show-raw-insn", image], check=True, capture_output=True,
                                 text=True).stdout
        if "lock xadd" not in listing:
            sys.exit(f"{image}: no atomic addition at all: is this the image?")
        for function in doubled(listing):
            print(f"{image}: {function}(): an atomic addition's old value is added to itself: see tests/check/atomics.py")
            found += 1
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
