#!@tools@/bin/sh
export PATH=@tools@/bin
echo "setting up /etc..." >&2
ln -sfn @out@ /run/current-system.tmp
mv -fT /run/current-system.tmp /run/current-system
