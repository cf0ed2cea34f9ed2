#!/bin/bash
# user-mode-linux.sh DIR: where the system has no User-Mode Linux, unpacks that of Debian 12 into DIR, and says so.
#
# Ubuntu has no package of it, and Debian's needs nothing but libc. apt fetches it, and holds it against Debian's keys (package
# debian-archive-keyring), with sources and lists in a temporary folder: those of the system are left alone. Needs no root.
set -euo pipefail

if [ -x /usr/bin/linux.uml ] || [ -x "$1/usr/bin/linux.uml" ]; then
  exit
fi
echo "User-Mode Linux: unpacking Debian's package user-mode-linux into $1"
root=$(mktemp -d "${TMPDIR:-/tmp}/ec2gw-apt.XXXXXX")
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/etc/apt/preferences.d "$root"/var/lib/apt/lists/partial "$root"/var/cache/apt/archives/partial "$1.part"
keys=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keys] http://deb.debian.org/debian bookworm main" > "$root/etc/apt/sources.list"
[ "$(id -u)" != 0 ] || chown _apt "$root"  # apt drops to this user to fetch

apt() { apt-get -qq -o Dir="$root" -o Acquire::Languages=none "$@" > /dev/null; }
apt update
(cd "$root" && apt download user-mode-linux)
dpkg-deb -x "$root"/user-mode-linux_*.deb "$1.part"
mv -T "$1.part" "$1"
