# SPDX-License-Identifier: Apache-2.0
"""/docs in a real browser: the page's scripts run under its own policy and draw the operations."""

import shutil
import subprocess
import tempfile
import unittest

from swarm import Swarm

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@unittest.skipUnless(BROWSER, "chromium is not installed (apt-get install chromium)")
class DocsPage(unittest.TestCase):
    def test_operations_are_drawn(self):
        profile = tempfile.mkdtemp(prefix="sos-test-")
        self.addCleanup(shutil.rmtree, profile, ignore_errors=True)
        with Swarm() as swarm:
            done = subprocess.run(
                [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                 "--disable-background-networking", "--disable-component-update", "--disable-sync",
                 f"--user-data-dir={profile}", "--virtual-time-budget=10000", "--dump-dom",
                 f"http://127.0.0.1:{swarm.ports['unified']}/docs"],
                capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        dom = done.stdout
        self.assertIn("opblock", dom, "Swagger UI drew no operation")
        for path in ("/memory/store", "/engine/chat", "/identity/agents"):
            self.assertTrue(path in dom or path.replace("/", "/<wbr>") in dom or path.replace("/", "/\u200b") in dom, path)
        self.assertNotIn("Failed to load API definition", dom)


if __name__ == "__main__":
    unittest.main()
