#!/usr/bin/env python3
"""clang-format's opinion of the C files: those given, else those changed since the last commit.

Prints each file that would change, with the number of lines. --all looks at every tracked file.
"""
import subprocess
import sys


def lines_of(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()


def main():
    names = sys.argv[1:]
    if names == ["--all"]:
        names = lines_of("git", "ls-files", "*.c", "*.h")
    elif not names:
        names = lines_of("git", "diff", "--name-only", "--diff-filter=d", "HEAD", "--", "*.c", "*.h")
        names += lines_of("git", "ls-files", "--others", "--exclude-standard", "--", "*.c", "*.h")
    bad = 0
    for name in names:
        done = subprocess.run(["clang-format", "--output-replacements-xml", name],
                              stdout=subprocess.PIPE, text=True, check=True)
        count = done.stdout.count("<replacement ")
        if count:
            bad += 1
            print(f"{name}: {count} places differ from .clang-format (clang-format -i mends them)")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
