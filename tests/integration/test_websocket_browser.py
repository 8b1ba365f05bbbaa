# SPDX-License-Identifier: Apache-2.0
"""An agent's feed in a real browser: a page of a loopback origin opens it, a page of a foreign one does not."""

import http.server
import json
import queue
import shutil
import subprocess
import tempfile
import threading
import unittest

from swarm import Swarm

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PAGE = """<!doctype html><script>
const seen = [];
const tell = () => fetch('/done', {method: 'POST', body: JSON.stringify(seen)});
const socket = new WebSocket('ws://127.0.0.1:%d/ws/nervous-system/agent%%3Apage?inbox=none');
socket.onclose = event => { seen.push({closed: event.code}); tell(); };
socket.onmessage = event => {
  const message = JSON.parse(event.data);
  seen.push(message);
  if (message.kind === 'ready')
    socket.send(JSON.stringify({ref: 1, publish: {channel: 'agent:page:x', payload: 'grüezi'}}));
  if (seen.length === 3)
    socket.close(1000, 'done');
};
</script>"""


class Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = (PAGE % self.server.gateway_port).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.server.told.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


@unittest.skipUnless(BROWSER, "chromium is not installed (apt-get install chromium)")
class Browser(unittest.TestCase):
    def visit(self, swarm, host):
        """What a page of that host saw."""
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
        server.gateway_port, server.told = swarm.ports["engine"], queue.Queue()
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        profile = tempfile.mkdtemp(prefix="sos-test-")
        browser = subprocess.Popen(
            [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync",
             "--host-resolver-rules=MAP page.example 127.0.0.1", f"--user-data-dir={profile}",
             "--remote-debugging-port=0", f"http://{host}:{server.server_port}/"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            return server.told.get(timeout=60)
        finally:
            browser.terminate()
            browser.wait()
            server.shutdown()
            serving.join()
            server.server_close()
            shutil.rmtree(profile, ignore_errors=True)

    def test_a_page_speaks_with_its_agents_feed_unless_it_is_foreign(self):
        with Swarm() as swarm:
            ready, *both, closed = self.visit(swarm, "localhost")
            self.assertEqual(ready, {"kind": "ready", "of": "listen"})
            self.assertEqual({message["kind"] for message in both}, {"event", "result"})
            event = next(message for message in both if message["kind"] == "event")
            self.assertEqual((event["channel"], event["payload"]), ("agent:page:x", "grüezi"))
            self.assertEqual(closed, {"closed": 1000})
            self.assertEqual(self.visit(swarm, "page.example"), [{"closed": 1006}])


if __name__ == "__main__":
    unittest.main()
