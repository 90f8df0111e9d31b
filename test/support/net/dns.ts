/** What the server answers for one name. Without addresses of the asked family it says that there is no data. */
export interface DnsRecord {
  readonly a?: readonly string[];
  readonly aaaa?: readonly string[];
  /** Of every address; 30 if not given. */
  readonly ttlSeconds?: number;
  /** Of the IPv6 addresses, where it is another one. */
  readonly aaaaTtlSeconds?: number;
  /** Families that get another answer than the addresses; both when a record has no address at all. */
  readonly failing?: { readonly family?: 4 | 6; readonly how: "silent" | ResponseCode };
  /** The answer leaves when this resolves. */
  readonly held?: Promise<void>;
}

/** RFC 1035, section 4.1.1. */
export type ResponseCode = "SERVFAIL" | "NXDOMAIN" | "NOTIMP" | "REFUSED";

/** A nameserver on UDP that answers from a table. */
export interface DnsServer extends Disposable {
  /** `ip:port`, as a resolver takes it. */
  readonly address: string;
  /** By full name in lower case; `*` stands for all others. May be changed at any time; an absent name does not exist. */
  readonly zone: Map<string, DnsRecord>;
  /** Each question that has arrived, as `A name` or `AAAA name`, in order. */
  readonly questions: string[];
}

const responseCodes = { SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const;
const types: Record<number, "A" | "AAAA"> = { 1: "A", 28: "AAAA" };

/** A nameserver, on a free port of 127.0.0.1 if nothing else is asked for; disposing it closes the port. */
export async function startDnsServer(
  zone: Record<string, DnsRecord>,
  place: { readonly hostname: string; readonly port: number } = { hostname: "127.0.0.1", port: 0 },
): Promise<DnsServer> {
  const records = new Map(Object.entries(zone));
  const questions: string[] = [];
  const socket = await Bun.udpSocket({
    ...place,
    socket: {
      async data(server, query, port, address) {
        const { name, type, end } = readQuestion(query);
        questions.push(`${type} ${name}`);
        const record = records.get(name) ?? records.get("*");
        await record?.held;
        const reply = answer(query.subarray(0, end), type, record);
        if (reply !== null && !server.closed) server.send(reply, port, address);
      },
    },
  });
  return {
    address: `${place.hostname}:${socket.port}`,
    zone: records,
    questions,
    [Symbol.dispose]: () => socket.close(),
  };
}

function readQuestion(query: Buffer): { name: string; type: "A" | "AAAA"; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at]!; length > 0; length = query[at]!) {
    labels.push(query.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  const type = types[query.readUInt16BE(at + 1)];
  if (type === undefined) throw new Error("the resolver asks for A and AAAA only");
  return { name: labels.join(".").toLowerCase(), type, end: at + 5 };
}

/** The question comes back as it was, with the answers behind it. */
function answer(
  question: Buffer,
  type: "A" | "AAAA",
  record: DnsRecord | undefined,
): Buffer | null {
  const failing = record?.failing;
  const fails = failing !== undefined && failing.family !== (type === "A" ? 6 : 4);
  if (fails && failing.how === "silent") return null;

  const missing = record === undefined ? responseCodes.NXDOMAIN : 0;
  const code = fails && failing.how !== "silent" ? responseCodes[failing.how] : missing;
  const ips = code === 0 ? ((type === "A" ? record?.a : record?.aaaa) ?? []) : [];
  const head = Buffer.from(question);
  head.writeUInt16BE(0x8180 | code, 2);
  head.writeUInt16BE(ips.length, 6);
  head.writeUInt16BE(0, 10);
  // An empty answer without the zone's SOA may not be cached (RFC 2308); c-ares does cache one with it.
  if (ips.length === 0) head.writeUInt16BE(1, 8);
  const ttlSeconds = record?.ttlSeconds ?? 30;
  const ttl = type === "A" ? ttlSeconds : (record?.aaaaTtlSeconds ?? ttlSeconds);
  const answers = ips.map((ip) => resourceRecord(type, ttl, packIp(ip)));
  return Buffer.concat([head, ...answers, ...(ips.length === 0 ? [startOfAuthority()] : [])]);
}

/** A record whose name is a pointer to the question's. */
function resourceRecord(type: "A" | "AAAA", ttlSeconds: number, data: Buffer): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc00c, 0);
  head.writeUInt16BE(type === "A" ? 1 : 28, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(ttlSeconds, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

/** The root's SOA, which lets caches keep a negative answer for an hour. */
function startOfAuthority(): Buffer {
  const head = Buffer.from("00 0006 0001 00000e10 0016".replaceAll(" ", ""), "hex");
  const numbers = Buffer.alloc(22);
  numbers.writeUInt32BE(3600, 18);
  return Buffer.concat([head, numbers]);
}

function packIp(ip: string): Buffer {
  if (!ip.includes(":")) return Buffer.from(ip.split(".").map(Number));
  const [left = [], right = []] = ip.split("::").map((half) => half.split(":").filter(Boolean));
  const groups = [...left, ...new Array(8 - left.length - right.length).fill("0"), ...right];
  return Buffer.from(groups.map((group) => String(group).padStart(4, "0")).join(""), "hex");
}
