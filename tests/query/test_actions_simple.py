"""Key pairs, tags, places and instance types, through boto3; OpenSSL and OpenSSH judge the keys."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ec2gw.model.limits import Limits
from tests.query.face import ZONES, Face
from tests.query.test_server import refusal


def run(*command: str | Path, text: bytes = b"") -> bytes:
    return subprocess.run(command, input=text, capture_output=True, check=True).stdout


def colons(digest: str) -> str:
    return ":".join(re.findall("..", digest))


@pytest.fixture
def volume(ec2: Any) -> str:
    id: str = ec2.create_volume(AvailabilityZone=ZONES[0], Size=1)["VolumeId"]
    return id


def tags_of(ec2: Any, id: str) -> dict[str, str]:
    (shown,) = ec2.describe_volumes(VolumeIds=[id])["Volumes"]
    listed = ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [id]}])["Tags"]
    assert {tag["Key"]: tag["Value"] for tag in shown["Tags"]} == {tag["Key"]: tag["Value"] for tag in listed}
    assert {tag["ResourceType"] for tag in listed} <= {"volume"}
    return {tag["Key"]: tag["Value"] for tag in listed}


def pairs(**tags: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


# -- key pairs ------------------------------------------------------------------------------------------------------


def test_an_rsa_key_pair_is_what_openssl_and_openssh_say(ec2: Any, tmp_path: Path) -> None:
    made = ec2.create_key_pair(KeyName="my key", TagSpecifications=[{"ResourceType": "key-pair", "Tags": pairs(a="b")}])
    assert made["KeyMaterial"].startswith("-----BEGIN RSA PRIVATE KEY-----\n")
    assert made["Tags"] == pairs(a="b")
    file = tmp_path / "pair"
    file.write_text(made["KeyMaterial"])
    file.chmod(0o600)
    pkcs8 = run("openssl", "pkcs8", "-in", file, "-nocrypt", "-topk8", "-outform", "DER")
    assert made["KeyFingerprint"] == colons(hashlib.sha1(pkcs8).hexdigest())
    assert b"2048 bit" in run("openssl", "rsa", "-in", file, "-noout", "-text")
    (shown,) = ec2.describe_key_pairs(KeyNames=["my key"], IncludePublicKey=True)["KeyPairs"]
    assert shown["PublicKey"].split()[:2] == run("ssh-keygen", "-y", "-f", file).decode().split()[:2]
    assert (shown["KeyPairId"], shown["KeyType"], shown["Tags"]) == (made["KeyPairId"], "rsa", pairs(a="b"))
    (brief,) = ec2.describe_key_pairs(KeyPairIds=[made["KeyPairId"]])["KeyPairs"]
    assert brief == {name: value for name, value in shown.items() if name != "PublicKey"}


def test_an_ed25519_key_pair_is_what_openssh_says(ec2: Any, tmp_path: Path) -> None:
    made = ec2.create_key_pair(KeyName="k", KeyType="ed25519")
    file = tmp_path / "pair"
    file.write_text(made["KeyMaterial"])
    file.chmod(0o600)
    (public := tmp_path / "pair.pub").write_bytes(run("ssh-keygen", "-y", "-f", file))
    words = run("ssh-keygen", "-l", "-f", public).decode().split()
    assert words[1] == "SHA256:" + made["KeyFingerprint"].rstrip("=")
    assert made["KeyMaterial"].startswith("-----BEGIN OPENSSH PRIVATE KEY-----\n")


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_a_key_in_putty_s_form_is_what_puttygen_says(ec2: Any, tmp_path: Path, kind: str) -> None:
    """It checks the MAC; what it writes of the private key has the public key that is shown."""
    made = ec2.create_key_pair(KeyName="a key", KeyType=kind, KeyFormat="ppk")
    (shown,) = ec2.describe_key_pairs(KeyNames=["a key"], IncludePublicKey=True)["KeyPairs"]
    file, other = tmp_path / "pair.ppk", tmp_path / "pair"
    file.write_text(made["KeyMaterial"])
    assert run("puttygen", file, "-L").decode().split(maxsplit=2) == [*shown["PublicKey"].split()[:2], "a key\n"]
    run("puttygen", file, "-O", "private-openssh", "-o", other)
    assert run("ssh-keygen", "-y", "-f", other).decode().split()[:2] == shown["PublicKey"].split()[:2]


@pytest.mark.parametrize(
    ("form", "bits"),
    [("openssh", 1024), ("openssh", 4096), ("openssh-broken", 2048), ("rfc4716", 2048), ("der", 2048), ("der-base64", 2048)],
)
def test_public_keys_come_in_every_form(ec2: Any, tmp_path: Path, form: str, bits: int) -> None:
    file = tmp_path / "pair"
    run("ssh-keygen", "-q", "-t", "rsa", "-b", str(bits), "-m", "PEM", "-N", "", "-C", "some one@home", "-f", file)
    line = file.with_suffix(".pub").read_text()
    der = run("openssl", "rsa", "-in", file, "-pubout", "-outform", "DER")
    material = {
        "openssh": line.encode(),
        "openssh-broken": "\r\n".join(re.findall(".{1,60}", line.rsplit(" ", 2)[0])).encode(),
        "rfc4716": run("ssh-keygen", "-e", "-m", "RFC4716", "-f", file.with_suffix(".pub")),
        "der": der,
        "der-base64": base64.encodebytes(der),
    }[form]
    brought = ec2.import_key_pair(KeyName="k", PublicKeyMaterial=material)
    assert brought["KeyFingerprint"] == colons(hashlib.md5(der).hexdigest())
    (shown,) = ec2.describe_key_pairs(IncludePublicKey=True)["KeyPairs"]
    assert shown["PublicKey"] == f"{' '.join(line.split()[:2])} k"


def test_an_ed25519_key_comes_too(ec2: Any, tmp_path: Path) -> None:
    file = tmp_path / "pair"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file)
    brought = ec2.import_key_pair(KeyName="k", PublicKeyMaterial=file.with_suffix(".pub").read_bytes())
    assert run("ssh-keygen", "-l", "-f", file.with_suffix(".pub")).decode().split()[1] == "SHA256:" + brought[
        "KeyFingerprint"
    ].rstrip("=")
    assert ec2.describe_key_pairs()["KeyPairs"][0]["KeyType"] == "ed25519"


def test_other_keys_are_refused(ec2: Any, tmp_path: Path) -> None:
    bad = [
        b"x",
        b"ssh-rsa",
        b"ssh-rsa AAAA",
        b"ssh-rsa \xff",
        b"---- BEGIN SSH2 PUBLIC KEY ----\nAAAA",
        b"0\x82\x01",
        b"A" * 20_000,
    ]
    for kind, bits in (("ecdsa", "256"), ("rsa", "3072")):
        run("ssh-keygen", "-q", "-t", kind, "-b", bits, "-N", "", "-f", tmp_path / kind)
        bad.append((tmp_path / f"{kind}.pub").read_bytes())
    bad.append((tmp_path / "rsa").read_bytes())  # a private key
    for material in bad:
        said = refusal(ec2.import_key_pair, KeyName="k", PublicKeyMaterial=material)
        assert said == ("InvalidKey.Format", "Key is not in valid OpenSSH public key format", 400), material[:40]
    assert refusal(ec2.import_key_pair, KeyName="k", PublicKeyMaterial=b"")[0] == "MissingParameter"
    assert ec2.describe_key_pairs()["KeyPairs"] == []


def test_key_pairs_by_name(face: Face, ec2: Any) -> None:
    made = ec2.create_key_pair(KeyName="k", KeyType="ed25519")
    assert refusal(ec2.create_key_pair, KeyName="k") == ("InvalidKeyPair.Duplicate", "The keypair 'k' already exists.", 400)
    assert face.client(face.second).create_key_pair(KeyName="k", KeyType="ed25519")["KeyPairId"] != made["KeyPairId"]
    absent = ("InvalidKeyPair.NotFound", "The key pair 'K' does not exist", 400)
    assert refusal(ec2.describe_key_pairs, KeyNames=["k", "K"]) == absent
    assert len(ec2.describe_key_pairs(Filters=[{"Name": "key-name", "Values": ["?"]}])["KeyPairs"]) == 1
    for name in (" k", "k ", "k\n", "", "ké", "k" * 256):
        assert refusal(ec2.create_key_pair, KeyName=name)[0] in ("InvalidParameterValue", "MissingParameter")
    assert refusal(ec2.create_key_pair, KeyName="p", KeyFormat="der")[0] == "InvalidParameterValue"
    assert refusal(ec2.create_key_pair, KeyName="p", KeyType="dsa")[0] == "InvalidParameterValue"


def test_deleting_a_key_pair_always_succeeds(face: Face, ec2: Any) -> None:
    one, two = (ec2.create_key_pair(KeyName=name, KeyType="ed25519")["KeyPairId"] for name in "ab")
    foreign = face.client(face.second)
    foreign.create_key_pair(KeyName="a", KeyType="ed25519")
    ec2.create_tags(Resources=[one], Tags=pairs(x="y"))
    assert (ec2.delete_key_pair(KeyName="a")["Return"], ec2.delete_key_pair(KeyPairId=two)["KeyPairId"]) == (True, two)
    assert "KeyPairId" not in ec2.delete_key_pair(KeyName="a")
    assert refusal(ec2.delete_key_pair)[0] == "MissingParameter"
    assert ec2.describe_key_pairs()["KeyPairs"] == []
    assert ec2.describe_tags()["Tags"] == []
    assert len(foreign.describe_key_pairs()["KeyPairs"]) == 1


# -- tags -----------------------------------------------------------------------------------------------------------


def test_tags_are_set_changed_and_taken(ec2: Any, volume: str) -> None:
    ec2.create_tags(Resources=[volume], Tags=pairs(a="1", A="2", empty=""))
    assert tags_of(ec2, volume) == {"a": "1", "A": "2", "empty": ""}
    ec2.create_tags(Resources=[volume], Tags=pairs(a="3"))
    assert tags_of(ec2, volume)["a"] == "3"
    ec2.delete_tags(Resources=[volume], Tags=[{"Key": "a", "Value": "other"}, {"Key": "A", "Value": ""}, {"Key": "none"}])
    assert tags_of(ec2, volume) == {"a": "3", "A": "2", "empty": ""}
    ec2.delete_tags(Resources=[volume], Tags=[{"Key": "a"}, {"Key": "empty", "Value": ""}])
    assert tags_of(ec2, volume) == {"A": "2"}
    ec2.delete_tags(Resources=[volume])
    assert tags_of(ec2, volume) == {}


def test_tags_at_creation(face: Face, ec2: Any) -> None:
    def create(*specifications: Any) -> Any:
        return ec2.create_volume(AvailabilityZone=ZONES[0], Size=1, TagSpecifications=list(specifications))

    made = create({"ResourceType": "volume", "Tags": pairs(b="2", a="1")})
    assert sorted(made["Tags"], key=lambda tag: tag["Key"]) == pairs(a="1", b="2")
    assert tags_of(ec2, made["VolumeId"]) == {"a": "1", "b": "2"}
    before = face.everything()
    wrong = "'instance' is not a valid taggable resource type for this operation."
    said = refusal(create, {"ResourceType": "instance", "Tags": pairs(a="1")})
    assert said == ("InvalidParameterValue", wrong, 400)
    said = refusal(create, {"ResourceType": "volume"})
    assert said == ("InvalidParameterValue", "Tag specification must have at least one tag", 400)
    assert refusal(create, {"Tags": pairs(a="1")})[0] == "MissingParameter"
    assert refusal(create, {"ResourceType": "volume", "Tags": pairs(**{"aws:x": "1"})})[0] == "InvalidParameterValue"
    assert face.everything() == before


@pytest.mark.parametrize(
    ("tags", "code", "message"),
    [
        (pairs(**{"aws:x": ""}), "InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use"),
        (pairs(**{"AWS:x": ""}), "InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use"),
        ([{"Key": "", "Value": "x"}], "InvalidParameterValue", "Tag key cannot be empty"),
        ([{"Key": "k" * 129, "Value": ""}], "InvalidParameterValue", "Tag key exceeds the maximum length of 128 characters"),
        ([{"Key": "k", "Value": "v" * 257}], "InvalidParameterValue", "Tag value exceeds the maximum length of 256 characters"),
        ([{"Key": "k"}], "InvalidParameterValue", "Tag value cannot be null. Use empty string instead."),
        (pairs(k="1") + pairs(k="2"), "InvalidParameterValue", "Duplicate tag key 'k' specified."),
        (
            pairs(**{f"k{n}": "" for n in range(51)}),
            "TagLimitExceeded",
            "The maximum number of Tags for a resource has been reached.",
        ),
    ],
)
def test_tags_that_are_none(ec2: Any, volume: str, tags: Any, code: str, message: str) -> None:
    other = ec2.create_volume(AvailabilityZone=ZONES[0], Size=1)["VolumeId"]
    assert refusal(ec2.create_tags, Resources=[volume, other], Tags=tags) == (code, message, 400)
    assert tags_of(ec2, volume) == tags_of(ec2, other) == {}


def test_a_resource_has_fifty_tags(ec2: Any, volume: str) -> None:
    ec2.create_tags(Resources=[volume], Tags=pairs(**{"k" * 128: "v" * 256, **{f"k{n}": "" for n in range(49)}}))
    assert refusal(ec2.create_tags, Resources=[volume], Tags=pairs(one_more=""))[0] == "TagLimitExceeded"
    ec2.create_tags(Resources=[volume], Tags=pairs(k0="changed"))
    assert len(tags_of(ec2, volume)) == 50


def test_what_is_not_there_cannot_be_tagged(face: Face, ec2: Any, volume: str) -> None:
    foreign = face.client(face.second).create_volume(AvailabilityZone=ZONES[0], Size=1)["VolumeId"]
    for verb in (ec2.create_tags, ec2.delete_tags):
        for id, code in (
            ("i-1", "InvalidInstanceID.NotFound"),
            ("ami-1", "InvalidAMIID.NotFound"),
            ("snap-1", "InvalidSnapshot.NotFound"),
            ("sg-1", "InvalidGroup.NotFound"),
            (foreign, "InvalidVolume.NotFound"),
            ("thing-1", "InvalidID"),
            ("vol", "InvalidID"),
        ):
            assert refusal(verb, Resources=[volume, id], Tags=pairs(a="1"))[0] == code
    assert tags_of(ec2, volume) == {}
    assert refusal(ec2.create_tags, Resources=[], Tags=pairs(a="1"))[:2] == (
        "MissingParameter",
        "The request must contain the parameter resourceIdSet",
    )


def test_tags_are_listed_with_filters_and_pages(face: Face, ec2: Any) -> None:
    ids = sorted(ec2.create_volume(AvailabilityZone=ZONES[0], Size=1)["VolumeId"] for _ in range(4))
    ec2.create_tags(Resources=ids, Tags=pairs(**{"a*": "1", "ab": "2", "b": "1"}))
    other = face.client(face.second)
    other.create_tags(Resources=[other.create_volume(AvailabilityZone=ZONES[0], Size=1)["VolumeId"]], Tags=pairs(b="1"))

    def found(**filters: list[str]) -> list[tuple[str, str]]:
        asked = [{"Name": name.replace("_", "-"), "Values": values} for name, values in filters.items()]
        return [(tag["ResourceId"], tag["Key"]) for tag in ec2.describe_tags(Filters=asked)["Tags"]]

    assert found() == [(id, key) for id in ids for key in ("a*", "ab", "b")]
    assert found(value=["1"]) == [(id, key) for id in ids for key in ("a*", "b")]
    assert found(key=["a*"]) == [(id, key) for id in ids for key in ("a*", "ab")]
    assert found(**{"tag:a*": ["*"]}) == [(id, "a*") for id in ids]
    assert found(**{"tag:ab": ["1"]}) == []
    assert found(resource_id=ids[:2], resource_type=["volume"], key=["b"]) == [(id, "b") for id in ids[:2]]
    assert found(resource_type=["instance"]) == []
    assert refusal(ec2.describe_tags, Filters=[{"Name": "tag-key", "Values": ["a"]}])[0] == "InvalidParameterValue"
    pages = [page["Tags"] for page in ec2.get_paginator("describe_tags").paginate(PaginationConfig={"PageSize": 5})]
    assert [len(page) for page in pages] == [5, 5, 2]
    assert [(tag["ResourceId"], tag["Key"]) for page in pages for tag in page] == found()


# -- places and types -------------------------------------------------------------------------------------------------


def test_the_region_is_where_it_is(ec2: Any) -> None:
    expected = {"RegionName": "us-east-1", "Endpoint": "127.0.0.1:8773", "OptInStatus": "opt-in-not-required"}
    assert ec2.describe_regions()["Regions"] == ec2.describe_regions(RegionNames=["us-east-1"])["Regions"] == [expected]
    assert refusal(ec2.describe_regions, RegionNames=["mars"])[:2] == ("InvalidParameterValue", "Invalid region: [mars]")
    assert ec2.describe_regions(Filters=[{"Name": "region-name", "Values": ["eu-*"]}])["Regions"] == []


def test_zones_have_every_field(ec2: Any) -> None:
    zones = ec2.describe_availability_zones()["AvailabilityZones"]
    assert [(zone["ZoneName"], zone["ZoneId"]) for zone in zones] == list(
        zip(ZONES, ["use1-az1", "use1-az2", "use1-az3"], strict=True)
    )
    assert zones[0] == {
        "OptInStatus": "opt-in-not-required", "Messages": [], "RegionName": "us-east-1", "ZoneName": "us-east-1a",
        "ZoneId": "use1-az1", "GroupName": "us-east-1-zg-1", "GroupLongName": "us-east-1 1", "NetworkBorderGroup": "us-east-1",
        "ZoneType": "availability-zone", "State": "available",
    }  # fmt: skip
    assert [zone["ZoneName"] for zone in ec2.describe_availability_zones(ZoneIds=["use1-az2"])["AvailabilityZones"]] == [ZONES[1]]
    two = ec2.describe_availability_zones(ZoneNames=list(ZONES[:2]), Filters=[{"Name": "zone-id", "Values": ["*2"]}])
    assert [zone["ZoneName"] for zone in two["AvailabilityZones"]] == [ZONES[1]]
    said = ("InvalidParameterValue", "Invalid availability zone: [us-east-1z]", 400)
    assert refusal(ec2.describe_availability_zones, ZoneNames=["us-east-1z"]) == said


def test_account_attributes(ec2: Any, face: Face) -> None:
    (one,) = ec2.describe_account_attributes(AttributeNames=["supported-platforms"])["AccountAttributes"]
    assert one == {"AttributeName": "supported-platforms", "AttributeValues": [{"AttributeValue": "VPC"}]}
    assert "max-instances" in {row["AttributeName"] for row in ec2.describe_account_attributes()["AccountAttributes"]}
    face.database.limits = Limits(instances=7)
    (one,) = ec2.describe_account_attributes(AttributeNames=["max-instances"])["AccountAttributes"]
    assert one["AttributeValues"] == [{"AttributeValue": "7"}]
    assert refusal(ec2.describe_account_attributes, AttributeNames=["colour"])[0] == "InvalidParameterValue"


def test_instance_types_say_what_they_are(ec2: Any) -> None:
    (kind,) = ec2.describe_instance_types(InstanceTypes=["m5d.4xlarge"])["InstanceTypes"]
    assert kind["VCpuInfo"] == {
        "DefaultVCpus": 16, "DefaultCores": 8, "DefaultThreadsPerCore": 2, "ValidCores": list(range(1, 9)),
        "ValidThreadsPerCore": [1, 2],
    }  # fmt: skip
    assert kind["MemoryInfo"] == {"SizeInMiB": 65536}
    assert kind["InstanceStorageInfo"]["Disks"] == [{"SizeInGB": 300, "Count": 2, "Type": "ssd"}]
    wanted = [{"Name": "vcpu-info.default-vcpus", "Values": ["2"]}, {"Name": "memory-info.size-in-mib", "Values": ["1024"]}]
    found = ec2.describe_instance_types(Filters=wanted)["InstanceTypes"]
    assert [row["InstanceType"] for row in found] == ["t3.micro", "t3a.micro"]
    burst = ec2.describe_instance_types(Filters=[{"Name": "burstable-performance-supported", "Values": ["true"]}])[
        "InstanceTypes"
    ]
    assert {row["InstanceType"].partition(".")[0] for row in burst} == {"t2", "t3", "t3a"}
    said = refusal(ec2.describe_instance_types, InstanceTypes=["m5.large", "m5.tiny", "q1.big"])
    assert said == ("InvalidInstanceType", "The following supplied instance types do not exist: [m5.tiny, q1.big]", 400)
    assert refusal(ec2.describe_instance_types, InstanceTypes=["m5.large"], MaxResults=5)[0] == "InvalidParameterCombination"
    assert refusal(ec2.describe_instance_types, MaxResults=101)[0] == "InvalidParameterValue"


def test_instance_types_are_offered_everywhere(ec2: Any) -> None:
    only = [{"Name": "instance-type", "Values": ["t3.micro"]}]

    def offered(**where: Any) -> list[str]:
        rows = ec2.describe_instance_type_offerings(Filters=only, **where)["InstanceTypeOfferings"]
        assert {row["LocationType"] for row in rows} == {where.get("LocationType", "region")}
        assert {row["InstanceType"] for row in rows} == {"t3.micro"}
        return [row["Location"] for row in rows]

    assert offered() == ["us-east-1"]
    assert offered(LocationType="availability-zone") == list(ZONES)
    assert offered(LocationType="availability-zone-id") == ["use1-az1", "use1-az2", "use1-az3"]
    assert ec2.describe_instance_type_offerings(LocationType="outpost")["InstanceTypeOfferings"] == []
    assert refusal(ec2.describe_instance_type_offerings, LocationType="planet")[0] == "InvalidParameterValue"
    paginator = ec2.get_paginator("describe_instance_type_offerings").paginate(LocationType="availability-zone")
    everything = [(row["InstanceType"], row["Location"]) for page in paginator for row in page["InstanceTypeOfferings"]]
    assert len(everything) == len(set(everything)) == 3 * len(ec2.describe_instance_types()["InstanceTypes"])
