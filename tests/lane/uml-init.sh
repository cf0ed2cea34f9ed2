#!/bin/bash
# Process 1 of the User-Mode Linux machine that uml.sh starts. The kernel command line names the job's folder on the host,
# ec2gw.job=DIR: `command` and `writable` are read there, `output` and `status` written; ec2gw.uml=DIR has the kernel's modules.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
mount -t proc proc /proc
mount -t sysfs sys /sys
for word in $(cat /proc/cmdline); do
  case $word in
    ec2gw.job=*) job=${word#*=} ;;
    ec2gw.uml=*) modules=${word#*=}/lib/uml/modules/$(uname -r) ;;
  esac
done

# The host's file system stays as it is: all writes go to memory.
busybox insmod "$modules/kernel/fs/overlayfs/overlay.ko"
mount -t tmpfs -o size=1500m memory /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
cd /mnt/root || exit
mount -t proc proc proc
mount -t sysfs sys sys
mount -t devtmpfs dev dev
mkdir -p dev/shm dev/pts
mount -t tmpfs shm dev/shm
mount -t devpts -o ptmxmode=666 pts dev/pts
ln -sf pts/ptmx dev/ptmx
mount -t tmpfs run run
mkdir -p run/lock run/lvm mnt/job lib/modules
ln -sfn "$modules" "lib/modules/$(uname -r)"
mount -t hostfs none mnt/job -o "$job"
while read -r folder; do
  [ -n "$folder" ] || continue
  mkdir -p ".$folder"
  mount -t hostfs none ".$folder" -o "$folder"
done < mnt/job/writable
[ -e usr/sbin/modprobe ] || ln -s "$(command -v busybox)" usr/sbin/modprobe
ip link set lo up

chroot /mnt/root /bin/bash /mnt/job/command > mnt/job/output 2>&1 < /dev/null
status=$?
sync
echo $status > mnt/job/status.part
mv mnt/job/status.part mnt/job/status
exec chroot /mnt/root busybox poweroff -f
