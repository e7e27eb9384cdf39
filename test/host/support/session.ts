/** A session over scripted filters, its events, and a short way to send a message through it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { ChainFilter } from '../../../src/host/chain/member.ts'
import {
  type BudgetSettings,
  DEFAULT_HOLDS,
  DEFAULT_LIMITS,
  type HoldSettings,
  type Limits,
  type OnClientLeft,
} from '../../../src/host/config/settings.ts'
import { EDIT_KINDS } from '../../../src/host/message/edit.ts'
import { createSpool } from '../../../src/host/message/spool.ts'
import { ALL_INTERESTS, type MtaKind } from '../../../src/host/mta.ts'
import type { HostEvent } from '../../../src/host/observe/event.ts'
import { silent } from '../../../src/host/observe/logger.ts'
import { Session, type Settlement } from '../../../src/host/session.ts'
import { Holds, holdLimits } from '../../../src/host/time/holds.ts'
import type { Liveness } from '../../../src/host/time/liveness.ts'
import { Watch } from '../../../src/host/time/watch.ts'
import type { Verdict } from '../../../src/host/verdict.ts'
import { HandClock } from './clock.ts'

export interface Rig {
  readonly session: Session
  readonly clock: HandClock
  readonly events: HostEvent[]
  readonly holds: Holds
  of<T extends HostEvent['type']>(type: T): Extract<HostEvent, { type: T }>[]
}

export interface RigOptions {
  readonly limits?: Partial<Limits>
  readonly budget?: Partial<BudgetSettings>
  readonly mta?: MtaKind
  readonly holds?: Partial<HoldSettings>
  /** SMTP connections said to be open. */
  sessions?(): number
  readonly liveness?: Liveness
  readonly onClientLeft?: OnClientLeft
}

export function rig(filters: readonly ChainFilter[], options: RigOptions = {}): Rig {
  const directory = mkdtempSync(join(tmpdir(), 'milterhost-session-'))
  const clock = new HandClock()
  const events: HostEvent[] = []
  const limits = { ...DEFAULT_LIMITS, ...options.limits }
  const spool = createSpool({ directory: join(directory, 'spool'), memory: 256 * 1024, shared: 0, limit: limits.body })
  onTestFinished(async () => {
    await spool.close()
    rmSync(directory, { recursive: true, force: true })
  })
  const holds = new Holds(
    clock,
    holdLimits({ ...DEFAULT_HOLDS, ...options.holds }, limits.sessions, null),
    () => options.sessions?.() ?? 1,
  )
  const { liveness } = options
  const watch = liveness === undefined ? null : new Watch({ source: liveness, name: 'the test', clock, log: silent })
  const session = new Session({
    id: 's',
    filters,
    settings: {
      budget: { command: null, end: null, ...options.budget },
      limits,
      mtaAddresses: [],
      onClientLeft: options.onClientLeft ?? '421',
    },
    watch,
    clock,
    spool,
    holds,
    observe: event => events.push(event),
    log: silent,
  })
  session.setMta({
    kind: options.mta ?? 'postfix',
    version: '',
    edits: new Set(EDIT_KINDS),
    asked: new Set(ALL_INTERESTS),
  })
  const of = <T extends HostEvent['type']>(type: T): Extract<HostEvent, { type: T }>[] =>
    events.filter((event): event is Extract<HostEvent, { type: T }> => event.type === type)
  return { session, clock, events, holds, of }
}

export const CLIENT = { family: 'inet', address: '192.0.2.1', port: 4321, hostname: 'client.example' } as const

export const path = (raw: string): { raw: string; args: readonly string[] } => ({ raw, args: [] })

export interface Conversation {
  readonly replies: Verdict[]
  readonly end: Settlement | null
}

/** MAIL to the end of the message, going on only where an MTA would. */
export async function deliver(
  session: Session,
  message: { to?: readonly string[]; headers?: readonly (readonly [string, string])[]; body?: string } = {},
): Promise<Conversation> {
  const replies: Verdict[] = []
  const say = async (answer: Promise<Verdict>): Promise<Verdict> => {
    const verdict = await answer
    replies.push(verdict)
    return verdict
  }
  const mail = await say(session.mail(path('<a@example.com>')))
  if (mail.kind !== 'continue') return { replies, end: null }
  let accepted = 0
  for (const to of message.to ?? ['<b@example.net>'])
    if ((await say(session.rcpt(path(to), null))).kind === 'continue') accepted++
  if (accepted === 0) return { replies, end: null }
  if ((await say(session.data())).kind !== 'continue') return { replies, end: null }
  for (const [name, value] of message.headers ?? [['Subject', ' hello']]) session.header(name, value)
  session.endOfHeaders()
  await session.body(Buffer.from(message.body ?? 'text\r\n'))
  return { replies, end: await session.endOfMessage() }
}

export async function greet(session: Session): Promise<void> {
  await session.connect(CLIENT)
  await session.helo('client.example')
}
