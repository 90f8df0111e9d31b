import { test } from "bun:test";
import { checkDemoPostgres } from "./check-postgres.ts";

test("the packaged PostgreSQL delivers notifications, refuses a wrong password, and ends", async () => {
  await checkDemoPostgres("packaged");
}, 60_000);
