#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""packaging/image/oci.py LAYOUT INSPECTED OUT: the OCI image layout in the directory LAYOUT as the
archive OUT, with the health check of what `buildah inspect` said in the configuration of each image.

OCI's configuration has no field for one, so converting into it loses Docker's; engines read the
field all the same. Happy path: each image's configuration, its manifest and the list of them are
written anew under their new digests. Failure: a layout that is none ends it with the exception."""

import hashlib
import json
import pathlib
import sys
import tarfile


class Layout:
    def __init__(self, path):
        self.root = pathlib.Path(path)

    def blob(self, digest):
        return self.root / "blobs" / digest.replace(":", "/")

    def read(self, descriptor):
        return json.loads(self.blob(descriptor["digest"]).read_bytes())

    def rewrite(self, descriptor, value):
        """`value` in the place of what the descriptor names."""
        data = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
        self.blob(descriptor["digest"]).unlink(missing_ok=True)
        descriptor["digest"] = f"sha256:{hashlib.sha256(data).hexdigest()}"
        descriptor["size"] = len(data)
        self.blob(descriptor["digest"]).write_bytes(data)


def add_health_check(layout, check):
    index = json.loads((layout.root / "index.json").read_bytes())
    for top in index["manifests"]:
        manifests = layout.read(top)
        for descriptor in manifests["manifests"]:
            manifest = layout.read(descriptor)
            config = layout.read(manifest["config"])
            config["config"]["Healthcheck"] = check
            layout.rewrite(manifest["config"], config)
            layout.rewrite(descriptor, manifest)
        layout.rewrite(top, manifests)
    (layout.root / "index.json").write_text(json.dumps(index), encoding="utf-8")


def pack(layout, out):
    """In order and without what differs between two builds of the same files."""
    def plain(member):
        member.uid = member.gid = member.mtime = 0
        member.uname = member.gname = ""
        member.mode = 0o755 if member.isdir() else 0o644
        return member

    with tarfile.open(out, "w", format=tarfile.USTAR_FORMAT) as tar:
        for path in sorted(layout.root.rglob("*")):
            tar.add(path, arcname=str(path.relative_to(layout.root)), recursive=False, filter=plain)


def main():
    layout = Layout(sys.argv[1])
    inspected = json.loads(pathlib.Path(sys.argv[2]).read_bytes())
    add_health_check(layout, inspected["Docker"]["config"]["Healthcheck"])
    pack(layout, sys.argv[3])


if __name__ == "__main__":
    sys.exit(main())
