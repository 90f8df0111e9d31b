import { err, ok, type Result } from "../base/result.ts";
import type { Config } from "../config/config.ts";
import { type Listener, type ListenHooks, listen, listenOn } from "../net/listen.ts";
import type { Hostname } from "../routing/hostname.ts";
import type { Sessions } from "../session/sessions.ts";
import type { InheritedSocket } from "../system/activation.ts";

/**
 * The ports for players, as one: its address is that of the first, by which hostnames are what clients send.
 */
export interface Ports extends Listener {
  /** The further ports, with the hostname that all their clients are routed by. */
  readonly fixed: readonly { readonly listener: Listener; readonly hostname: Hostname }[];
}

/** Opens every port for players, or none; the error is one readable phrase. */
export function openPorts(
  { listen: settings }: Pick<Config, "listen">,
  inherited: readonly InheritedSocket[],
  sessions: Sessions,
  fault: ListenHooks["fault"],
): Result<Ports, string> {
  const hooks = { admits: sessions.admits, accept: sessions.accept, fault };
  const first =
    inherited.length > 0 ? listenOn(inherited, hooks) : listen({ ...settings, ...hooks });
  if (!first.ok) return first;

  const fixed: Ports["fixed"][number][] = [];
  const all = (): readonly Listener[] => [first.value, ...fixed.map(({ listener }) => listener)];
  const stop = (): void => {
    for (const listener of all()) listener.stop();
  };
  for (const { port, hostname } of settings.fixed) {
    // Where the port is shared with other instances, the kernel would not refuse it.
    if (port > 0 && all().some((listener) => listener.port === port)) {
      stop();
      return err(`AUTOMC_LISTENERS: port ${port} is in use by this router already`);
    }
    const accept: ListenHooks["accept"] = (client) => sessions.accept(client, hostname);
    const further = listen({ ...settings, ...hooks, port, accept });
    if (!further.ok) {
      stop();
      return further;
    }
    fixed.push({ listener: further.value, hostname });
  }
  return ok({
    ...first.value,
    endpoints: all().flatMap(({ endpoints }) => endpoints),
    // Each is asked, as each counts from its last question.
    isAccepting: () => all().filter((listener) => !listener.isAccepting()).length === 0,
    stop,
    fixed,
  });
}
