"""pkg/guest-tools: the package is installed in a Debian root, used there, and removed.

The root (root.sh) lies in the cache and is never written to: each run works on an overlay that goes with its mount
namespace. Inside, DKMS really builds the driver, and it is built for each of the root's kernel headers.
"""
import os
import pathlib
import re
import subprocess

import machine as machines

HERE = pathlib.Path(__file__).resolve().parent
SECONDS = 900


def run():
    """("passed", ""), ("failed", what to show) or ("skipped", why)."""
    if os.geteuid() != 0:
        return "skipped", "only root may install packages"
    packages = list(machines.BUILD.glob("bellows-guest-tools_*.deb"))
    if len(packages) != 1:
        return "failed", f"not one package, but {packages}"
    root = subprocess.run([HERE / "root.sh"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    done = subprocess.run(["unshare", "--mount", "--", HERE / "try_package.sh", root, packages[0],
                           machines.BUILD / "pkg"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=SECONDS, check=False)
    built = re.findall(r"^BUILT (\S+)", done.stdout, re.M)
    problems = [] if done.returncode == 0 else [f"PROBLEM: exit status {done.returncode}"]
    for wanted in (r"6\.1\..*-cloud-amd64", r"6\.1\.[\d.-]*-amd64"):
        if not any(re.fullmatch(wanted, release) for release in built):
            problems.append(f"PROBLEM: not built for {wanted}, only for {built}")
    return ("failed", "\n".join([done.stdout, *problems])) if problems else ("passed", "")
