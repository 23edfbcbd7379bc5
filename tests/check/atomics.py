"""Where the compiler adds an atomic addition's old value to itself, not to what was added.

GCC 12.2 (Debian 12) sometimes gives the operand and the result of __atomic_add_fetch() one register:
`lock xadd %rax,(mem); add %rax,%rax`, where the second addition wants what %rax held before. No source asks for
that, so each such place is one where the image does not do what its source says; write the source another way there
(mm/space/space_counts.c did).

    python3 tests/check/atomics.py IMAGE...
"""
import re
import subprocess
import sys

ADDITION = re.compile(r"\block xadd (%\w+),")
FUNCTION = re.compile(r"^[0-9a-f]+ <(.+)>:$")
BETWEEN = 4             # instructions that may stand between the two additions

BROKEN = ("add    %rax,%rax", "lea    (%rax,%rax,1),%rdx", "mov    %rcx,%rdi\n 9:\tadd    %rax,%rax")
RIGHT = ("add    %rbx,%rax", "mov    %rcx,%rax\n 9:\tadd    %rax,%rax", "lea    0x1(%rax),%rdx")


def is_doubled(register, following):
    """Does the first of the next instructions that uses the old value add it to itself?"""
    twice = (f"{register},{register}", f"({register},{register},1)")
    for instruction in following[:BETWEEN]:
        if register in instruction:
            return instruction.split()[0] in ("add", "lea") and any(pair in instruction for pair in twice)
    return False


def doubled(listing):
    """The functions of a disassembly in which that is found."""
    found, function = [], "?"
    instructions = [line.split("\t")[-1] for line in listing.splitlines()]
    for at, line in enumerate(listing.splitlines()):
        named, addition = FUNCTION.match(line), ADDITION.search(line)
        function = named.group(1) if named else function
        if addition and is_doubled(addition.group(1), instructions[at + 1:]):
            found.append(function)
    return found


def check_self():
    before = "0 <f>:\n 1:\tlock xadd %rax,0x18(%rsi)\n 7:\t"
    assert all(doubled(before + after) == ["f"] for after in BROKEN)
    assert not any(doubled(before + after) for after in RIGHT)


def main():
    check_self()
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
