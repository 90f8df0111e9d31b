import { type Binding, bindingProblem, parseBinding } from "../admin/binding.ts";
import type { Tokens } from "../admin/session-cookie.ts";
import type { Environment } from "./environment.ts";

/** The REST API. */
export interface ApiConfig {
  readonly binding: Binding;
  readonly tokens: Tokens;
  /** Further hostnames by which it may be reached. */
  readonly hosts: readonly string[];
}

/** A web server of the operator's. */
export interface WebhookConfig {
  readonly url: string;
  readonly events: ReadonlySet<string>;
  /** Connections without a player are left out. */
  readonly requireUser: boolean;
  /** For one request, ms; 0 for no limit. */
  readonly timeoutMs: number;
}

/** Reads where the API listens, and who may use it; null when there is none. */
export function readApi(env: Environment): ApiConfig | null {
  const tokens = { change: env.read("AUTOMC_API_TOKEN"), read: env.read("AUTOMC_API_READ_TOKEN") };
  const open = env.read("AUTOMC_API_OPEN");
  const hosts = env.read("AUTOMC_API_HOSTS");
  const text = env.read("API_BINDING");
  if (text === "") return null;
  // A token that cannot be used is a problem of its own, and not a missing token as well.
  const isTokenBad = env.problems.some(({ variable }) =>
    /^AUTOMC_API_(READ_)?TOKEN/.test(variable),
  );
  const problem = bindingProblem(text, tokens.change ?? tokens.read, open || isTokenBad);
  if (problem !== null) env.problem("API_BINDING", problem);
  const binding = parseBinding(text);
  return binding.ok ? { binding: binding.value, tokens, hosts } : null;
}

/** Reads where events are posted to; null for nowhere. */
export function readWebhook({ read }: Environment): WebhookConfig | null {
  const requireUser = read("WEBHOOK_REQUIRE_USER");
  const timeoutMs = read("WEBHOOK_TIMEOUT");
  const events = read("WEBHOOK_EVENTS");
  const url = read("WEBHOOK_URL");
  return url === null ? null : { url, events, requireUser, timeoutMs };
}
