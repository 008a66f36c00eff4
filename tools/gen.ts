/** Writes everything that is generated from other files: `deno task gen`. */
import { writeManifest } from "./manifest.ts";

await writeManifest();
