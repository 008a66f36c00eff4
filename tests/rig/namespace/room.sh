# room.sh DIR STORE_SIZE: builds a device's file tree in this mount namespace and stays inside it until standard input ends.
# STORE_SIZE is what /nix has in memory, in bytes or per cent, or "disk".
#
# The tree is a tmpfs that shows every top-level entry of the host, with the device's own nix, boot, etc, var/log and rig
# in their places, so that nothing is created on the host. Disks outlive boots here; boot.sh is one boot.
set -eu
dir=$1 store_size=$2
root=$dir/root

# Nothing that is mounted here may reach the host. In a chroot "/" is no mount, so each one that can be seen is cut off.
mount --make-rprivate / 2> /dev/null || while read -r _ point _; do
  mount --make-private "$point"
done < /proc/mounts

mount -t tmpfs -o mode=755 device "$root"
mount --make-unbindable "$root" # else showing the directory that holds it would show it again inside itself

for entry in /* /.[!.]*; do
  name=${entry#/}
  case $name in nix | run | boot | etc | rig | lost+found) continue ;; esac
  if [ -L "$entry" ]; then
    ln -s "$(readlink "$entry")" "$root/$name"
  elif [ -d "$entry" ]; then
    mkdir "$root/$name"
    mount --rbind "$entry" "$root/$name"
  elif [ -f "$entry" ]; then
    : > "$root/$name"
    mount --bind "$entry" "$root/$name"
  fi
done

# A writable /etc in front of the host's.
mkdir "$root/etc" "$root/.host-etc"
mount --rbind /etc "$root/.host-etc"
set --
for entry in /etc/* /etc/.[!.]*; do
  [ ! -e "$entry" ] || set -- "$@" "/.host-etc/${entry#/etc/}"
done
ln -s "$@" "$root/etc/"
rm -f "$root/etc/nix" "$root/etc/nix-ota"

show() {
  mkdir -p "$root$2"
  mount --bind "$1" "$root$2"
}
[ "$store_size" = disk ] || mount -t tmpfs -o "size=$store_size,mode=755" store "$dir/nix"
show "$dir/nix" /nix
show "$dir/boot" /boot
show "$dir/log" /var/log
show "$dir/etc-nix-ota" /etc/nix-ota
show "$dir/rig" /rig
mkdir "$root/run"

exec chroot "$root" /bin/sh -c 'echo ready; exec cat > /dev/null'
