#!/bin/bash
# debian.sh [GROUP…]: installs the Debian or Ubuntu packages that a group of jobs needs, and says which. What is there stays as it is.
#
# Groups: build (compile libvirt-python), run (real machines, volumes on LVM), guest (build the guest image),
# test (the lanes of the tests). All of them without an argument.
set -euo pipefail

. /etc/os-release
kin=" $ID ${ID_LIKE:-} "
case $kin in
  *" debian "*) ;;
  *) echo "debian.sh: this is $PRETTY_NAME; install by its own means what $0 lists" >&2; exit 1 ;;
esac

build=(gcc libvirt-dev pkg-config python3-dev python3-venv)
run=(libvirt-daemon libvirt-daemon-driver-qemu lvm2 qemu-system-x86 qemu-utils thin-provisioning-tools util-linux)
guest=(busybox-static dosfstools e2fsprogs extlinux mtools syslinux zstd)
test=(iproute2 libvirt-clients openssh-client openssl postgresql putty-tools)
# Ubuntu has no such package: user-mode-linux.sh gets it from Debian, whose keys these are.
[[ $kin = *" ubuntu "* ]] && test+=(debian-archive-keyring) || test+=(user-mode-linux)

wanted=()
for group in "${@:-build run guest test}"; do
  for name in $group; do
    case $name in build | run | guest | test) ;; *) echo "debian.sh: no group $name" >&2; exit 2 ;; esac
    declare -n packages=$name
    wanted+=("${packages[@]}")
    unset -n packages
  done
done

as_root=()
if [ "$(id -u)" != 0 ]; then
  command -v sudo > /dev/null || { echo "debian.sh: run as root, or install sudo" >&2; exit 1; }
  as_root=(sudo)
fi

missing=()
for package in "${wanted[@]}"; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null)" = installed ] || missing+=("$package")
done
# libvirt's QEMU driver asks for this user and group by name before it reads any setting. The package libvirt-daemon-system has the
# user too, along with a daemon that nothing here needs; the group is Ubuntu's choice, and udev's where that is installed.
if [[ " ${wanted[*]} " = *" libvirt-daemon-driver-qemu "* ]]; then
  if ! getent passwd libvirt-qemu > /dev/null; then
    echo "System user: making libvirt-qemu"
    "${as_root[@]}" useradd --system --user-group --no-create-home --home-dir /var/lib/libvirt --shell /usr/sbin/nologin libvirt-qemu
  fi
  if [[ $kin = *" ubuntu "* ]] && ! getent group kvm > /dev/null; then
    echo "System group: making kvm"
    "${as_root[@]}" groupadd --system kvm
  fi
fi
if [ ${#missing[@]} = 0 ]; then
  echo "Debian packages: all ${#wanted[@]} are installed."
  exit
fi

echo "Debian packages: installing ${missing[*]}"
"${as_root[@]}" apt-get update -qq
# The tests run databases of their own in temporary folders: no cluster is to be set up for this host.
quiet=
if [[ " ${missing[*]} " = *" postgresql "* ]]; then
  quiet=/etc/postgresql-common/createcluster.d/ec2gw.conf
  "${as_root[@]}" mkdir -p "${quiet%/*}"
  echo "create_main_cluster = false" | "${as_root[@]}" tee "$quiet" > /dev/null
  trap '"${as_root[@]}" rm -f "$quiet"' EXIT
fi
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" > /dev/null
