#!/bin/bash
# lvm.sh [-s] [-m MEM] [-d SIZE] [-w DIR]… [-t SECONDS] -- CMD…
#
# Runs CMD by uml.sh with a fresh LVM thin pool, whose name is in EC2GW_LVM (vg0/pool), on a disk of SIZE (8G, sparse).
#
# -s  CMD runs libvirt: probe qemu here first, where it takes a second and not ten, with $PYTHON (python3), which must have
#     libvirt. EC2GW_LIBVIRT_SEED then names a folder whose content belongs into a new embedded root's `cache/`.
#     It is made anew in every run, because it is only right for the libvirt and qemu of this moment.
set -eu
size=8G options=() seed=
while getopts sm:d:w:t: option; do
  case $option in
    s) seed=yes ;;
    d) size=$OPTARG ;;
    m | w | t) options+=("-$option" "$OPTARG") ;;
    *) exit 2 ;;
  esac
done
shift $((OPTIND - 1))
here=$(dirname "$(readlink -f "$0")")

if [ -n "$seed" ]; then
  seed=$(mktemp -d "${TMPDIR:-/tmp}/ec2gw-seed.XXXXXX")
  trap 'rm -rf "$seed"' EXIT
  alone=(unshare --mount --propagation private)
  # A user may mount in a namespace of his own, where the host lets him: Ubuntu 24.04 does not.
  if [ "$(id -u)" != 0 ]; then
    mine=(--map-current-user --keep-caps)
    unshare --mount "${mine[@]}" mount -t tmpfs none /mnt 2> /dev/null && alone+=("${mine[@]}") || alone=(sudo "${alone[@]}")
  fi
  # A /dev without kvm: inside the machine there is none either, and libvirt's cache must agree.
  "${alone[@]}" bash -euc '
    mkdir "$1/dev"
    mount -t tmpfs dev "$1/dev"
    for node in null zero full random urandom tty; do
      : > "$1/dev/$node"
      mount --bind "/dev/$node" "$1/dev/$node"
    done
    mkdir "$1/dev/shm"
    mount --rbind "$1/dev" /dev
    "$2" "$3/seed.py" "$1/cache"
    chown -R --reference="$1" "$1/cache"
  ' - "$seed" "${PYTHON:-python3}" "$here" > "$seed/log" 2>&1 || { cat "$seed/log" >&2; exit 125; }
  export EC2GW_LIBVIRT_SEED=$seed/cache
fi
"$here/uml.sh" -d "$size" "${options[@]}" -- "$here/pool.sh" "$@"
