#!/bin/bash
# pool.sh CMD… : inside the machine of uml.sh, make the thin pool vg0/pool on /dev/ubdb and run CMD with it.
set -eu
export EC2GW_LVM=vg0/pool DM_DISABLE_UDEV=1 LVM_SYSTEM_DIR=/run/lvm-lane
mkdir -p "$LVM_SYSTEM_DIR"
# No udevd, one disk, nothing to back up; the pool's own check is left out only here, to save time.
cat > "$LVM_SYSTEM_DIR/lvm.conf" <<'CONF'
devices { scan="/dev" obtain_device_list_from_udev=0 filter=["a|^/dev/ubdb$|","r|.*|"] use_devicesfile=0 }
activation { udev_sync=0 udev_rules=0 monitoring=0 }
backup { backup=0 archive=0 }
global { thin_check_executable="" }
CONF
for module in dm-mod dm-thin-pool; do modprobe "$module"; done
lvm > /run/lvm-lane/log 2>&1 <<'LVM' || { cat /run/lvm-lane/log >&2; exit 125; }
vgcreate -qq vg0 /dev/ubdb
lvcreate -qq -y -l 90%FREE --poolmetadatasize 8M -c 64k -Zy --discards passdown --errorwhenfull y -T vg0/pool
LVM
unset DM_DISABLE_UDEV
exec "$@"
