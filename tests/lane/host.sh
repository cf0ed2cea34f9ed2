#!/bin/bash
# host.sh [-m MEM] [-d SIZE] [-w DIR]… [-t SECONDS] -- CMD…
#
# Runs CMD on this host, as root, with a thin pool by pool.sh: on a loop device of SIZE, in a volume group of a name of its own, and
# both are gone afterwards. The words are those of uml.sh; -m and -w mean nothing here.
set -u
size=8G seconds=300
while getopts m:d:w:t: option; do
  case $option in
    d) size=$OPTARG ;;
    t) seconds=$OPTARG ;;
    m | w) ;;
    *) exit 2 ;;
  esac
done
shift $((OPTIND - 1))
here=$(dirname "$(readlink -f "$0")")
group=ec2gw_lane_$$ disk='' loop=''

leave() {
  [ -z "$loop" ] || LVM_SYSTEM_DIR=/run/$group lvm vgremove -qq --force --force "$group"
  [ -z "$loop" ] || losetup --detach "$loop"
  rm -rf "$disk" "/run/$group"
}
trap leave EXIT
trap 'exit 130' INT TERM
disk=$(mktemp "${TMPDIR:-/tmp}/$group.XXXXXX") && truncate -s "$size" "$disk" && loop=$(losetup --find --show "$disk") || exit 125
timeout -k 5 "$seconds" "$here/pool.sh" "$loop" "$group" "$@"
