#!@tools@/bin/sh
# What NixOS' own does in the same order: boot loader first, then the running system.
export PATH=@tools@/bin
action=$1

mkdir -p /var/log
echo "$(date +%s) $action @out@ pid=$$" >> /var/log/switch.log

# One entry per generation of the profile, the default being the one of this system, as systemd-boot's builder writes them.
install_boot_loader() {
  mkdir -p /boot/loader/entries
  default=
  for link in /nix/var/nix/profiles/system-*-link; do
    [ -L "$link" ] || continue
    number=${link%-link}
    number=${number##*/system-}
    toplevel=$(readlink "$link")
    entry=/boot/loader/entries/nixos-generation-$number.conf
    [ "$toplevel" = @out@ ] && default=${entry##*/}
    {
      echo "title NixOS"
      echo "version Generation $number"
      echo "options init=$toplevel/init loglevel=4"
    } > "$entry.tmp"
    mv "$entry.tmp" "$entry"
  done
  for entry in /boot/loader/entries/nixos-generation-*.conf; do
    number=${entry%.conf}
    number=${number##*-}
    [ -L "/nix/var/nix/profiles/system-$number-link" ] || rm -f "$entry"
  done
  [ -n "$default" ] || return 0
  printf 'timeout 5\ndefault %s\n' "$default" > /boot/loader/loader.conf.tmp
  fsync /boot/loader/loader.conf.tmp
  mv /boot/loader/loader.conf.tmp /boot/loader/loader.conf
}

case "$action" in
  switch | boot | test) ;;
  dry-activate)
    echo "would activate the configuration..." >&2
    exit 0
    ;;
  *)
    echo "Usage: $0 [switch|boot|test|dry-activate]" >&2
    exit 1
    ;;
esac

if [ "$action" != test ]; then
  echo "updating the boot loader..." >&2
  install_boot_loader
fi
[ "$action" = boot ] && exit 0

sleep @switchSleepSeconds@
echo "activating the configuration..." >&2
[ @becomesCurrent@ = no ] || @out@/activate || exit 2
[ @switchExit@ = 0 ] || echo "warning: the following units failed: app.service" >&2
exit @switchExit@
