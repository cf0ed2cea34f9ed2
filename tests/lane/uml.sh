#!/bin/bash
# uml.sh [-m MEM] [-d SIZE]… [-w DIR]… [-t SECONDS] -- CMD…
#
# Runs CMD as root in a User-Mode Linux machine whose root is this host's own file system, read-only below a tmpfs: the
# virtualenv, qemu and lvm are there as they are here. Needs no root. The working folder, PATH and the variables EC2GW_* are the
# caller's; the output and the exit status are CMD's, 125 when the machine gave none. linux.uml and its modules are the system's or,
# where it has none, what install/user-mode-linux.sh has put into build/uml. A process there that has more than some 300 MB may be
# killed: each of its pages may take one of the 65530 mappings that the host lets a process have (vm.max_map_count).
#
# -m  memory (3G)
# -d  a disk of SIZE, sparse and blank; the first is /dev/ubdb
# -w  a folder of the host that CMD may write to; all else that it writes is lost
# -t  seconds until the machine is ended (300)
set -u
memory=3G seconds=300 disks=() writable=()
while getopts m:d:w:t: option; do
  case $option in
    m) memory=$OPTARG ;;
    d) disks+=("$OPTARG") ;;
    w) writable+=("$(realpath "$OPTARG")") ;;
    t) seconds=$OPTARG ;;
    *) exit 2 ;;
  esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || { echo "usage: uml.sh [-m MEM] [-d SIZE]... [-w DIR]... [-t SECONDS] -- CMD..." >&2; exit 2; }

here=$(dirname "$(readlink -f "$0")")
uml=/usr
[ -x $uml/bin/linux.uml ] || uml=$(realpath "$here/../../build/uml/usr")
job=$(mktemp -d "${TMPDIR:-/tmp}/ec2gw-lane.XXXXXX")
printf '%s\n' "${writable[@]}" > "$job/writable"
{
  for name in ${!EC2GW_*}; do printf 'export %s=%q\n' "$name" "${!name}"; done
  printf 'cd %q\nexport PATH=%q\nexec %s\n' "$PWD" "$PATH:/usr/sbin:/sbin" "$(printf '%q ' "$@")"
} > "$job/command"
: > "$job/output"

drives=() letter=b
for size in "${disks[@]}"; do
  truncate -s "$size" "$job/$letter.img"
  drives+=("ubd$letter=$job/$letter.img")
  letter=$(echo "$letter" | tr b-y c-z)
done

ulimit -n "$(ulimit -Hn)"  # the machine holds open each file of the host that it has read
# TMPDIR: the machine's memory is an unlinked file there, and must be mapped executable.
TMPDIR=/dev/shm timeout -k 5 "$seconds" "$uml/bin/linux.uml" mem="$memory" umid="$(basename "$job")" uml_dir="$job" \
  root=/dev/root rootfstype=hostfs rootflags=/ ro init="$here/uml-init.sh" ec2gw.job="$job" ec2gw.uml="$uml" \
  con=null con0=null,fd:2 con1=null ssl=null quiet panic=1 "${drives[@]}" > "$job/console" 2>&1 < /dev/null &
machine=$!
tail -q -n +1 -s 0.2 -f --pid=$machine "$job/output"
wait $machine
ended=$?
if [ -f "$job/status" ]; then
  status=$(cat "$job/status")
  rm -rf "$job"
  exit "$status"
fi
echo "uml.sh: the machine gave no result (it ended with $ended); its console:" >&2
tail -30 "$job/console" >&2
rm -rf "$job"
exit 125
