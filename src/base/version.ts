declare const BUILD_VERSION: string | undefined;
declare const BUILD_COMMIT: string | undefined;
declare const BUILD_DATE: string | undefined;

/** Which build this is. `build.ts` stamps it; run from source it says so. */
export const build = {
  version: typeof BUILD_VERSION === "string" ? BUILD_VERSION : "source",
  commit: typeof BUILD_COMMIT === "string" ? BUILD_COMMIT : "none",
  date: typeof BUILD_DATE === "string" ? BUILD_DATE : "unknown",
} as const;

/** The build in one line. */
export const buildText = `${build.version}, commit ${build.commit}, built at ${build.date}`;
