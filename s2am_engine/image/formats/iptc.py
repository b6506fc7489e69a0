# SPDX-License-Identifier: GPL-3.0-or-later
"""IPTC-IIM records within Photoshop's image resources, as JPEG and PNG store them.

Source: Adobe Photoshop file formats specification, “Image resource blocks”.
"""

from __future__ import annotations

_SIGNATURE = b"8BIM"
_IPTC = 0x0404


def iptc_resource(iptc: bytes) -> bytes:
    """Return an image resource that holds IPTC-IIM records."""
    head = _SIGNATURE + _IPTC.to_bytes(2, "big") + b"\0\0" + len(iptc).to_bytes(4, "big")
    return head + iptc + b"\0" * (len(iptc) % 2)


def iptc_of_resources(resources: bytes) -> bytes | None:
    """Return the IPTC-IIM records of image resources (or bare records); None if there are none."""
    if resources.startswith(b"\x1c"):
        return resources
    at = 0
    while resources[at : at + 4] == _SIGNATURE and at + 12 <= len(resources):
        number = int.from_bytes(resources[at + 4 : at + 6], "big")
        name = 1 + resources[at + 6]
        at += 6 + name + name % 2
        size = int.from_bytes(resources[at : at + 4], "big")
        at += 4
        if number == _IPTC:
            return resources[at : at + size] or None
        at += size + size % 2
    return None
