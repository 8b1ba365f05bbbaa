# SPDX-License-Identifier: Apache-2.0
"""An OpenAI-compatible chat server for tests, behind a real connection, that can be made to fail.

`mode` (change it at any time): "answer", "die" (closes mid-stream), "hang" (never answers),
"drip" (one token every 50 ms), "error" (HTTP 500), "unauthorized" (401), "overloaded" (429),
"garbage" (no JSON), "huge" (an endless answer).
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class OpenAiServer:
    def __init__(self, answer="The sky is blue because of Rayleigh scattering."):
        self.answer = answer
        self.mode = "answer"
        self.requests = []
        self.released = threading.Event()
        self.closed_by_client = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                size = int(self.headers.get("Content-Length", 0))
                body = json.loads(self.rfile.read(size))
                outer.requests.append({"path": self.path, "headers": dict(self.headers),
                                       "body": body})
                try:
                    getattr(self, "mode_" + outer.mode)(body)
                except (BrokenPipeError, ConnectionResetError):
                    outer.closed_by_client.set()
                    self.close_connection = True

            def send_json(self, status, value):
                data = value if isinstance(value, bytes) else json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def begin_stream(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()

            def send_event(self, value):
                text = value if isinstance(value, str) else json.dumps(value)
                data = f"data: {text}\n\n".encode()
                self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
                self.wfile.flush()

            def delta(self, text, finish=None):
                return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "test-model",
                        "choices": [{"index": 0, "delta": {"content": text} if text else {},
                                     "finish_reason": finish}]}

            def words(self):
                return [word + " " for word in outer.answer.split(" ")]

            def mode_answer(self, body, pause=0.0):
                if not body.get("stream"):
                    self.send_json(200, {
                        "id": "chatcmpl-1", "object": "chat.completion", "model": "test-model",
                        "choices": [{"index": 0, "finish_reason": "stop",
                                     "message": {"role": "assistant", "content": outer.answer}}],
                        "usage": {"prompt_tokens": 7, "completion_tokens": 8, "total_tokens": 15}})
                    return
                self.begin_stream()
                for word in self.words():
                    if pause and outer.released.wait(pause):
                        break
                    self.send_event(self.delta(word))
                self.send_event(self.delta("", "stop"))
                self.send_event("[DONE]")
                self.wfile.write(b"0\r\n\r\n")

            def mode_drip(self, body):
                self.mode_answer(body, pause=0.05)

            def mode_die(self, body):
                self.begin_stream()
                self.send_event(self.delta("The "))
                self.send_event(self.delta("sky "))
                self.close_connection = True
                self.connection.close()

            def mode_hang(self, body):
                outer.released.wait(60)
                self.close_connection = True

            def mode_error(self, body):
                self.send_json(500, {"error": {"message": "the model crashed", "type": "server_error"}})

            def mode_unauthorized(self, body):
                self.send_json(401, {"error": {"message": "Incorrect API key provided",
                                               "type": "invalid_request_error"}})

            def mode_overloaded(self, body):
                self.send_json(429, {"error": {"message": "Rate limit reached", "type": "requests"}})

            def mode_garbage(self, body):
                self.send_json(200, b"<html>not json</html>")

            def mode_huge(self, body):
                self.begin_stream()
                while not outer.released.is_set():
                    self.send_event(self.delta("x" * 8000))

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}/v1"

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
