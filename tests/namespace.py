# SPDX-License-Identifier: GPL-3.0-or-later
"""Rights to mount and chroot: root has them, and others in a user namespace. Needs only the standard library."""

from __future__ import annotations

import os
import shutil
import subprocess


def missing_rights() -> str:
    """Return the rights that a user lacks for a user namespace with a Debian in it; "" if none, or for root."""
    if os.geteuid() == 0:
        return ""
    if not shutil.which("mmdebstrap"):
        return "the package mmdebstrap"
    tried = subprocess.run([*own_mounts(), "true"], capture_output=True, check=False)
    return "user namespaces for this user (the package uidmap, and lines in /etc/subuid)" if tried.returncode else ""


def own_mounts() -> list[str]:
    """Return the command that runs another one with mounts of its own, which end with its last process.

    Ordinary users get a user namespace, in which they are root and own files of other users, too.
    """
    return ["unshare", *([] if os.geteuid() == 0 else ["--user", "--map-root-user", "--map-auto"]), "--mount"]
