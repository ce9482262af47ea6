#!/usr/bin/env python3
"""Makes the first file system of an emulated machine: initramfs.py INIT ARCHIVE. One program, /init, and a console.

The format is the "newc" of the kernel's Documentation/driver-api/early-userspace/buffer-format.rst; written here because a
device file in an archive otherwise takes root.
"""
import sys

DIRECTORY, DEVICE, FILE = 0o040755, 0o020600, 0o100755


def entry(number, name, mode, data=b"", device=(0, 0)):
    path = name.encode() + b"\0"
    # Inode, mode, owner, group, links, time, size, device, device of a device file, length of the name, no checksum.
    fields = [number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0]
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + path
    return padded(head) + padded(data)


def padded(data):
    return data + bytes(-len(data) % 4)


with open(sys.argv[1], "rb") as file:
    init = file.read()
entries = [("dev", DIRECTORY), ("proc", DIRECTORY), ("sys", DIRECTORY), ("dev/console", DEVICE, b"", (5, 1)),
           ("init", FILE, init), ("TRAILER!!!", 0)]
with open(sys.argv[2], "wb") as archive:
    for number, one in enumerate(entries, start=1):
        archive.write(entry(number, *one))
