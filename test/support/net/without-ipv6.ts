import { dlopen, FFIType, ptr } from "bun:ffi";

const { i32, u64 } = FFIType;

/** One instruction of a classic BPF program (linux/filter.h): code, jump if true, jump if false, operand. */
function instruction(code: number, ifTrue: number, ifFalse: number, operand: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt16LE(code, 0);
  bytes.writeUInt8(ifTrue, 2);
  bytes.writeUInt8(ifFalse, 3);
  bytes.writeUInt32LE(operand, 4);
  return bytes;
}

const load = 0x20;
const jumpIfEqual = 0x15;
const answer = 0x06;
const socketCall = process.arch === "arm64" ? 198 : 41;
const inet6 = 10;
const familyNotSupported = 97;

/**
 * From here on the kernel refuses IPv6 sockets to this process, as on a host without IPv6 or in a unit with
 * `RestrictAddressFamilies=AF_INET`. Needs no rights: a process may always restrict itself.
 */
export function refuseIpv6(): void {
  const libc = dlopen("libc.so.6", {
    prctl: { args: [i32, u64, u64, u64, u64], returns: i32 },
  });
  // seccomp(2): `socket(AF_INET6, ...)` fails with EAFNOSUPPORT, everything else is allowed.
  const program = Buffer.concat([
    instruction(load, 0, 0, 0),
    instruction(jumpIfEqual, 0, 3, socketCall),
    instruction(load, 0, 0, 16),
    instruction(jumpIfEqual, 0, 1, inet6),
    instruction(answer, 0, 0, 0x0005_0000 | familyNotSupported),
    instruction(answer, 0, 0, 0x7fff_0000),
  ]);
  const filter = Buffer.alloc(16);
  filter.writeUInt16LE(program.length / 8, 0);
  filter.writeBigUInt64LE(BigInt(ptr(program)), 8);

  const noNewPrivileges = 38;
  const setSeccomp = 22;
  const filterMode = 2n;
  if (
    libc.symbols.prctl(noNewPrivileges, 1n, 0n, 0n, 0n) !== 0 ||
    libc.symbols.prctl(setSeccomp, filterMode, BigInt(ptr(filter)), 0n, 0n) !== 0
  ) {
    throw new Error("seccomp is not available");
  }
}
