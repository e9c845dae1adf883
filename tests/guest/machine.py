# SPDX-License-Identifier: Apache-2.0
"""A machine without hardware: qemu's own processor (TCG), a kernel, a root in memory, and a console
on which tests/guest/checks says what it found.

Happy path: it runs until it stops itself. Failure modes: one that has not stopped at its deadline
is killed, and what it had not said by then is missing from its Findings."""

import json
import re
import subprocess

# Without cmpxchg16b: qemu 7.2 leaves wrong flags behind it, which Linux 6.12 dies of at boot.
QEMU = {
    "amd64": ("qemu-system-x86_64", "-cpu", "max,cx16=off", "-append", "console=ttyS0 {0}"),
    "arm64": ("qemu-system-aarch64", "-M", "virt", "-cpu", "max,pauth-impdef=on", "-append",
              "console=ttyAMA0 {0}"),
}
WORDS = "rdinit=/init panic=-1 quiet loglevel=4 random.trust_cpu=on mitigations=off"


class Findings:
    """What the console said: kernel, checks as {name: (verdict, text)}, the doctor's report."""

    def __init__(self, console):
        self.console = console
        kernel = re.search(r"^== kernel (\S+)", console, re.MULTILINE)
        self.kernel = kernel.group(1) if kernel else ""
        self.checks = {
            name: (verdict, text.strip())
            for name, verdict, text in re.findall(
                r"^== check (\S+) (\w+)(.*)$", console, re.MULTILINE
            )
        }
        doctor = re.search(r"^== doctor (\{.*\})\s*$", console, re.MULTILINE)
        self.doctor = json.loads(doctor.group(1)) if doctor else {"lines": []}
        done = re.search(r"^== done (\d+)", console, re.MULTILINE)
        self.complaints = int(done.group(1)) if done else None

    def diagnosis(self, name):
        """The verdict and finding of one line of the doctor's."""
        for line in self.doctor["lines"]:
            if line["name"] == name:
                return line["verdict"], line["finding"]
        return None, ""


def boot(architecture, kernel, initramfs, console, seconds, memory="1G"):
    """Findings, of what is written to the file `console` meanwhile."""
    words = [word.format(WORDS) for word in QEMU[architecture]]
    # Its processors take turns: those of qemu 7.2 that run at once miss code that the kernel
    # patches, and Linux 6.12 dies of that on amd64. Whoever ends this ends the machine with it.
    argv = [
        "setpriv", "--pdeathsig", "KILL", *words, "-accel", "tcg,thread=single", "-smp", "2",
        "-m", memory, "-kernel", kernel, "-initrd", initramfs, "-nographic", "-no-reboot", "-nic", "none",
        "-device", "virtio-rng-pci",
    ]
    with open(console, "wb") as out:
        try:
            subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=seconds)
        except subprocess.TimeoutExpired:
            out.write(f"\n== killed after {seconds} s\n".encode())
    with open(console, encoding="utf-8", errors="replace") as said:
        return Findings(said.read().replace("\r", ""))
