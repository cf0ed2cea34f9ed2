#!/bin/bash
# pool.sh DISK GROUP CMD… : make the thin pool GROUP/pool on the blank block device DISK and run CMD with it, its name in EC2GW_LVM.
# LVM sees no other disk, and its settings are in /run/GROUP.
set -eu
disk=$1 group=$2
shift 2
udev=0
[ -S /run/udev/control ] && udev=1 || export DM_DISABLE_UDEV=1
export EC2GW_LVM=$group/pool LVM_SYSTEM_DIR=/run/$group
mkdir -p "$LVM_SYSTEM_DIR"
# One disk, nothing to back up; the pool's own check is left out only here, to save time.
cat > "$LVM_SYSTEM_DIR/lvm.conf" <<CONF
devices { scan="/dev" obtain_device_list_from_udev=0 filter=["a|^$disk\$|","r|.*|"] use_devicesfile=0 }
activation { udev_sync=$udev udev_rules=$udev monitoring=0 }
backup { backup=0 archive=0 }
global { thin_check_executable="" }
CONF
for module in dm-mod dm-thin-pool; do modprobe "$module"; done
lvm > "$LVM_SYSTEM_DIR/log" 2>&1 <<LVM || { cat "$LVM_SYSTEM_DIR/log" >&2; exit 125; }
vgcreate -qq $group $disk
lvcreate -qq -y -l 90%FREE --poolmetadatasize 8M -c 64k -Zy --discards passdown --errorwhenfull y -T $group/pool
LVM
unset DM_DISABLE_UDEV
exec "$@"
