import { test } from "bun:test";
import { checkDemoPostgres } from "../demo/check-postgres.ts";

test("the installed PostgreSQL delivers notifications, refuses a wrong password, and ends", async () => {
  await checkDemoPostgres("installed");
}, 60_000);
