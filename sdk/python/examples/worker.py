# SPDX-License-Identifier: Apache-2.0
"""Takes tasks out of its inbox for ever, several at once: `python3 worker.py kasra`."""

import asyncio
import sys
from typing import Any

from mumega import AsyncMessage, AsyncMumegaClient


async def work(payload: Any) -> Any:
    await asyncio.sleep(0.1)
    return {"done": payload}


async def handle(message: AsyncMessage, slots: asyncio.Semaphore) -> None:
    try:
        async with message:  # given back when the work raises
            await message.reply(await work(message.payload), type="result")
    except Exception as error:  # noqa: BLE001 - the next message is handled all the same
        print(f"{message!r} failed: {error}", file=sys.stderr)
    finally:
        slots.release()


async def main() -> None:
    slots = asyncio.Semaphore(8)
    tasks = set()
    async with AsyncMumegaClient(agent=sys.argv[1]) as client:
        async for message in client.bus.inbox(window=16):
            await slots.acquire()
            task = asyncio.create_task(handle(message, slots))
            tasks.add(task)
            task.add_done_callback(tasks.discard)


try:
    asyncio.run(main())
except KeyboardInterrupt:
    pass
