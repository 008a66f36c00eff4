/** The program without pages: it starts without a build, and everything else about it is the same. */
import { runCli } from "../cli.ts";
import { processIo } from "../process_io.ts";

Deno.exit(await runCli(Deno.args, processIo(), () => {}));
