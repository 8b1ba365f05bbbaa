# SPDX-License-Identifier: Apache-2.0
"""The asyncio client: the same, without ever blocking the loop."""

import asyncio
import time
import unittest

import mumega
import sos_wire
from fake_broker import FakeBroker, ack_all
from mumega import AsyncMumegaClient
from sos_wire import ACK, CANCEL, CHUNK, DELIVER, EVENT, NACK, PUBLISH, REPLY, REQUEST, SEND, SUBSCRIBE, UNSUBSCRIBE


class Async(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.broker = self.enterContext(FakeBroker())
        for kind in (SEND, NACK, PUBLISH, UNSUBSCRIBE):
            self.broker.rules[kind] = ack_all
        self.broker.rules[ACK] = ack_all
        self.client = await self.enterAsyncContext(AsyncMumegaClient(self.broker.connection()))

    def deliver_at_subscribe(self, count):
        def rule(broker, record):
            broker.answer(record, ACK, seq=count)
            for number in range(count):
                broker.say(record, DELIVER, number, id=sos_wire.new_id(), type="message", seq=number + 1,
                           source="agent:athena")

        self.broker.rules[SUBSCRIBE] = rule

    async def test_calls_run_side_by_side(self):
        held = []

        def rule(broker, record):
            held.append(record)
            if len(held) == 10:
                for request in held:
                    broker.answer(request, REPLY, request["payload"])

        self.broker.rules[REQUEST] = rule
        answers = await asyncio.gather(*(self.client.memory.search(str(number)) for number in range(10)))
        self.assertEqual([answer["query"] for answer in answers], [str(number) for number in range(10)])

    async def test_the_loop_goes_on_while_a_call_waits(self):
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.01)

        ticker = asyncio.create_task(tick())
        with self.assertRaises(mumega.DeadlineError):
            await self.client.memory.stats(timeout=0.3)
        ticker.cancel()
        self.assertGreater(ticks, 15)

    async def test_a_full_gate_waits_without_blocking(self):
        self.client._way.gate._count_max = 5
        sent = [await self.client.bus.submit("agent:b", number) for number in range(200)]
        self.assertEqual(len(await asyncio.gather(*sent)), 200)
        self.broker.rules[SEND] = lambda broker, record: None
        held = [await self.client.bus.submit("agent:b", number) for number in range(5)]
        started = time.monotonic()
        with self.assertRaises(mumega.BusyError):
            await self.client.bus.send("agent:b", 1, timeout=0.2)
        self.assertLess(time.monotonic() - started, 3)
        await self.client.close(0)
        await asyncio.gather(*held, return_exceptions=True)

    async def test_mail_comes_and_blocks_settle_it(self):
        self.deliver_at_subscribe(3)
        got = []
        async for message in self.client.bus.inbox():
            try:
                async with message:
                    got.append(message.payload)
                    if message.payload == 1:
                        raise ValueError("no")
            except ValueError:
                pass
            if len(got) == 3:
                break
        self.assertEqual(got, [0, 1, 2])
        self.assertEqual(self.broker.wait(NACK)[0]["payload"]["reason"], "ValueError: no")
        await message.ack_confirmed()

    async def test_a_cancelled_wait_loses_no_message(self):
        inbox = self.client.bus.inbox()
        self.deliver_at_subscribe(0)
        for _ in range(20):
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(inbox.__anext__(), 0.01)
        self.assertLessEqual(len(inbox._mailbox.feed._waiters), 1)
        subscribe = self.broker.wait(SUBSCRIBE)[0]
        self.broker.say(subscribe, DELIVER, "x", id=sos_wire.new_id(), type="m", seq=1, source="agent:b")
        self.assertEqual((await inbox.get(5)).payload, "x")
        self.assertIsNone(await inbox.get(0.01))

    async def test_events_and_replies(self):
        def rule(broker, record):
            broker.answer(record, ACK, seq=5)
            broker.say(record, EVENT, "hello", id=sos_wire.new_id(), type="m", seq=6, target="squad:x",
                       source="agent:b")

        self.broker.rules[SUBSCRIBE] = rule
        async with await self.client.bus.subscribe("squad:x") as subscription:
            self.assertEqual(subscription.last_seq, 5)
            event = await subscription.__anext__()
            self.assertEqual(event.payload, "hello")
        self.assertEqual((await self.client.bus.publish("squad:x", 1)).seq, 1)

    async def test_streams_are_async_iterators(self):
        def rule(broker, record):
            for seq in range(3):
                broker.answer(record, CHUNK, {"chunk": str(seq)}, seq=seq)
            broker.answer(record, REPLY, {"content": "012"})

        self.broker.rules[REQUEST] = rule
        stream = self.client.chat.stream("hello")
        self.assertEqual([chunk["chunk"] async for chunk in stream], ["0", "1", "2"])
        self.assertEqual(await stream.answer(), {"content": "012"})
        self.broker.rules[REQUEST] = lambda broker, record: broker.answer(record, CHUNK, {"chunk": "x"})
        async with self.client.chat.stream("hello") as stream:
            await stream.__anext__()
        await asyncio.to_thread(self.broker.wait, CANCEL)

    async def test_a_cancelled_call_is_cancelled_at_the_broker(self):
        task = asyncio.create_task(self.client.memory.stats())
        request = (await asyncio.to_thread(self.broker.wait, REQUEST))[0]
        task.cancel()
        cancel = (await asyncio.to_thread(self.broker.wait, CANCEL))[0]
        self.assertEqual(cancel["correlation"], request["id"])

    async def test_trouble_at_the_start_is_told(self):
        connection = self.broker.connection()
        self.broker.stop()
        with self.assertRaises(mumega.ConnectError):
            await AsyncMumegaClient.connect(connection, connect_timeout=0.5)

    async def test_closing_ends_what_waits(self):
        inbox = self.client.bus.inbox()
        self.deliver_at_subscribe(0)
        waiting = asyncio.create_task(inbox.get())
        await asyncio.sleep(0.05)
        await self.client.close(0)
        with self.assertRaises(mumega.ClosedError):
            await waiting


if __name__ == "__main__":
    unittest.main()
