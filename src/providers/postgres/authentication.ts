import {
  createHash,
  createHmac,
  pbkdf2,
  randomBytes,
  timingSafeEqual,
  X509Certificate,
} from "node:crypto";
import { promisify } from "node:util";
import { err, ok, type Result } from "../../base/result.ts";
import type { AuthMethod, AuthRules } from "./dsn.ts";
import { saslPrep } from "./saslprep.ts";

/** Who logs in, and what is demanded of the way. */
export interface Credentials {
  readonly user: string;
  /** Null: there is none. */
  readonly password: string | null;
  readonly rules: AuthRules;
  /** The server's certificate (DER); null: the connection has no TLS. */
  readonly certificate: Buffer | null;
}

/** Answers a server's requests for authentication, in the order in which they come. */
export interface Authenticator {
  /**
   * The message to send for this body of an Authentication message; null: none. The error ends the
   * connection.
   */
  answer(body: Buffer): Promise<Result<Buffer | null, string>>;
}

type Answer = Result<Buffer | null, string>;

/** Kinds of Authentication messages (PostgreSQL protocol, "Message Formats"). */
const kinds = { ok: 0, cleartext: 3, md5: 5, sasl: 10, saslContinue: 11, saslFinal: 12 };
const passwordType = "p";
const keyLength = 32;
/** PostgreSQL's default is 4,096; many millions would keep a thread busy for minutes. */
const mostRounds = 1_000_000;

const mute = "the server does not speak the PostgreSQL protocol";
const noPassword =
  "the server asks for a password, and the connection string has none; write it as user:password@host, or name a passfile";

const derive = promisify(pbkdf2);

/** An authenticator for one connection. */
export function createAuthenticator(credentials: Credentials): Authenticator {
  const { rules, password } = credentials;
  let used: AuthMethod = "none";
  let isBound = false;
  let scram: Scram | null = null;

  /** Notes the method, or says why it is not used. */
  function use(method: AuthMethod): string | null {
    used = method;
    const { methods } = rules;
    if (methods !== null && !methods.has(method)) {
      return `the server asks for authentication by ${method}, which require_auth forbids`;
    }
    if (rules.channelBinding === "require" && method !== "scram-sha-256") return unbound;
    return password === null ? noPassword : null;
  }

  function end(): Answer {
    if (scram !== null && !scram.isVerified()) {
      return err("the server did not prove that it knows the password");
    }
    const { methods } = rules;
    if (used === "none" && methods !== null && !methods.has("none")) {
      return err("the server asks for no authentication, which require_auth forbids");
    }
    return rules.channelBinding === "require" && !isBound ? err(unbound) : ok(null);
  }

  function begin(mechanisms: readonly string[]): Answer {
    const refusal = use("scram-sha-256");
    if (refusal !== null) return err(refusal);
    const binding = chooseBinding(credentials, mechanisms);
    if (!binding.ok) return binding;
    isBound = binding.value.data !== null;
    scram = createScram(saslPrep(password ?? ""), binding.value);
    return ok(scram.first);
  }

  async function answer(body: Buffer): Promise<Answer> {
    if (body.length < 4) return err(mute);
    switch (body.readUInt32BE(0)) {
      case kinds.ok:
        return end();
      case kinds.cleartext: {
        const refusal = use("password");
        return refusal === null ? ok(passwordMessage(password ?? "")) : err(refusal);
      }
      case kinds.md5: {
        if (body.length !== 8) return err(mute);
        const refusal = use("md5");
        return refusal === null ? ok(md5Message(credentials, body.subarray(4))) : err(refusal);
      }
      case kinds.sasl:
        return begin(
          body
            .toString("latin1", 4)
            .split("\0")
            .filter((name) => name !== ""),
        );
      case kinds.saslContinue:
        return (await scram?.answer(body.toString("utf8", 4))) ?? err(mute);
      case kinds.saslFinal:
        return scram?.finish(body.toString("utf8", 4)) ?? err(mute);
      default:
        return err(
          "the server asks for an authentication that is not supported; use a password (scram-sha-256)",
        );
    }
  }
  return { answer };
}

const unbound = "channel_binding=require, but the server does not offer SCRAM bound to TLS";

/**
 * Channel binding of RFC 5802: the header that the client sends, and the data of the TLS connection, if it is
 * bound.
 */
interface Binding {
  readonly mechanism: string;
  readonly header: string;
  readonly data: Buffer | null;
}

