/** A system that gets a binary. */
export interface Target {
  /** What the release's file is called after the version: system, CPU and C library. */
  readonly name: string;
  readonly bun: Bun.Build.CompileTarget;
  /** What the binary needs, for the release notes. */
  readonly needs: string;
}

/**
 * Every system that gets a binary. x64 binaries need SSE4.2, which CPUs have had since 2008 (Intel) and 2011 (AMD);
 * code for AVX2 is chosen at run time, so there is no baseline build. On an older CPU a binary ends with SIGILL.
 */
export const targets: readonly Target[] = [
  { name: "linux-amd64-glibc", bun: "bun-linux-x64", needs: "glibc 2.17 or newer; SSE4.2" },
  { name: "linux-arm64-glibc", bun: "bun-linux-arm64", needs: "glibc 2.17 or newer" },
  {
    name: "linux-amd64-musl",
    bun: "bun-linux-x64-musl",
    needs: "musl and libstdc++ (Alpine: `apk add libstdc++`); SSE4.2",
  },
  {
    name: "linux-arm64-musl",
    bun: "bun-linux-arm64-musl",
    needs: "musl and libstdc++ (Alpine: `apk add libstdc++`)",
  },
  { name: "macos-arm64", bun: "bun-darwin-arm64", needs: "macOS 13 or newer" },
  { name: "macos-amd64", bun: "bun-darwin-x64", needs: "macOS 13 or newer; SSE4.2" },
  { name: "windows-amd64", bun: "bun-windows-x64", needs: "Windows 10 1809 or newer; SSE4.2" },
];
