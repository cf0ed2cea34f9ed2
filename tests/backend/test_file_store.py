"""Which store a folder gets, and that it keeps it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ec2gw.backend import ports, stores
from ec2gw.backend.stores import raw
from ec2gw.backend.stores.qcow2 import Qcow2Store
from ec2gw.backend.stores.raw import RawStore


@pytest.fixture
def reflink(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file system as told, whatever the one below the tests is."""
    monkeypatch.setattr(raw, "reflinks", lambda folder: request.param)


@pytest.mark.parametrize("reflink", [False], indirect=True)
@pytest.mark.usefixtures("reflink")
def test_without_reflink_machines_get_layers_and_simulated_ones_raw_files(tmp_path: Path) -> None:
    assert isinstance(stores.file_store(tmp_path / "real", simulated=False), Qcow2Store)
    assert isinstance(stores.file_store(tmp_path / "simulated", simulated=True), RawStore)


@pytest.mark.parametrize("reflink", [True], indirect=True)
@pytest.mark.usefixtures("reflink")
def test_with_reflink_all_get_raw_files(tmp_path: Path) -> None:
    assert isinstance(stores.file_store(tmp_path / "real", simulated=False), RawStore)


def test_the_choice_stays_when_the_file_system_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "reflinks", lambda folder: False)
    stores.file_store(tmp_path, simulated=False).create("vol-1", 1 << 30)
    monkeypatch.setattr(raw, "reflinks", lambda folder: True)
    assert stores.file_store(tmp_path, simulated=True).observe() == {"vol-1": 1 << 30}


def test_a_simulated_folder_is_not_given_to_machines_that_need_instant_snapshots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw, "reflinks", lambda folder: False)
    stores.file_store(tmp_path, simulated=True)
    with pytest.raises(ports.HostError) as error:
        stores.file_store(tmp_path, simulated=False)
    assert error.value.final


def test_the_probe_leaves_nothing_and_agrees_with_the_host(tmp_path: Path) -> None:
    assert raw.reflinks(tmp_path) in (True, False)
    assert list((tmp_path / "work").iterdir()) == []
