/** Builds dist/automc-router for this machine. `bun run release` builds for every system. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { compile, readStamp } from "./packaging/compile.ts";

const dist = join(import.meta.dir, "dist");
mkdirSync(dist, { recursive: true });
await compile(join(dist, "automc-router"), readStamp());
console.log("dist/automc-router");
