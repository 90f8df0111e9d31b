/** Connects COUNT times to 127.0.0.1:PORT and resets each connection as soon as the kernel has it: `reset-storm.ts PORT COUNT`. */
const [port, count] = process.argv.slice(2).map(Number);

for (let each = 0; each < (count ?? 0); each += 1) {
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port: port ?? 0,
    socket: { data() {} },
  });
  socket.terminate();
}