function chooseBinding(
  { rules, certificate }: Credentials,
  mechanisms: readonly string[],
): Result<Binding, string> {
  const plain = "SCRAM-SHA-256";
  const bound = `${plain}-PLUS`;
  const data = certificate === null ? null : endPointHash(certificate);
  const isWanted = rules.channelBinding !== "disable" && data !== null;
  if (isWanted && mechanisms.includes(bound)) {
    return ok({ mechanism: bound, header: "p=tls-server-end-point,,", data });
  }
  if (rules.channelBinding === "require") return err(unbound);
  if (!mechanisms.includes(plain)) {
    return err(
      `the server offers no authentication that the router knows (${mechanisms.join(", ")})`,
    );
  }
  // "y" says that the client could bind, so that the server notices when its offer was taken out on the way.
  return ok({ mechanism: plain, header: isWanted ? "y,," : "n,,", data: null });
}

/**
 * RFC 5929, section 4.1: the certificate's hash by its signature's function, SHA-256 instead of MD5 and
 * SHA-1.
 */
function endPointHash(certificate: Buffer): Buffer | null {
  const algorithm = new X509Certificate(certificate).signatureAlgorithm ?? "";
  const size = /sha-?(1|224|256|384|512)(?!\d)/i.exec(algorithm)?.[1];
  if (size === undefined && !/md5/i.test(algorithm)) return null;
  const hash = size === undefined || size === "1" ? "sha256" : `sha${size}`;
  return createHash(hash).update(certificate).digest();
}

/** One exchange by SCRAM-SHA-256 (RFC 5802, RFC 7677). */
interface Scram {
  readonly first: Buffer;
  answer(challenge: string): Promise<Answer>;
  finish(message: string): Answer;
  isVerified(): boolean;
}

function createScram(password: string, { mechanism, header, data }: Binding): Scram {
  const nonce = randomBytes(18).toString("base64");
  // PostgreSQL knows the user from the startup message and ignores this one.
  const bare = `n=,r=${nonce}`;
  const initial = Buffer.from(header + bare);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(initial.length);
  let signature: Buffer | null = null;
  let isVerified = false;
  return {
    first: message(Buffer.concat([Buffer.from(`${mechanism}\0`), length, initial])),
    async answer(challenge) {
      const [, theirs = "", salt = "", rounds = ""] =
        /^r=([^,]+),s=([\w+/]+={0,2}),i=(\d{1,9})$/.exec(challenge) ?? [];
      const count = Number(rounds);
      if (!theirs.startsWith(nonce) || count < 1 || count > mostRounds) return err(mute);
      const salted = await derive(
        password,
        Buffer.from(salt, "base64"),
        count,
        keyLength,
        "sha256",
      );
      const clientKey = hmac(salted, "Client Key");
      const binding = Buffer.concat([Buffer.from(header), data ?? Buffer.alloc(0)]);
      const final = `c=${binding.toString("base64")},r=${theirs}`;
      const exchange = `${bare},${challenge},${final}`;
      const proof = hmac(createHash("sha256").update(clientKey).digest(), exchange);
      for (const [index, byte] of clientKey.entries()) proof[index] = byte ^ (proof[index] ?? 0);
      signature = hmac(hmac(salted, "Server Key"), exchange);
      return ok(message(Buffer.from(`${final},p=${proof.toString("base64")}`)));
    },
    finish(text) {
      const given = Buffer.from(/^v=([\w+/]+={0,2})/.exec(text)?.[1] ?? "", "base64");
      isVerified =
        signature !== null &&
        given.length === signature.length &&
        timingSafeEqual(given, signature);
      return isVerified ? ok(null) : err("the server did not prove that it knows the password");
    },
    isVerified: () => isVerified,
  };
}

const hmac = (key: Buffer, text: string): Buffer => createHmac("sha256", key).update(text).digest();

const passwordMessage = (text: string): Buffer => message(Buffer.from(`${text}\0`));

/** "md5" and the hash of the hashed password with the salt (PostgreSQL protocol, "Start-up"). */
function md5Message({ user, password }: Credentials, salt: Buffer): Buffer {
  const md5 = (...parts: readonly (string | Buffer)[]) => {
    const hash = createHash("md5");
    for (const part of parts) hash.update(part);
    return hash.digest("hex");
  };
  return passwordMessage(`md5${md5(md5(password ?? "", user), salt)}`);
}

function message(body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(passwordType);
  head.writeUInt32BE(4 + body.length, 1);
  return Buffer.concat([head, body]);
}
