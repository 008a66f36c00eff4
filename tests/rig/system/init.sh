#!@tools@/bin/sh
# Stage 2 of a boot, as far as it leaves traces: what the boot loader's init= names.
export PATH=@tools@/bin
echo "booting @out@" >&2
[ @initExit@ = 0 ] || exit @initExit@
mkdir -p /var/log
echo "$(date +%s) init @out@ pid=$$" >> /var/log/switch.log
ln -sfn @out@ /run/booted-system
@out@/activate
