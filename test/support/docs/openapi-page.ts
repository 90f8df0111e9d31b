/** Prints docs/openapi.json from the table of operations: `bun run openapi`. */
import { join } from "node:path";
import { version } from "../../../package.json";
import { openApiDocument } from "../../../src/admin/openapi.ts";

const text = `${JSON.stringify(openApiDocument(version), null, 2)}\n`;
await Bun.write(join(import.meta.dir, "../../../docs/openapi.json"), text);
