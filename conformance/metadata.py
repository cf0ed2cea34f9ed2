"""What the instance metadata service tells a guest of its disks, and what is wrong with it. Pure: it asks nothing.

The User Guide's "Instance metadata categories": `ami` and `root` name the root device, `ebsN` from 1 and `ephemeralN` the others.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping

from conformance.story import Differs, Unsupported

Listing = list[tuple[str, str]]
ROOT_NAMES = ("ami", "root")


def heard(console: str) -> Listing:
    """The newest listing that a guest told on its console, as (name, device). Unsupported when there is nobody to be asked."""
    said = re.findall(r"^EC2GW-GUEST metadata ?(.*?)\r?$", console, re.MULTILINE)
    if not said:
        raise Differs("the guest says nothing of its metadata")
    if said[-1].startswith("unreachable:"):
        raise Unsupported(f"the guest finds no metadata service: {said[-1].removeprefix('unreachable:').strip()}")
    if said[-1].startswith("refused:"):
        raise Differs(f"the metadata service does not tell of disks: {said[-1].removeprefix('refused:').strip()}")
    return [(name, device) for name, _, device in (word.partition("=") for word in said[-1].split())]


def complaints(listing: Listing, root: str, disks: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with a listing, for a root device and the other mapped disks: device -> "ebs", or its virtual name.

    Devices are the same when their base names are: sdf is /dev/sdf.
    """
    count = Counter(name for name, _ in listing)
    yield from (f"{name} is listed {times} times" for name, times in count.items() if times > 1)
    yield from (f"{name} is not listed" for name in ROOT_NAMES if name not in count)
    roots = {"emi", *ROOT_NAMES}  # Eucalyptus has a word of its own beside AWS's
    yield from (f"{name} is {device}, not {root}" for name, device in listing if name in roots and _base(device) != _base(root))
    others = [(name, _base(device)) for name, device in listing if name not in roots]
    numbers = sorted(int(name[3:]) for name, _ in others if re.fullmatch(r"ebs\d+", name))
    if numbers != list(range(1, len(numbers) + 1)):
        yield f"the volumes are numbered {numbers}, not from 1 on"
    for device, kind in disks.items():
        names = [name for name, where in others if where == _base(device)]
        if len(names) != 1 or not re.fullmatch(r"ebs\d+" if kind == "ebs" else kind, names[0]):
            yield f"{device} is listed as {names or 'nothing'}, not once as {'ebsN' if kind == 'ebs' else kind}"
    known = {_base(device) for device in disks}
    yield from (f"{name}={device} is listed, and not mapped" for name, device in others if device not in known)


def _base(device: str) -> str:
    return device.rpartition("/")[2]
