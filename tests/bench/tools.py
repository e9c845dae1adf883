# SPDX-License-Identifier: Apache-2.0
"""Our own tools: load, backend and the swarm, built by make, or here."""
import os
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def find_tools(directory, names):
    """name -> path of our own tools, compiled here if make has not done it."""
    found = {}
    for name in names:
        path, source = Path(directory) / name, HERE / f"{name}.c"
        if not path.exists() or path.stat().st_mtime < source.stat().st_mtime:
            path.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run([os.environ.get("CC", "cc"), "-O2", "-std=gnu11", "-D_GNU_SOURCE",
                            f"-I{ROOT}", "-o", path, source], check=True)
        found[name] = str(path.resolve())
    return found
