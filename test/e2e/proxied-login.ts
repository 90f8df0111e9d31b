import { connectPlayer } from "../support/minecraft/player.ts";
import { login } from "../support/minecraft/wire.ts";
import { noQueue } from "../support/process/e2e-network.ts";
import type { Router } from "../support/process/router.ts";

/** The bytes of a hexadecimal text with spaces. */
export const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");
/** What a PROXY protocol header of version 2 begins with, in hexadecimal. */
export const signature = "0d0a0d0a000d0a515549540a";
/** A router that believes the headers of this machine. */
export const believing = {
  ...noQueue,
  RECEIVE_PROXY_PROTOCOL: "true",
  TRUSTED_PROXIES: "127.0.0.0/8,::1/128",
};

/** What HAProxy writes for 203.0.113.7:55555 to 10.0.0.1:25565. */
export const proxied4 = hex(`${signature} 21 11 000c cb007107 0a000001 d903 63dd`);
/** The same for [2001:db8::7]:55555 to [2001:db8::1]:25565. */
export const proxied6 = hex(
  `${signature} 21 21 0024 20010db8000000000000000000000007 20010db8000000000000000000000001 d903 63dd`,
);

/** A login of Steve. */
export const hello = login({ host: "play.example.com", name: "Steve" });

/** Whether a login behind these bytes gets to the backend. */
export async function isLetIn(
  router: Router,
  before: Uint8Array = Buffer.alloc(0),
  hostname: "127.0.0.1" | "::1" = "127.0.0.1",
): Promise<boolean> {
  using player = await connectPlayer({ port: router.port, hostname });
  // A router that refuses may have closed already.
  await player.send(Buffer.concat([before, hello])).catch(() => {});
  await Promise.race([player.waitForLength(hello.length).catch(() => {}), player.waitForEnd()]);
  return player.receivedLength > 0;
}
