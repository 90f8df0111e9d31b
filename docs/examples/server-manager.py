#!/usr/bin/env python3
"""A control plane for automc-router: Minecraft servers that are systemd units minecraft@NAME.service.

SERVERS="survival=127.0.0.1:25566 creative=127.0.0.1:25567" TOKEN=secret LISTEN=127.0.0.1:8090 server-manager.py
"""
import hmac
import json
import os
import subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SERVERS = dict(entry.split("=", 1) for entry in os.environ["SERVERS"].split())
TOKEN = os.environ["TOKEN"]
# What systemd says of a unit, and what the router understands. Whether a running server can be joined, it finds out itself.
STATES = {"active": "running", "activating": "starting", "deactivating": "stopping", "failed": "failed"}


def systemctl(*words):
    return subprocess.run(["systemctl", *words], capture_output=True, text=True)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):  # GET /servers/NAME
        self.respond(lambda name, unit: (200, self.state_of(name, unit)), 2)

    def do_POST(self):  # POST /servers/NAME/start or /stop
        self.respond(self.order, 3)

    def state_of(self, name, unit):
        word = systemctl("is-active", unit).stdout.strip()
        return {"state": STATES.get(word, "stopped"), "address": SERVERS[name], "message": f"{unit} is {word}"}

    def order(self, name, unit):
        verb = self.path.strip("/").split("/")[2]
        if verb not in ("start", "stop"):
            return 404, {"message": "there is only start and stop"}
        systemctl("reset-failed", unit)  # else a start would still be called failed for a moment
        done = systemctl(verb, "--no-block", unit)
        return (202 if done.returncode == 0 else 500), {"message": done.stderr.strip()}

    def respond(self, action, length):
        path = self.path.strip("/").split("/")
        status, body = 404, {"message": "there is no such server"}
        if not hmac.compare_digest(self.headers.get("X-API-Key", "").encode(), TOKEN.encode()):
            status, body = 401, {"message": "wrong X-API-Key"}
        elif len(path) == length and path[0] == "servers" and path[1] in SERVERS:
            status, body = action(path[1], f"minecraft@{path[1]}.service")
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


host, port = os.environ.get("LISTEN", "127.0.0.1:8090").rsplit(":", 1)
ThreadingHTTPServer((host, int(port)), Handler).serve_forever()
