import type { Deadlines } from "../../base/deadlines.ts";
import { ok, type Result } from "../../base/result.ts";
import type { Relay } from "../conn.ts";
import { relay } from "./callbacks.ts";
import { type Descriptors, detach, openDescriptors } from "./descriptors.ts";
import type { CreateLoginRelay, LoginRelay, RelayOwner } from "./relay.ts";
import { pipeCount } from "./shared-memory.ts";
import { type OwnedThread, startThread } from "./thread.ts";

/** What a relay on threads of its own needs. */
export interface ThreadsDeps {
  readonly deadlines: Deadlines;
  /** How many threads. */
  readonly threads: number;
  /** The script of a thread, that is `worker.ts`. */
  readonly script: URL;
  /** Code of ours threw on a session, or a thread has ended; the sessions concerned are over. */
  readonly fault: (error: Error) => void;
}

/**
 * Relays logins on threads of their own, which are started at the first login; the error says why that is
 * not possible here. A login begins in the callbacks and is handed over when bytes of the backend have been
 * passed on. It stays in the callbacks as long as no thread has room for it, and for good where there is no
 * thread any more.
 */
export function openThreads(deps: ThreadsDeps): Result<CreateLoginRelay, string> {
  const opened = openDescriptors();
  return opened.ok ? ok((owner) => createThreads(owner, opened.value, deps)) : opened;
}

function createThreads<Session, Player>(
  owner: RelayOwner<Session, Player>,
  descriptors: Descriptors,
  deps: ThreadsDeps,
): LoginRelay<Session> {
  const threads = new Set<OwnedThread<Player>>();
  let isStarted = false;

  function start(): void {
    isStarted = true;
    for (let number = 0; number < deps.threads; number += 1) {
      const thread = startThread<Player>({
        ...deps,
        descriptors,
        pipes: Math.max(1, Math.floor(pipeCount / deps.threads)),
        left: owner.left,
        failed(reason, sessions) {
          if (thread !== null) threads.delete(thread);
          deps.fault(new Error(failedText(reason, sessions, threads.size)));
        },
      });
      if (thread !== null) threads.add(thread);
    }
  }

  function handOver({ client, backend }: Relay, session: Session): boolean {
    const thread = emptiest(threads);
    if (thread === null) return false;
    const sockets = duplicateBoth(descriptors, client.socket.fd, backend.socket.fd);
    if (sockets === null) return false;
    detach(client);
    detach(backend);
    const slot = thread.freeSlot();
    const player = owner.handedOver(session, { kind: "thread", thread, slot });
    thread.take(slot, { ...sockets, toBackend: backend.sent, toClient: client.sent, player });
    return true;
  }

  return {
    join(client, backend, session) {
      if (!isStarted) start();
      return relay(client, backend, {
        deadlines: deps.deadlines,
        over: (end) => owner.over(session, end),
        handOver: (joined) => handOver(joined, session),
      });
    },
    async stop() {
      await Promise.all([...threads].map((thread) => thread.stop()));
    },
  };
}

/** The thread with the fewest sessions that takes one more; null when there is none. */
function emptiest<Player>(threads: Iterable<OwnedThread<Player>>): OwnedThread<Player> | null {
  let found: OwnedThread<Player> | null = null;
  for (const thread of threads) {
    if (thread.hasRoom() && (found === null || thread.count() < found.count())) found = thread;
  }
  return found;
}

function duplicateBoth(
  { duplicate, close }: Descriptors,
  client: number,
  backend: number,
): { readonly client: number; readonly backend: number } | null {
  const first = duplicate(client);
  if (first === null) return null;
  const second = duplicate(backend);
  if (second !== null) return { client: first, backend: second };
  close(first);
  return null;
}

const failedText = (reason: string, sessions: number, threads: number): string =>
  `a relay thread failed: ${reason}; its ${sessions} sessions are over, and ${
    threads === 0 ? "players are relayed by the main thread" : `${threads} relay threads go on`
  } until the router is restarted`;
