// One real MTA with many ways in, each with a host behind it; and what became of the mail that was sent through them.
//
// Each host is attached twice: as the MTA's manual has it (a milter that fails is a temporary failure), and in the way that lets
// mail through unfiltered when a milter fails. Behind milterhost the two must not differ.

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { arrived } from '../chain/letter.ts'
import { freePort, type Mta, run, startPostfix, startSendmail, until } from '../harness/index.ts'

export const ATTACHMENTS = ['tempfail', 'accept'] as const
export type AttachedWith = (typeof ATTACHMENTS)[number]

export interface Attached {
  mta: Mta
  /** Port of the way in to the milter with that address. */
  port(address: string, withAction: AttachedWith): number
}

/** Sendmail knows at most 25 filters (MAXFILTERS) and hangs up on the sessions of further ones. */
export async function attach(
  kind: Mta['kind'],
  addresses: readonly string[],
  actions: readonly AttachedWith[] = ATTACHMENTS,
): Promise<Attached> {
  const ports = new Map<string, number>()
  const ways: { address: string; action: AttachedWith; port: number }[] = []
  for (const address of addresses) {
    for (const action of actions) {
      const port = await freePort()
      ports.set(address + action, port)
      ways.push({ address, action, port })
    }
  }
  const mta = kind === 'postfix' ? await postfix(ways) : await sendmail(ways)
  return { mta, port: (address, action) => ports.get(address + action) as number }
}

type Ways = readonly { address: string; action: AttachedWith; port: number }[]

const postfix = (ways: Ways): Promise<Mta> =>
  startPostfix({
    also: ways.map(({ address, action, port }) => ({
      port,
      milters: [`{ ${address}, default_action=${action} }`],
    })),
    settings: { max_use: '1000' },
  })

function sendmail(ways: Ways): Promise<Mta> {
  // Delivers before it answers, so that a reply is the end of the story.
  const mc = ["define(`confDELIVERY_MODE', `interactive')dnl", "define(`confSAFE_QUEUE', `interactive')dnl"]
  for (const { address, action, port } of ways) {
    const flags = action === 'tempfail' ? ', F=T' : ''
    mc.push(`MAIL_FILTER(\`f${port}', \`S=${address}${flags}, T=C:1m;S:30s;R:30s;E:5m')dnl`)
    mc.push(`DAEMON_OPTIONS(\`Family=inet, Name=d${port}, Port=${port}, Addr=127.0.0.1, InputMailFilters=f${port}')dnl`)
  }
  return startSendmail({ mc })
}

/** What must have become of one message. */
export interface Expected {
  /** Fields that it must have, each once, and no other of these names. */
  marks: Readonly<Record<string, string>>
  body: string
  held: boolean
  /** alice@example.com and bob@example.net unless told. */
  sender?: string
  recipient?: string
}

const MARKS = ['X-First', 'X-Last', 'X-Milter', 'X-Plugin', 'X-Rig-Milter', 'X-Partial', 'X-Early']

/** Every message by its Subject is where it should be, complete, and there is no other. */
export async function checkMail(mta: Mta, expected: ReadonlyMap<string, Expected>): Promise<void> {
  const held = [...expected.values()].filter(each => each.held).length
  await until(
    () => `${held} messages on hold, none on its way: ${queue(mta, 'hold').length}, ${moving(mta).join(' ')}`,
    () => queue(mta, 'hold').length === held && moving(mta).length === 0,
  )
  const passed = subjects(await mta.deliveries())
  expect([...passed.keys()].sort()).toEqual([...expected].flatMap(([name, each]) => (each.held ? [] : name)).sort())
  if (mta.kind === 'postfix' && held > 0) {
    const config = ['-c', join(mta.dir, 'etc')]
    await run('/usr/sbin/postsuper', [...config, '-H', 'ALL'])
    await run('/usr/sbin/postqueue', [...config, '-f'])
    await mta.waitForDeliveries(expected.size)
  }
  for (const [subject, message] of subjects(await mta.deliveries())) {
    const known = expected.get(subject) as Expected
    const { marks, body, sender = 'alice@example.com', recipient = 'bob@example.net' } = known
    const found = MARKS.flatMap(name => message.all(name).map(value => `${name}: ${value}`))
    expect(found, subject).toEqual(Object.entries(marks).map(([name, value]) => `${name}: ${value}`))
    expect(message.body, subject).toBe(body)
    expect(message.recipients, subject).toEqual([recipient])
    expect(message.sender, subject).toBe(sender)
  }
}

type Found = ReturnType<typeof arrived> & { sender: string; recipients: string[] }

function subjects(deliveries: Awaited<ReturnType<Mta['deliveries']>>): Map<string, Found> {
  const found = new Map<string, Found>()
  for (const delivery of deliveries) {
    const message = arrived(delivery)
    const subject = message.all('Subject').join()
    expect(found.has(subject), `${subject} came twice`).toBe(false)
    found.set(subject, { ...message, sender: delivery.sender, recipients: delivery.recipients })
  }
  return found
}

/** Queue ids on hold; Sendmail keeps such a message as hf and df instead of qf and df. */
function queue({ kind, dir }: Mta, which: 'hold'): string[] {
  if (kind === 'postfix') return files(join(dir, 'queue', which))
  return files(join(dir, 'queue')).filter(name => name.startsWith('hf'))
}

function moving({ kind, dir }: Mta): string[] {
  if (kind === 'sendmail') return files(join(dir, 'queue')).filter(name => name.startsWith('qf'))
  return ['incoming', 'active', 'deferred', 'maildrop'].flatMap(name => files(join(dir, 'queue', name)))
}

const files = (dir: string): string[] =>
  readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(({ name }) => name)

/** The MTA's own complaints about its milter: there must be none, whatever happens behind it. */
export async function milterComplaints(mta: Mta): Promise<string[]> {
  const pattern =
    mta.kind === 'postfix'
      ? /(?:warning|error|fatal): .*milter/i
      : /Milter .*(?:error|timeout|bogus|unknown|fail(?!ed$))/i
  return (await mta.log()).split('\n').filter(line => pattern.test(line) && !line.includes('Service unavailable'))
}
