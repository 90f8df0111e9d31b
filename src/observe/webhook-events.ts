/** The names by which an operator chooses what is sent. */
export const webhookEvents = [
  "connect",
  "disconnect",
  "route-added",
  "route-removed",
  "default-route-set",
  "default-route-removed",
] as const;

/** One of those names. */
export type WebhookEvent = (typeof webhookEvents)[number];
