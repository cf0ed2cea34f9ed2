"""Instance types: what there is to choose from, and where."""

from __future__ import annotations

from typing import Any

from ec2gw.model import errors, instance_types
from ec2gw.model.instance_types import InstanceType
from ec2gw.query import describe
from ec2gw.query.actions import places
from ec2gw.query.api import Call, Request, Response, action

MOST_NAMES = 100

TYPES = describe.Catalogue(
    result="InstanceTypes",
    key="InstanceType",
    pages=(5, 100),
    filters={
        "auto-recovery-supported": "AutoRecoverySupported",
        "bare-metal": "BareMetal",
        "burstable-performance-supported": "BurstablePerformanceSupported",
        "current-generation": "CurrentGeneration",
        "dedicated-hosts-supported": "DedicatedHostsSupported",
        "ebs-info.attachment-limit-type": "EbsInfo.AttachmentLimitType",
        "ebs-info.maximum-ebs-attachments": "EbsInfo.MaximumEbsAttachments",
        "ebs-info.ebs-optimized-info.baseline-bandwidth-in-mbps": "EbsInfo.EbsOptimizedInfo.BaselineBandwidthInMbps",
        "ebs-info.ebs-optimized-info.baseline-iops": "EbsInfo.EbsOptimizedInfo.BaselineIops",
        "ebs-info.ebs-optimized-info.baseline-throughput-in-mbps": "EbsInfo.EbsOptimizedInfo.BaselineThroughputInMBps",
        "ebs-info.ebs-optimized-info.maximum-bandwidth-in-mbps": "EbsInfo.EbsOptimizedInfo.MaximumBandwidthInMbps",
        "ebs-info.ebs-optimized-info.maximum-iops": "EbsInfo.EbsOptimizedInfo.MaximumIops",
        "ebs-info.ebs-optimized-info.maximum-throughput-in-mbps": "EbsInfo.EbsOptimizedInfo.MaximumThroughputInMBps",
        "ebs-info.ebs-optimized-support": "EbsInfo.EbsOptimizedSupport",
        "ebs-info.encryption-support": "EbsInfo.EncryptionSupport",
        "ebs-info.nvme-support": "EbsInfo.NvmeSupport",
        "free-tier-eligible": "FreeTierEligible",
        "hibernation-supported": "HibernationSupported",
        "hypervisor": "Hypervisor",
        "instance-storage-info.disk.count": "InstanceStorageInfo.Disks[].Count",
        "instance-storage-info.disk.size-in-gb": "InstanceStorageInfo.Disks[].SizeInGB",
        "instance-storage-info.disk.type": "InstanceStorageInfo.Disks[].Type",
        "instance-storage-info.encryption-support": "InstanceStorageInfo.EncryptionSupport",
        "instance-storage-info.nvme-support": "InstanceStorageInfo.NvmeSupport",
        "instance-storage-info.total-size-in-gb": "InstanceStorageInfo.TotalSizeInGB",
        "instance-storage-supported": "InstanceStorageSupported",
        "instance-type": "InstanceType",
        "memory-info.size-in-mib": "MemoryInfo.SizeInMiB",
        "network-info.bandwidth-weightings": "NetworkInfo.BandwidthWeightings[]",
        "network-info.efa-info.maximum-efa-interfaces": "NetworkInfo.EfaInfo.MaximumEfaInterfaces",
        "network-info.efa-supported": "NetworkInfo.EfaSupported",
        "network-info.ena-support": "NetworkInfo.EnaSupport",
        "network-info.flexible-ena-queues-support": "NetworkInfo.FlexibleEnaQueuesSupport",
        "network-info.encryption-in-transit-supported": "NetworkInfo.EncryptionInTransitSupported",
        "network-info.ipv4-addresses-per-interface": "NetworkInfo.Ipv4AddressesPerInterface",
        "network-info.ipv6-addresses-per-interface": "NetworkInfo.Ipv6AddressesPerInterface",
        "network-info.ipv6-supported": "NetworkInfo.Ipv6Supported",
        "network-info.maximum-network-cards": "NetworkInfo.MaximumNetworkCards",
        "network-info.maximum-network-interfaces": "NetworkInfo.MaximumNetworkInterfaces",
        "network-info.network-performance": "NetworkInfo.NetworkPerformance",
        "nitro-enclaves-support": "NitroEnclavesSupport",
        "nitro-tpm-support": "NitroTpmSupport",
        "nitro-tpm-info.supported-versions": "NitroTpmInfo.SupportedVersions[]",
        "processor-info.supported-architecture": "ProcessorInfo.SupportedArchitectures[]",
        "processor-info.sustained-clock-speed-in-ghz": "ProcessorInfo.SustainedClockSpeedInGhz",
        "processor-info.supported-features": "ProcessorInfo.SupportedFeatures[]",
        "reboot-migration-support": "RebootMigrationSupport",
        "supported-boot-mode": "SupportedBootModes[]",
        "supported-root-device-type": "SupportedRootDeviceTypes[]",
        "supported-usage-class": "SupportedUsageClasses[]",
        "supported-virtualization-type": "SupportedVirtualizationTypes[]",
        "vcpu-info.default-cores": "VCpuInfo.DefaultCores",
        "vcpu-info.default-threads-per-core": "VCpuInfo.DefaultThreadsPerCore",
        "vcpu-info.default-vcpus": "VCpuInfo.DefaultVCpus",
        "vcpu-info.valid-cores": "VCpuInfo.ValidCores[]",
        "vcpu-info.valid-threads-per-core": "VCpuInfo.ValidThreadsPerCore[]",
    },
)
OFFERINGS = describe.Catalogue(
    result="InstanceTypeOfferings",
    key="Place",
    pages=(5, 1_000),
    filters={"instance-type": "InstanceType", "location": "Location"},
)


