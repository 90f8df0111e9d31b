import { err, ok, type Result } from "../base/result.ts";

/** A socket that systemd has opened for the process. */
export interface InheritedSocket {
  readonly fd: number;
  /** What the socket unit calls it. */
  readonly name: string;
}

/** The first descriptor that is passed on (`SD_LISTEN_FDS_START`). */
const firstFd = 3;

/**
 * The sockets that were passed to the process with this id, by the protocol of sd_listen_fds(3); none where
 * it was started without.
 */
export function inheritedSockets(
  variables: Readonly<Record<string, string | undefined>>,
  pid: number,
): Result<readonly InheritedSocket[], string> {
  const { LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES } = variables;
  // With another id they are meant for another process, from which this one has inherited the variables.
  if (LISTEN_FDS === undefined || LISTEN_PID !== String(pid)) return ok([]);
  const count = /^\d{1,4}$/.test(LISTEN_FDS) ? Number(LISTEN_FDS) : Number.NaN;
  if (Number.isNaN(count)) return err(`LISTEN_FDS=${JSON.stringify(LISTEN_FDS)} is not a number`);
  const names = (LISTEN_FDNAMES ?? "").split(":");
  return ok(
    Array.from({ length: count }, (_, index) => ({
      fd: firstFd + index,
      name: names[index] || "unknown",
    })),
  );
}
