# SPDX-License-Identifier: Apache-2.0
"""Talks with an agent: `python3 chat.py kasra`. With SOS_HTTP=http://localhost:6080 over HTTP."""

import os
import sys

from mumega import MumegaClient, MumegaError


def main() -> int:
    agent = sys.argv[1] if len(sys.argv) > 1 else None
    try:
        with MumegaClient(agent=agent, http=os.environ.get("SOS_HTTP")) as client:
            conversation = None
            for line in sys.stdin:
                stream = client.chat.stream(line.strip() or "…", conversation_id=conversation)
                for piece in stream:
                    print(piece["chunk"], end="", flush=True)
                print()
                conversation = stream.answer["conversation_id"]
    except MumegaError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


sys.exit(main())
