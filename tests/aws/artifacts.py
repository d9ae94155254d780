"""The artefacts that are deployed, and what they need of the system they run on.

`fast` lays out the binaries of the development build as SAM would: for people at work on the functions, who know that SAM
builds them. `check` reads from the binaries SAM built which glibc they ask for.
"""

import json
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import cfn
from processes import TARGET
from world import BUILD

# Lambda's provided.al2023.
NEWEST_GLIBC = (2, 34)
VERSION_NEEDS = 0x6FFFFFFE


def functions():
    """Logical name -> binary."""
    return {function["resource"]: name for name, function in cfn.rights()["functions"].items()}


def fast(binaries):
    shutil.rmtree(BUILD, ignore_errors=True)
    template = cfn.template()
    for resource, binary in functions().items():
        (BUILD / resource).mkdir(parents=True)
        # Without what debuggers read they are a third as large, and the emulator is handed every byte.
        subprocess.run(["strip", "-o", BUILD / resource / "bootstrap", binaries / binary], check=True, timeout=60)
        template["Resources"][resource]["Properties"]["CodeUri"] = resource
    (BUILD / "template.yaml").write_text(json.dumps(template, default=str))


def needed_glibc(path):
    """The newest version of glibc that an ELF file of 64 bits, little end first, needs."""
    data = path.read_bytes()
    if data[:6] != b"\x7fELF\x02\x01":
        raise ValueError(f"{path}: not an ELF file of 64 bits")
    section_offset, = struct.unpack_from("<Q", data, 0x28)
    size, count, _ = struct.unpack_from("<HHH", data, 0x3A)
    # type, offset of the content, section with its names, number of entries
    sections = [struct.unpack_from("<4xI16xQ8xII", data, section_offset + i * size) for i in range(count)]
    newest = (0, 0)
    for kind, offset, link, entries in sections:
        if kind != VERSION_NEEDS:
            continue
        names = sections[link][1]
        for _ in range(entries):
            _, versions, _, first, following = struct.unpack_from("<HHIII", data, offset)
            at = offset + first
            for _ in range(versions):
                _, _, _, name, step = struct.unpack_from("<IHHII", data, at)
                text = data[names + name : data.index(b"\0", names + name)].decode()
                if found := re.fullmatch(r"GLIBC_(\d+)\.(\d+)(?:\.\d+)?", text):
                    newest = max(newest, (int(found[1]), int(found[2])))
                at += step
            offset += following
    return newest


def check():
    failed = False
    for resource, binary in functions().items():
        path = BUILD / resource / "bootstrap"
        glibc = needed_glibc(path)
        good = (0, 0) < glibc <= NEWEST_GLIBC
        print(f"{binary}: needs glibc {glibc[0]}.{glibc[1]}, {path.stat().st_size / 1e6:.1f} MB{'' if good else ': TOO NEW for Lambda, or not linked to glibc'}")
        failed |= not good
    return failed


if __name__ == "__main__":
    if sys.argv[1] == "fast":
        fast(Path(sys.argv[2]) if len(sys.argv) > 2 else TARGET / "debug")
    else:
        sys.exit(check())
