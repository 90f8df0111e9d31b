import type { Config } from "../config/config.ts";
import type { Secrets } from "../config/secrets.ts";

/** The secrets in force. */
export interface SecretStore {
  current(): Secrets;
  /** Reads them again. One that cannot be used changes nothing, and `warn` is told. */
  reload(): void;
}

/** The secrets as they were read with the settings. */
export function openSecrets(
  { api, waker, scaler, readSecrets }: Config,
  warn: (message: string) => void,
): SecretStore {
  let secrets: Secrets = {
    apiTokens: api?.tokens ?? { change: null, read: null },
    wakerToken: waker?.token ?? null,
    scalerHeaders: scaler?.headers ?? {},
  };
  return {
    current: () => secrets,
    reload() {
      secrets = readSecrets(secrets, warn);
    },
  };
}
