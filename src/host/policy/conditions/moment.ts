/**
 * Conditions on the moment rather than the mail: time of day, a sample, how busy the host is. Decided at connect, or where the sample's
 * key is known.
 */
import { createHash } from 'node:crypto'
import { type Condition, testCondition } from '../condition.ts'
import type { Facts } from '../facts.ts'
import { call } from '../patterns.ts'

const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']
const MINUTES = 24 * 60

interface Span {
  readonly days: ReadonlySet<number>
  readonly from: number
  readonly to: number
}

export interface TimeOptions {
  /** An IANA time zone such as `'Europe/Berlin'`. @default that of the machine */
  readonly zone?: string
}

/**
 * It is one of these times. Decided at connect.
 * @param spans as `'Mon-Fri 08:00-18:00'`, `'Sat'`, or `'22:00-06:00'`, which is over midnight, of the day it begins on
 * @example time('Mon-Fri 08:00-18:00', { zone: 'Europe/Berlin' })
 */
export function time(spans: string | readonly string[], { zone }: TimeOptions = {}): Condition {
  const list = typeof spans === 'string' ? [spans] : spans
  if (list.length === 0) throw new RangeError('time() needs a time such as "Mon-Fri 08:00-18:00"')
  const parsed = list.map(parseSpan)
  const format = new Intl.DateTimeFormat('en-US', {
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
    timeZone: zone,
  })
  const isNow = ({ now }: Facts): boolean => {
    const parts = new Map(format.formatToParts(now).map(({ type, value }) => [type, value]))
    const day = DAYS.indexOf(parts.get('weekday')!.toLowerCase())
    const minute = Number(parts.get('hour')) * 60 + Number(parts.get('minute'))
    return parsed.some(span => within(span, day, minute))
  }
  return testCondition(isNow, { describe: call('time', list) })
}

function within({ days, from, to }: Span, day: number, minute: number): boolean {
  if (from <= to) return days.has(day) && minute >= from && minute < to
  return (days.has(day) && minute >= from) || (days.has((day + 6) % 7) && minute < to)
}

function parseSpan(text: string): Span {
  const refuse = (): never => {
    throw new RangeError(`${JSON.stringify(text)} is not a time such as "Mon-Fri 08:00-18:00"`)
  }
  const parts = String(text).trim().toLowerCase().split(/\s+/)
  const days = new Set<number>()
  let hours: readonly [number, number] | null = null
  for (const part of parts) {
    const clock = /^(\d{1,2}):(\d\d)-(\d{1,2}):(\d\d)$/.exec(part)
    if (clock !== null) {
      const [h1, m1, h2, m2] = clock.slice(1).map(Number) as [number, number, number, number]
      const span = [h1 * 60 + m1, h2 * 60 + m2] as const
      if (hours !== null || m1 > 59 || m2 > 59 || span.some(minute => minute > MINUTES) || span[0] === span[1]) refuse()
      hours = span
      continue
    }
    for (const range of part.split(',')) {
      const [first = '', last = first, ...more] = range.split('-').map(day => day.slice(0, 3))
      const [a, b] = [DAYS.indexOf(first), DAYS.indexOf(last)]
      if (a < 0 || b < 0 || more.length > 0) return refuse()
      for (let day = a; ; day = (day + 1) % 7) {
        days.add(day)
        if (day === b) break
      }
    }
  }
  const [from, to] = hours ?? [0, MINUTES]
  return { days: days.size === 0 ? new Set(DAYS.keys()) : days, from, to }
}

export interface SampleOptions {
  /** What is drawn. By `'sender'` it is decided at mail, by `'recipient'` at rcpt. @default 'client' */
  readonly by?: 'client' | 'sender' | 'recipient'
  /** Another seed draws others. @default '' */
  readonly seed?: string
}

/**
 * It is among a fixed share of the clients, for trying a filter out. Decided at connect.
 * @remarks The same client, sender or recipient is always in or always out, so that a retry meets the same filters.
 * @param percent 0 to 100
 * @example sample(10, { by: 'recipient' })
 */
export function sample(percent: number, { by = 'client', seed = '' }: SampleOptions = {}): Condition {
  if (typeof percent !== 'number' || !(percent >= 0 && percent <= 100))
    throw new RangeError(`sample() needs a percentage from 0 to 100, not ${String(percent)}`)
  const keys: Readonly<Record<string, (facts: Facts) => string>> = {
    client: facts => facts.client.address,
    sender: facts => facts.sender.address.toLowerCase(),
    recipient: facts => facts.recipient.address.toLowerCase(),
  }
  const keyOf = keys[by]
  if (keyOf === undefined)
    throw new RangeError(`sample() draws by "client", "sender" or "recipient", not ${String(by)}`)
  return testCondition(
    facts =>
      createHash('sha256')
        .update(`${seed}\0${keyOf(facts)}`)
        .digest()
        .readUInt32BE(0) <
      (percent / 100) * 2 ** 32,
    { describe: call('sample', [percent, ...(by === 'client' ? [] : [by])]) },
  )
}

export interface StressOptions {
  /**
   * SMTP connections at once from which on it is stress.
   * @default three quarters of Postfix's `default_process_limit`; `75` where there is no Postfix
   */
  readonly sessions?: number
  /** Load average of the last minute, a processor, from which on it is stress. @default 4 */
  readonly load?: number
}

/** Postfix's own default. */
const DEFAULT_PROCESS_LIMIT = 100

/**
 * There are so many clients, or so much work, that costly filters had better wait. Decided at connect.
 * @example stress({ load: 2 })
 */
export function stress({ sessions, load = 4 }: StressOptions = {}): Condition {
  if ((sessions !== undefined && !(sessions >= 1)) || !(load > 0))
    throw new RangeError('stress() needs a number of sessions of 1 or more and a load above 0')
  return testCondition(
    ({ load: now }) =>
      now.perProcessor >= load || now.sessions >= (sessions ?? (now.limit ?? DEFAULT_PROCESS_LIMIT) * 0.75),
    { describe: call('stress', sessions === undefined ? [] : [{ sessions }]) },
  )
}
