/** Runs the steps of a test some at a time: most of what they do is to wait. */

/** A step, and what it does. */
export type Step = { name: string; run: () => Promise<void> };

/** As many as two cores bear without time limits becoming a matter of luck. */
const AT_ONCE = 3;

/** Runs every step, {@link AT_ONCE} at a time, each reported under its own name. */
export async function sideBySide(t: Deno.TestContext, steps: readonly Step[]): Promise<void> {
  const waiting = [...steps];
  async function work(): Promise<void> {
    for (let step = waiting.shift(); step !== undefined; step = waiting.shift()) {
      // Steps that overlap cannot be told apart by what is open at their end; the whole test still is.
      const sanitizers = { sanitizeOps: false, sanitizeResources: false, sanitizeExit: false };
      await t.step({ name: step.name, fn: step.run, ...sanitizers });
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}
