#!/usr/bin/env python3
"""clang-format's opinion of the tracked C files: prints the lines that it would change, and fails if there are any."""
import subprocess
import sys


def main():
    names = subprocess.run(["git", "ls-files", "*.c", "*.h"], stdout=subprocess.PIPE, text=True, check=True)
    formatted = subprocess.run(["clang-format", "--dry-run", "-Werror", *names.stdout.split()])
    if formatted.returncode:
        print("clang-format -i FILE mends these")
    return formatted.returncode


if __name__ == "__main__":
    sys.exit(main())
