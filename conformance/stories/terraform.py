"""Terraform with its AWS provider: what it made looks to it as it asked, before and after a change, until it is gone."""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path

from conformance import scenes
from conformance.stories import programs
from conformance.story import NotTried, Story, story

PROVIDER = """\
provider "aws" {
  endpoints {
    ec2 = "%(url)s"
    sts = "%(url)s"
  }
}
"""

_RESOURCES = """\
variable "name" {}
variable "type" {}
variable "key" {}
variable "snapshot" {}
variable "changed" { default = false }

data "aws_caller_identity" "me" {}
data "aws_availability_zones" "all" { state = "available" }
data "aws_vpc" "default" { default = true }
data "aws_ami" "disk" {
  owners = ["self"]
  filter {
    name   = "name"
    values = [aws_ami.disk.name]
  }
}

resource "aws_key_pair" "mine" {
  key_name   = var.name
  public_key = var.key
}
resource "aws_security_group" "mine" {
  name   = var.name
  vpc_id = data.aws_vpc.default.id
  ingress {
    from_port   = var.changed ? 2222 : 22
    to_port     = var.changed ? 2222 : 22
    protocol    = "tcp"
    cidr_blocks = ["10.0.0.0/8"]
  }
  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}
resource "aws_ebs_volume" "disk" {
  availability_zone = data.aws_availability_zones.all.names[0]
  size              = 1
}
resource "aws_ebs_snapshot" "disk" {
  volume_id = aws_ebs_volume.disk.id
}
resource "aws_ami" "disk" {
  name                = var.name
  virtualization_type = "hvm"
  root_device_name    = "/dev/sda1"
  ebs_block_device {
    device_name = "/dev/sda1"
    snapshot_id = var.snapshot == "" ? aws_ebs_snapshot.disk.id : var.snapshot
  }
}
resource "aws_instance" "mine" {
  ami                    = data.aws_ami.disk.id
  instance_type          = var.type
  availability_zone      = data.aws_availability_zones.all.names[0]
  key_name               = aws_key_pair.mine.key_name
  vpc_security_group_ids = [aws_security_group.mine.id]
  user_data              = "words"
  tags                   = { Name = var.name, Owner = data.aws_caller_identity.me.account_id }
  root_block_device {
    volume_type = "gp3"
    tags        = { Name = "root" }
  }
}
resource "aws_ebs_volume" "data" {
  availability_zone = data.aws_availability_zones.all.names[0]
  size              = var.changed ? 2 : 1
  tags              = { Changed = var.changed }
}
resource "aws_volume_attachment" "data" {
  device_name = "/dev/sdf"
  volume_id   = aws_ebs_volume.data.id
  instance_id = aws_instance.mine.id
}
"""
_MADE = 8  # resources above
_SECONDS = 300  # the provider is large: it takes seconds to start, three times a command, and waits between its looks

# type of a resource -> what the story's list of things made calls it
_KINDS = {
    "aws_ami": "imageId", "aws_ebs_snapshot": "snapshotId", "aws_ebs_volume": "volumeId", "aws_instance": "instanceId",
    "aws_key_pair": "keyName", "aws_security_group": "groupId",
}  # fmt: skip
_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBERERERERERERERERERERERERERERERERERERERERER"  # of no use to anybody


@story("Terraform")
def terraform(told: Story) -> None:
    """Told where Terraform and its provider are: nothing is fetched."""
    program, own = programs.found("terraform"), settings()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "main.tf").write_text(PROVIDER % {"url": told.target.url} + _RESOURCES)
        (folder / "settings").write_text(own)
        key = told.target.key
        (folder / "credentials").write_text(
            f"[default]\naws_access_key_id = {key.id}\naws_secret_access_key = {key.secret}\n"
        )  # in a folder that only its owner enters
        environment = {
            "AWS_SHARED_CREDENTIALS_FILE": str(folder / "credentials"), "AWS_DEFAULT_REGION": told.target.region,
            "TF_CLI_CONFIG_FILE": str(folder / "settings"), "TF_IN_AUTOMATION": "1", "TF_INPUT": "0",
            "TF_VAR_name": scenes.name("terraform"), "TF_VAR_type": told.target.instance_type, "TF_VAR_key": _KEY,
            "TF_VAR_snapshot": told.target.snapshot or "",
        }  # fmt: skip
        _tell(told, program, environment, folder)


def _tell(told: Story, program: str, environment: dict[str, str], folder: Path) -> None:
    it = told.it

    def run(*words: str) -> str:
        return programs.run(told, [program, *words, "-no-color"], environment, folder, _SECONDS)

    def apply(*words: str) -> str:
        try:
            said = run("apply", "-auto-approve", *words)
        finally:
            _note(told, folder / "terraform.tfstate")
        return _counted(said)

    with told.step("init"):
        run("init")
        it.ready = True
    with told.step("apply"):
        told.true("the provider is there", it.ready)
        told.same("what it did", apply(), f"{_MADE} added, 0 changed, 0 destroyed")
        it.applied = True
    with told.step("nothing is left to do but a change"):
        told.true("it is applied", it.applied)
        told.same("what it did", apply("-var", "changed=true"), "0 added, 2 changed, 0 destroyed")
    with told.step("destroy"):
        told.true("it is applied", it.applied)
        told.same("what it did", apply("-destroy"), f"0 added, 0 changed, {_MADE} destroyed")


def _counted(said: str) -> str:
    """What Terraform did, of its last lines."""
    found = re.search(r"complete! Resources: (.*)\.", said)
    return found[1] if found else said[-200:]


def _note(told: Story, state: Path) -> None:
    """Note what Terraform wrote down that it made, so that it goes away even if Terraform cannot take it away."""
    for resource in json.loads(state.read_text())["resources"] if state.exists() else ():
        if resource["mode"] == "managed" and resource["type"] in _KINDS:
            for instance in resource["instances"]:
                told.made.add(_KINDS[resource["type"]], instance["attributes"]["id"])


def settings() -> str:
    """Terraform's own settings, such that it takes the provider from this machine. Raises NotTried where that has none.

    The user's settings file, if TF_CLI_CONFIG_FILE names one, says where; else a folder of plugins that holds the provider: that
    of TERRAFORM_PLUGINS, or one where Terraform itself looks (its documentation, "Implied Local Mirror Directories").
    """
    own = Path(os.environ.get("TF_CLI_CONFIG_FILE") or "nowhere")
    if own.is_file():
        return own.read_text()
    data = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    home = Path.home()
    folders = [
        *(Path(named) for named in [os.environ.get("TERRAFORM_PLUGINS")] if named),
        *(home / below / "plugins" for below in (".terraform.d", ".local/share/terraform")),
        *(Path(shared) / "terraform/plugins" for shared in data.split(":")),
    ]
    for folder in folders:
        if (folder / "registry.terraform.io/hashicorp/aws").is_dir():
            return f"provider_installation {{\n  filesystem_mirror {{\n    path = {json.dumps(str(folder))}\n  }}\n}}\n"
    raise NotTried("Terraform's AWS provider is in no folder of plugins; TERRAFORM_PLUGINS may name one")
