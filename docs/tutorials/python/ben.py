# SPDX-License-Identifier: Apache-2.0
from mumega import MumegaClient

with MumegaClient(agent="ben") as client:
    for message in client.bus.inbox():
        with message:
            print(f"{message.source} asks: {message.payload['question']}", flush=True)
            client.bus.publish("squad:research", f"ben works on a {message.type} of {message.source}")
            message.reply({"answer": 8}, type="answer")