def view(kind: InstanceType) -> Response:
    """An instance type as DescribeInstanceTypes shows it: EC2's machine, with what this house can do for it."""
    interfaces, addresses = kind.interfaces
    shown: dict[str, Any] = {
        "InstanceType": kind.name,
        "CurrentGeneration": kind.current,
        "FreeTierEligible": kind.free_tier,
        "SupportedUsageClasses": ["on-demand"],
        "SupportedRootDeviceTypes": ["ebs"],
        "SupportedVirtualizationTypes": list(kind.virtualizations),
        "BareMetal": False,
        "Hypervisor": kind.hypervisor,
        "ProcessorInfo": {
            "SupportedArchitectures": list(kind.architectures),
            "SustainedClockSpeedInGhz": kind.clock,
            "Manufacturer": kind.manufacturer,
        },
        "VCpuInfo": {
            "DefaultVCpus": kind.vcpus,
            "DefaultCores": kind.cores,
            "DefaultThreadsPerCore": kind.threads,
            "ValidCores": list(kind.valid_cores),
            "ValidThreadsPerCore": list(kind.valid_threads),
        },
        "MemoryInfo": {"SizeInMiB": kind.memory_mib},
        "InstanceStorageSupported": kind.storage is not None,
        "EbsInfo": {
            "EbsOptimizedSupport": kind.ebs_optimized,
            "EncryptionSupport": "unsupported",
            "NvmeSupport": "unsupported",
            "MaximumEbsAttachments": kind.max_attachments,
            "AttachmentLimitType": "dedicated",
        },
        "NetworkInfo": {
            "NetworkPerformance": kind.network,
            "MaximumNetworkInterfaces": interfaces,
            "MaximumNetworkCards": 1,
            "DefaultNetworkCardIndex": 0,
            "NetworkCards": [
                {
                    "NetworkCardIndex": 0,
                    "NetworkPerformance": kind.network,
                    "MaximumNetworkInterfaces": interfaces,
                }
            ],
            "Ipv4AddressesPerInterface": addresses,
            "Ipv6AddressesPerInterface": 0,
            "Ipv6Supported": False,
            "EnaSupport": "unsupported",
            "EfaSupported": False,
            "EncryptionInTransitSupported": False,
        },
        "PlacementGroupInfo": {"SupportedStrategies": list(kind.strategies)},
        "HibernationSupported": False,
        "BurstablePerformanceSupported": kind.burstable,
        "DedicatedHostsSupported": False,
        "AutoRecoverySupported": False,
        "SupportedBootModes": ["legacy-bios"],
        "NitroEnclavesSupport": "unsupported",
        "NitroTpmSupport": "unsupported",
    }
    if kind.storage is not None:
        count, size = kind.storage
        shown["InstanceStorageInfo"] = {
            "TotalSizeInGB": count * size,
            "Disks": [{"SizeInGB": size, "Count": count, "Type": kind.storage_kind}],
            "NvmeSupport": "unsupported",
            "EncryptionSupport": "unsupported",
        }
    return shown


@action
def describe_instance_types(call: Call, req: Request) -> Response:
    wanted = list(dict.fromkeys(req.get("InstanceTypes", ())))
    if len(wanted) > MOST_NAMES:
        raise errors.Invalid("invalid-value", value=len(wanted), parameter="instanceType", why=f"At most {MOST_NAMES} names.")
    if wanted and "MaxResults" in req:
        raise errors.Conflict("parameter-conflict", parameter="instanceTypes", other="maxResults")
    unknown = [name for name in wanted if name not in instance_types.TYPES]
    if unknown:
        raise errors.Invalid("instance-types-unknown", types=", ".join(unknown))
    return describe.choose(req, TYPES, [view(instance_types.TYPES[name]) for name in wanted or instance_types.TYPES])


@action
def describe_instance_type_offerings(call: Call, req: Request) -> Response:
    region = call.settings
    location = req.get("LocationType", "region")
    places_of = {
        "region": (region.name,),
        "availability-zone": region.zones,
        "availability-zone-id": tuple(places.zone_id(region, zone) for zone in region.zones),
        "outpost": (),
    }
    if location not in places_of:
        raise errors.Invalid("bad-value", value=location[:64], parameter="locationType")
    views = [
        {"InstanceType": name, "LocationType": location, "Location": place, "Place": f"{name} {place}"}
        for name in instance_types.TYPES
        for place in places_of[location]
    ]
    response = describe.choose(req, OFFERINGS, views)
    for row in response["InstanceTypeOfferings"]:
        del row["Place"]
    return response
