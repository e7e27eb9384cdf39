// MTAs whose commands are in order and without measure: recipients, macros, transactions given up at every point, connections left
// at every point.

import { once } from 'node:events'
import { expect, test } from 'vitest'
import { cstrings, frame, Splitter, sleep, within } from '../harness/index.ts'
import {
  begun,
  closed,
  greeted,
  hashOf,
  header,
  LINES,
  MAIL,
  OFFER,
  packets,
  passes,
  pour,
  RCPT,
  rawConnection,
} from './load.ts'
import { watched } from './watched.ts'

const its = watched()

test('of 50,000 recipients 10,000 are taken and the others told to come later', async () => {
  const socket = await rawConnection(its.daemon.address)
  const splitter = new Splitter()
  await begun(socket, splitter)
  socket.write(MAIL)
  expect(await packets(socket, splitter, 1)).toEqual(['c'])
  const answers = new Map<string, number>()
  for (let n = 0; n < 50; n++) {
    socket.write(
      Buffer.concat(Array.from({ length: 1000 }, (_, k) => frame('R', cstrings(`<u${n}.${k}@example.net>`)))),
    )
    for (const answer of await packets(socket, splitter, 1000)) answers.set(answer, (answers.get(answer) ?? 0) + 1)
  }
  expect(Object.fromEntries(answers)).toEqual({ c: 10_000, 'y452 4.5.3 Too many recipients\0': 40_000 })
  await its.daemon.tells('LIMIT_RECIPIENTS', /limits\.recipients/)
  // One event for each would fill the disk.
  expect(its.daemon.told('LIMIT_RECIPIENTS').length).toBeLessThanOrEqual(20)
  socket.write(Buffer.concat([frame('T'), header('Subject', ' x'), frame('N'), frame('E')]))
  const said = await packets(socket, splitter, 3)
  expect(said).toEqual(['c', `i\0\0\0\0X-Witness\0 10000 1 0 ${hashOf()}\0`, 'c'])
  socket.end(frame('Q'))
})

const MACROS: readonly (readonly [string, Buffer])[] = [
  ['none', cstrings()],
  ['a name without a value', cstrings('i')],
  ['an odd number', cstrings('i', '4XYZ', '{rcpt_addr}')],
  ['one without its NUL', Buffer.from('i\x004XYZ')],
  ['10,000', cstrings(...Array.from({ length: 10_000 }, (_, n) => [`{m${n}}`, `${n}`]).flat())],
  ['one of almost 1 MiB', cstrings('{big}', 'x'.repeat(1_000_000))],
  ['one twice', cstrings('i', '4XYZ', 'i', '5XYZ')],
]

test.for(MACROS)('macros: %s, at every stage, cost nothing but themselves', async ([, list]) => {
  const client = await greeted(its.daemon.address)
  for (let round = 0; round < 3; round++) {
    for (const stage of ['C', 'H', 'M', 'R', 'T', 'L', 'N', 'B', 'E', 'Z', '\0'])
      client.send('D', Buffer.concat([Buffer.from(stage, 'latin1'), list]))
    await passes(client)
  }
  await client.quit()
})

test('256 MiB of macros are forgotten as they come', async () => {
  const client = await greeted(its.daemon.address)
  const socket = await rawConnection(its.daemon.address)
  socket.write(OFFER)
  await once(socket, 'data')
  await pour(
    socket,
    frame('D', Buffer.concat([Buffer.from('M'), cstrings('{big}', 'x'.repeat(65_000))])),
    1024 ** 2 * 128,
  )
  await pour(
    socket,
    frame('D', Buffer.concat([Buffer.from('E'), cstrings('{big}', 'x'.repeat(65_000))])),
    1024 ** 2 * 128,
  )
  socket.end(frame('Q'))
  await within(30, 'the connection is closed', once(socket, 'close'))
  await passes(client)
  await client.quit()
})

/** A message up to each of its stages, each stage with the number of its answers. */
const STAGES: readonly (readonly [packet: Buffer, answers: number])[] = [
  [frame('C', cstrings('client.example', 'U')), 1],
  [frame('H', cstrings('client.example')), 1],
  [MAIL, 1],
  [RCPT, 1],
  [frame('T'), 1],
  [header('Subject', ' x'), 0],
  [frame('N'), 0],
  [frame('B', LINES), 0],
  [Buffer.concat(Array.from({ length: 20 }, () => frame('B', LINES))), 0],
]

const upTo = (stage: number): Buffer => Buffer.concat(STAGES.slice(0, stage).map(([packet]) => packet))
const answersUpTo = (stage: number): number => STAGES.slice(0, stage).reduce((sum, [, answers]) => sum + answers, 0)

test.for(STAGES.map((_, stage) => stage + 1))('ABORT after %s packets lets the next message pass', async stage => {
  const client = await greeted(its.daemon.address)
  for (let round = 0; round < 3; round++) {
    const packet = Buffer.concat(STAGES.slice(2, Math.max(stage, 2)).map(([bytes]) => bytes))
    client.sendRaw(Buffer.concat([packet, frame('A')]))
    for (let n = 2; n < answersUpTo(stage); n++) expect((await client.read()).command).toBe('c')
    await passes(client)
  }
  await client.quit()
})

test.for(STAGES.map((_, stage) => stage + 1))('QUIT_NC after %s packets begins another session', async stage => {
  const socket = await rawConnection(its.daemon.address)
  const splitter = new Splitter()
  socket.write(OFFER)
  await packets(socket, splitter, 1)
  for (let round = 0; round < 3; round++) {
    socket.write(Buffer.concat([upTo(stage), frame('K')]))
    expect(await packets(socket, splitter, answersUpTo(stage))).toEqual(Array(answersUpTo(stage)).fill('c'))
  }
  socket.write(Buffer.concat([upTo(7), frame('E')]))
  const said = await packets(socket, splitter, 7)
  expect(said).toEqual([...Array(5).fill('c'), `i\0\0\0\0X-Witness\0 1 1 0 ${hashOf()}\0`, 'c'])
  socket.end(frame('Q'))
})

test.for(STAGES.map((_, stage) => stage + 1))(
  'leaving after %s packets, with an answer due, leaves nothing behind',
  async stage => {
    for (const leave of ['end', 'destroy', 'resetAndDestroy', 'quit'] as const) {
      for (let round = 0; round < 5; round++) {
        const socket = await rawConnection(its.daemon.address)
        socket.write(Buffer.concat([OFFER, upTo(stage), ...(leave === 'quit' ? [frame('E'), frame('Q')] : [])]))
        // Not always the same moment.
        if (round > 1) await sleep(0.002 * round)
        socket.resume()
        if (leave !== 'quit') socket[leave]()
        await within(30, 'the connection is closed', closed(socket))
      }
    }
  },
)
