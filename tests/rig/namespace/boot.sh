# boot.sh: one boot of a device, as the first process of its process namespace: prints its process id on the host and stays until
# standard input ends. Everything that runs in the device ends with it.
set -eu
read -r pid rest < /proc/self/stat # still the host's /proc
mount -t proc proc /proc
mount -t tmpfs -o mode=755 run /run
echo "$pid"
exec 3<&0 # a command in the background would get /dev/null instead
while :; do
  (
    trap '' TERM INT HUP # a shutdown signals every process
    exec cat <&3 > /dev/null
  ) &
  wait $! && break # and reaps orphans meanwhile, which a mere sleep would not
done
