/** Installs what the checks and tests need, exactly as the two lock files say. */
for (const folder of [`${import.meta.dir}/..`, import.meta.dir]) {
  const install = Bun.spawnSync([process.execPath, "install", "--frozen-lockfile"], {
    cwd: folder,
    stdout: "inherit",
    stderr: "inherit",
  });
  if (install.exitCode !== 0) process.exit(install.exitCode ?? 1);
}
