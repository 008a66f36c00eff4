/**
 * Debian packages that a task needs: installed when root, named in one line when not.
 * @module
 */

/** A program and the Debian package that brings it. */
export interface Need {
  readonly program: string;
  readonly package: string;
}

async function isOnPath(program: string): Promise<boolean> {
  for (const folder of (Deno.env.get("PATH") ?? "").split(":")) {
    try {
      if ((await Deno.stat(`${folder}/${program}`)).isFile) return true;
    } catch {
      // Not in this folder.
    }
  }
  return false;
}

async function run(command: string, args: readonly string[]): Promise<{ ok: boolean; output: string }> {
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  const { success, stdout, stderr } = await new Deno.Command(command, { args: [...args], env }).output();
  return { ok: success, output: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
}

/** Makes sure that programs are there. Returns null, or one line that says what is missing and how to install it. */
export async function ensurePackages(needs: readonly Need[], say: (line: string) => void): Promise<string | null> {
  const missing: Need[] = [];
  for (const need of needs) if (!await isOnPath(need.program)) missing.push(need);
  if (missing.length === 0) return null;
  const packages = missing.map((need) => need.package);
  const command = `apt-get install -y --no-install-recommends ${packages.join(" ")}`;
  const hint = `${missing.map((need) => need.program).join(", ")} not found (install with: ${command})`;
  if (Deno.uid() !== 0 || !await isOnPath("apt-get")) return hint;
  say(`installing ${packages.join(", ")} with apt-get`);
  const lock = ["-o", "DPkg::Lock::Timeout=300"];
  const update = await run("apt-get", [...lock, "update", "-qq"]);
  const args = [...lock, "install", "-y", "-qq", "--no-install-recommends", ...packages];
  const install = update.ok ? await run("apt-get", args) : update;
  return install.ok ? null : `${hint}; apt-get said: ${install.output.trim().split("\n").at(-1) ?? ""}`;
}
