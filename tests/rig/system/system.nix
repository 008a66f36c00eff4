# NixOS-shaped systems without nixpkgs: the same files in the same places as a real system closure, and a
# switch-to-configuration that does to a device what the real one does, as far as an updater can see.
#
#   nix-build system.nix --arg busybox ./busybox --arg blobs ./blobs --argstr specs '[{"generation":1,...}]'
#
# closures.ts writes the specs; every field of one is given.
{ busybox, blobs, specs }:

let
  system = builtins.currentSystem;

  # A directory and not a file, as busybox looks at its name and a store path begins with a hash.
  bootstrap = builtins.path { name = "busybox-bootstrap"; path = busybox; };

  build = shell: name: env: script: derivation ({
    inherit name system script;
    builder = "${shell}/bin/sh";
    args = [ "-e" "-c" "export PATH=${shell}/bin; . $scriptPath" ];
    passAsFile = [ "script" ] ++ (env.files or [ ]);
    preferLocalBuild = true;
    allowSubstitutes = false;
  } // removeAttrs env [ "files" ]);

  # Copied into a path with an input address: paths addressed by content need no signature, and every path of a system must.
  tools = build bootstrap "busybox-1.37.0" { } ''
    mkdir -p $out/bin
    cp ${bootstrap}/bin/busybox $out/bin/busybox
    for applet in $($out/bin/busybox --list); do
      [ "$applet" = busybox ] || ln -s busybox $out/bin/$applet
    done
  '';

  make = build tools;

  # Bytes that do not compress, copied so that the result does not depend on the source path.
  blob = file: "cp ${builtins.path { name = "blob"; path = blobs + "/${file}"; }} $out/share/data";

  library = base: make base.name { } ''
    mkdir -p $out/lib $out/share
    echo "${base.name}" > $out/lib/libc.so.6
    ${blob base.blob}
  '';

  package = libc: name: make name { } ''
    mkdir -p $out/bin $out/share
    ln -s ${libc}/lib $out/lib
    program=$out/bin/${(builtins.parseDrvName name).name}
    printf '#!${tools}/bin/sh\necho "${name}"\n' > $program
    chmod +x $program
  '';

  kernel = name: make name { } ''
    mkdir -p $out
    { echo "${name}"; seq 1 100000; } | gzip -n > $out/bzImage
  '';

  initrd = linux: name: make "initrd-${name}" { } ''
    mkdir -p $out
    echo "initial ramdisk for ${linux}" > $out/initrd
  '';

  # The generation's own payload, which is what makes the download of an update as large as a test wants it.
  app = libc: spec: make spec.app { } ''
    mkdir -p $out/bin $out/share
    ln -s ${libc}/lib $out/lib
    printf '#!${tools}/bin/sh\necho "${spec.app}"\n' > $out/bin/app
    chmod +x $out/bin/app
    ${blob spec.blob}
  '';

  # What `healthCmd` runs: its answer is the generation's own.
  health = spec: make "health-check" { } ''
    mkdir -p $out/bin
    {
      echo '#!${tools}/bin/sh'
      echo 'export PATH=${tools}/bin'
      echo 'sleep ${toString spec.healthSleepSeconds}'
      echo 'echo "generation ${toString spec.generation}: ${if spec.healthExit == 0 then "ok" else "sick"}"'
      echo 'exit ${toString spec.healthExit}'
    } > $out/bin/health-check
    chmod +x $out/bin/health-check
  '';

  etc = spec: make "etc" { } ''
    mkdir -p $out/etc
    echo "${spec.hostName}" > $out/etc/hostname
    echo "generation ${toString spec.generation}" > $out/etc/motd
  '';

  systemPath = packages: make "system-path" { } ''
    mkdir -p $out/bin
    for package in ${toString packages}; do
      for program in $package/bin/*; do ln -sf $program $out/bin/; done
    done
    for program in ${tools}/bin/*; do [ -e $out/bin/''${program##*/} ] || ln -s $program $out/bin/; done
  '';

  toplevel = spec:
    let
      libc = library spec.base;
      linux = kernel spec.kernel;
      sw = systemPath ([ (app libc spec) (health spec) ] ++ map (package libc) spec.packages);
    in
    make "nixos-system-${spec.hostName}-${spec.version}" {
      inherit tools;
      inherit (spec) switchExit switchSleepSeconds initExit;
      becomesCurrent = if spec.becomesCurrent then "yes" else "no";
      switchScript = builtins.readFile ./switch-to-configuration.sh;
      activateScript = builtins.readFile ./activate.sh;
      initScript = builtins.readFile ./init.sh;
      files = [ "switchScript" "activateScript" "initScript" ];
    } ''
      mkdir -p $out/bin $out/specialisation
      ln -s ${linux}/bzImage $out/kernel
      ln -s ${linux} $out/kernel-modules
      ln -s ${initrd linux spec.kernel}/initrd $out/initrd
      echo -n "loglevel=4" > $out/kernel-params
      ln -s ${sw} $out/sw
      ln -s ${etc spec}/etc $out/etc
      echo -n "${spec.version}" > $out/nixos-version
      echo -n "${system}" > $out/system
      echo -n "systemd 2" > $out/init-interface-version
      fill() {
        sed -e "s|@out@|$out|g" -e "s|@tools@|$tools|g" -e "s|@switchExit@|$switchExit|g" -e "s|@initExit@|$initExit|g" \
          -e "s|@switchSleepSeconds@|$switchSleepSeconds|g" -e "s|@becomesCurrent@|$becomesCurrent|g" "$1" > "$2"
        chmod +x "$2"
      }
      fill $switchScriptPath $out/bin/switch-to-configuration
      fill $activateScriptPath $out/activate
      fill $initScriptPath $out/init
    '';
in
map toplevel (builtins.fromJSON specs)
