# SPDX-License-Identifier: Apache-2.0
from mumega import MumegaClient

with MumegaClient(agent="ana") as client:
    news = client.bus.subscribe("squad:research")
    client.bus.send("agent:ben", {"question": "How many legs has a spider?"}, type="question")
    print("The question is in ben's inbox, on disk.", flush=True)
    print("On squad:research:", next(news).payload)
    with next(client.bus.inbox()) as message:
        print(f"{message.source} answers: {message.payload['answer']}")
