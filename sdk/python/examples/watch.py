# SPDX-License-Identifier: Apache-2.0
"""Prints what is said on the channels of all squads: `python3 watch.py kasra 'squad:*'`."""

import sys

from mumega import MumegaClient

with MumegaClient(agent=sys.argv[1]) as client:
    for event in client.bus.subscribe(sys.argv[2] if len(sys.argv) > 2 else "squad:*"):
        if event.missed:
            print(f"({event.missed} events were missed)")
        print(f"{event.sent_at:%H:%M:%S} {event.channel} {event.source} {event.type}: {event.payload}", flush=True)
