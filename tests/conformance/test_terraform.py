"""Terraform's story: its provider block is the one that users are told, and it fetches nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.stories import terraform
from conformance.story import NotTried
from tests import gateway

INSIDE = "registry.terraform.io/hashicorp/aws"


def test_users_are_told_the_block_that_is_tried() -> None:
    told = (gateway.ROOT / "README.md").read_text("utf-8")
    assert f"```hcl\n{terraform.PROVIDER % {'url': 'http://127.0.0.1:8773/'}}```" in told


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home, and shared data, without plugins."""
    monkeypatch.delenv("TERRAFORM_PLUGINS", raising=False)
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(tmp_path / "absent"))
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path / "share"))
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_without_the_provider_it_is_not_tried(home: Path) -> None:
    with pytest.raises(NotTried, match="TERRAFORM_PLUGINS"):
        terraform.settings()


@pytest.mark.parametrize("folder", ["named", ".terraform.d/plugins", ".local/share/terraform/plugins", "share/terraform/plugins"])
def test_the_provider_is_taken_from_a_folder_and_from_nowhere_else(
    home: Path, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERRAFORM_PLUGINS", str(home / "named"))
    (home / folder / INSIDE).mkdir(parents=True)
    said = terraform.settings()
    assert f'path = "{home / folder}"' in said
    assert "direct" not in said


def test_settings_of_the_user_come_first(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / ".terraform.d/plugins" / INSIDE).mkdir(parents=True)
    (home / "absent").write_text("# mine\n")
    assert terraform.settings() == "# mine\n"
