import service from "./automc-router.service" with { type: "text" };
import socket from "./automc-router.socket" with { type: "text" };

/** The unit files that the program prints: one router, one of several instances, and the port that they take over. */
export const unitKinds = ["service", "template", "socket"] as const;

/** One of them. */
export type UnitKind = (typeof unitKinds)[number];

/** Where the template differs from the service: a line, and the lines in its place. */
const instanceLines: Readonly<Record<string, string>> = {
  "# automc-router unit > /etc/systemd/system/automc-router.service":
    "# automc-router unit template > /etc/systemd/system/automc-router@.service\n# Started as automc-router@1, automc-router@2 and so on; all of them serve the port of automc-router.socket.",
  "Description=Minecraft router": "Description=Minecraft router, instance %i",
  "EnvironmentFile=-/etc/automc-router.env":
    "EnvironmentFile=-/etc/automc-router.env\n# What instances must not share, such as API_BINDING.\nEnvironmentFile=-/etc/automc-router-%i.env\nSockets=automc-router.socket",
  "StateDirectory=automc-router": "StateDirectory=automc-router-%i",
  "RuntimeDirectory=automc-router": "RuntimeDirectory=automc-router-%i",
};

/** The text of a unit file. */
export function unitText(kind: UnitKind): string {
  switch (kind) {
    case "service":
      return service;
    case "template":
      return service
        .split("\n")
        .map((line) => instanceLines[line] ?? line)
        .join("\n");
    case "socket":
      return socket;
  }
}
