"""The volume stores: which one a folder has; it must not know how any of them keeps a disk."""

from __future__ import annotations

import os
from pathlib import Path

from ec2gw.backend import ports
from ec2gw.backend.stores import qcow2, raw


def file_store(folder: Path, *, simulated: bool) -> ports.VolumeStore:
    """The store of `folder`, which is made when it is not there.

    A new folder gets raw files where its file system shares blocks between files (reflink) or no machine will ever run on them
    (`simulated`), qcow2 layers elsewhere. The choice is kept in the folder and never changes afterwards. Raises a final HostError
    when raw files without reflink are to be given to real machines: their snapshots would be neither instant nor consistent.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    marker = folder / "kind"
    try:
        kind = marker.read_text().strip()
    except FileNotFoundError:
        kind = "raw" if simulated or raw.reflinks(folder) else "qcow2"
        draft = folder / f".kind.{os.getpid()}"
        draft.touch(mode=0o600)
        draft.write_text(f"{kind}\n")
        draft.replace(marker)
    if kind == "qcow2":
        return qcow2.Qcow2Store(folder)
    if kind != "raw":
        raise ports.HostError(f"{marker} names an unknown kind of store, {kind!r}", final=True)
    if not simulated and not raw.reflinks(folder):
        message = f"{folder} was made for simulated machines and cannot serve real ones; give the volumes another folder"
        raise ports.HostError(message, final=True)
    return raw.RawStore(folder)
