/**
 * A worker process of its own on one file, for tests that kill it or let several race: asks about one key after the other and
 * writes `number state` for each answer, in one write, as soon as it has it.
 *
 *   node embedded-child.ts FILE FROM TO ORIGINS [BEGIN EVERY]
 *
 * With BEGIN and EVERY, milliseconds, the first key is asked about at that time and each further one so much later: workers given
 * the same times ask about the same key at the same moment.
 */
import { writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { EmbeddedStore } from '../src/embedded.ts'
import { Keys } from '../src/keys.ts'

const [path = '', from = '0', to = '0', origins = '0', begin = '0', every = '0'] = process.argv.slice(2)
const keys = new Keys('a secret for tests')
const store = new EmbeddedStore({
  path,
  now: () => Date.now(),
  problem: (fields, message) => process.stderr.write(`${message} ${JSON.stringify(fields)}\n`),
})
const policy = {
  wait: 60_000,
  window: 86_400_000,
  life: 86_400_000,
  retries: 1,
  passes: 2,
  spacing: 1,
  pending: 1_000_000,
}

for (let at = Number(from); at < Number(to); at++) {
  const due = Number(begin) + (at - Number(from)) * Number(every)
  if (due > Date.now() + 1) await sleep(due - Date.now() - 1)
  // The last millisecond is spun away: a timer is too coarse for a race.
  while (Date.now() < due);
  const { state } = await store.check({
    origin: keys.origin(`n:${at % Number(origins)}`),
    domain: keys.domain('example.org'),
    tuples: [keys.tuple('sender', String(at))],
    policy,
    now: Date.now(),
  })
  writeSync(1, `${at} ${state}\n`)
}
await store.close()
