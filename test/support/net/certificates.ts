import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as der from "./der.ts";

/** A certificate and its key, PEM texts. */
export interface Certificate {
  readonly certificate: string;
  readonly key: string;
}

/** An authority of the test's own. */
export interface Authority {
  /** File with its own certificate, for `sslrootcert`. */
  readonly path: string;
  /** Makes a certificate for `localhost` and no other name: good for two days from now, or from so many days ago. */
  certify(daysAgo?: number): Certificate;
}

interface Signer {
  readonly name: string;
  readonly key: KeyObject;
}

const dayMs = 86_400_000;

/** Makes an authority and writes its certificate to `<name>-ca.pem` in that folder. */
export function makeAuthority(folder: string, name: string): Authority {
  const path = join(folder, `${name}-ca.pem`);
  const own = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const signer = { name, key: own.privateKey };
  const isAuthority = der.sequence(der.boolean(true));
  writeFileSync(
    path,
    signCertificate(signer, name, own.publicKey, 0, extension("2.5.29.19", true, isAuthority)),
  );
  return {
    path,
    certify(daysAgo = 0) {
      const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
      const dnsName = der.sequence(der.implicit(2, Buffer.from("localhost")));
      const names = extension("2.5.29.17", false, dnsName);
      return {
        certificate: signCertificate(signer, "localhost", publicKey, daysAgo, names),
        key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
      };
    },
  };
}

/** An X.509 certificate of version 3 (RFC 5280) with an ECDSA signature, as PEM. */
function signCertificate(
  signer: Signer,
  subject: string,
  publicKey: KeyObject,
  daysAgo: number,
  extensions: Uint8Array,
): string {
  const startsAt = Date.now() - daysAgo * dayMs;
  const algorithm = der.sequence(der.identifier("1.2.840.10045.4.3.2"));
  const content = der.sequence(
    der.tagged(0, der.integer(Buffer.from([2]))),
    der.integer(Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    algorithm,
    commonName(signer.name),
    der.sequence(der.time(new Date(startsAt)), der.time(new Date(startsAt + 2 * dayMs))),
    commonName(subject),
    publicKey.export({ type: "spki", format: "der" }),
    der.tagged(3, der.sequence(extensions)),
  );
  const signature = der.bitString(sign("sha256", content, signer.key));
  const base64 = der.sequence(content, algorithm, signature).toString("base64");
  const lines = base64.match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

const commonName = (name: string): Buffer =>
  der.sequence(der.set(der.sequence(der.identifier("2.5.4.3"), der.text(name))));

const extension = (id: string, isCritical: boolean, content: Uint8Array): Buffer =>
  der.sequence(
    der.identifier(id),
    ...(isCritical ? [der.boolean(true)] : []),
    der.octetString(content),
  );
