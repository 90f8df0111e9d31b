import service from "./automc-router.service" with { type: "text" };
import socket from "./automc-router.socket" with { type: "text" };

/** The unit files that the program prints: one router, a template for several, and their port. */
export const unitKinds = ["service", "template", "socket"] as const;

/** A kind of unit file. */
export type UnitKind = (typeof unitKinds)[number];

/**
 * Lines of the service that differ in the template. Instances share the state directory, so that a new one
 * starts with the latest snapshot; a runtime directory is removed with its instance and cannot be shared.
 */
const instanceLines: Readonly<Record<string, string>> = {
  "# automc-router unit > /etc/systemd/system/automc-router.service":
    "# automc-router unit template > /etc/systemd/system/automc-router@.service\n# Started as automc-router@1, automc-router@2 and so on; all of them serve the port of automc-router.socket.",
  "Description=Minecraft router": "Description=Minecraft router, instance %i",
  "EnvironmentFile=-/etc/automc-router.env":
    "EnvironmentFile=-/etc/automc-router.env\n# Settings of one instance, such as API_BINDING.\nEnvironmentFile=-/etc/automc-router-%i.env\nSockets=automc-router.socket",
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
