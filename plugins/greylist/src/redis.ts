/**
 * The Redis store: what many hosts share.
 *
 * All of an origin lies in one hash, and each change to it is one Lua script (`redis-lua.ts`), so that decisions are atomic
 * however many hosts make them, also in a Cluster. What always holds: the server's clock decides; what has expired goes by
 * itself, attempts before what was learned when memory runs out; a value or a key that makes no sense is a mark that is
 * not there, and is told. Without a connection a call fails within one timeout. The engine calls it through the guard.
 */
import { randomBytes, randomInt } from 'node:crypto'
import type { Redis } from 'ioredis'
import { RedisClient } from './redis-client.ts'
import type { ScriptName } from './redis-lua.ts'
import { fieldOf, originKey, readField, readOrigin, readReply, readValue } from './redis-marks.ts'
import type { RedisTarget } from './redis-options.ts'
import {
  type Decision,
  type Entry,
  type ItemKey,
  KINDS,
  type Kind,
  type OriginKey,
  type Problem,
  type Question,
  type Seen,
  STATES,
  type State,
  type Stats,
  type Store,
} from './store.ts'

export interface RedisStoreOptions {
  readonly target: RedisTarget
  readonly problem: Problem
  /** In the place of the server's clock, for tests. Milliseconds since 1970. */
  readonly clock?: () => number
}

/** Keys that one step of a scan looks at, and fields of one hash. */
const BATCH = 500

/** Keys whose memory is asked for, to tell how much all take. */
const SAMPLE = 200

export class RedisStore implements Store {
  readonly name = 'redis'
  readonly #client: RedisClient
  readonly #target: RedisTarget
  readonly #problem: Problem
  readonly #clock: (() => number) | undefined

  constructor({ target, problem, clock }: RedisStoreOptions) {
    this.#target = target
    this.#problem = problem
    this.#clock = clock
    this.#client = new RedisClient(target)
  }

  async secret(): Promise<Uint8Array> {
    const key = `${this.#target.prefix}secret`
    const [text, was] = (await this.#client.run('secret', key, [randomBytes(32).toString('hex')])) as [string, string]
    if (was !== '') this.#problem({ key, type: was }, 'the secret of the greylist makes no sense: a new one was made')
    return new Uint8Array(Buffer.from(text, 'hex'))
  }

  async check(question: Question, signal?: AbortSignal): Promise<Decision> {
    const [state, wait, now, mark] = (await this.#ask('check', question, signal)) as [string, number, number, unknown]
    if (!isState(state)) throw new Error(`Redis answered a greylist decision with ${JSON.stringify(state)}`)
    return { state, mark: readReply(mark), wait, now }
  }

  async note(question: Question, signal?: AbortSignal): Promise<void> {
    await this.#ask('note', question, signal)
  }

  async credit(question: Question, signal?: AbortSignal): Promise<void> {
    await this.#ask('credit', question, signal)
  }

  async look(
    { origin, domain, tuples }: Pick<Question, 'origin' | 'domain' | 'tuples' | 'now'>,
    signal?: AbortSignal,
  ): Promise<Seen> {
    signal?.throwIfAborted()
    const fields = [
      ...(['pin', 'trap', 'origin', 'pending'] as const).map(kind => fieldOf(kind, null)),
      fieldOf('domain', domain),
      ...tuples.map(item => fieldOf('tuple', item)),
    ]
    const [marks] = (await this.#run('look', origin, fields)) as [readonly unknown[]]
    const [pin, trap, own, pending, known, ...rest] = marks.map(readReply)
    return { pin: pin!, trap: trap!, origin: own!, pending: pending!, domain: known!, tuples: rest }
  }

  async pass(origin: OriginKey, now: number, expires: number): Promise<void> {
    await this.#run('pass', origin, [expires - now])
  }

  async trap(origin: OriginKey, now: number, expires: number): Promise<void> {
    await this.#run('trap', origin, [expires - now])
  }

  async forget(origin: OriginKey, domain?: ItemKey): Promise<number> {
    const field = domain === undefined ? '' : fieldOf('domain', domain)
    const [gone] = (await this.#run('forget', origin, [field])) as [number]
    return gone
  }

  /** Masters one after the other, a few hundred keys at a time; a key may come twice when it moves meanwhile. */
  async *entries(now: number): AsyncGenerator<Entry> {
    for await (const { node, keys } of this.#keys()) {
      const found = await Promise.all(keys.map(key => this.#entriesOf(node, key)))
      for (const entry of found.flat()) if (entry.expires > now) yield entry
    }
  }

  async merge(entries: readonly Entry[], now: number): Promise<number> {
    const byOrigin = new Map<string, (string | number)[]>()
    for (const { kind, origin, item, first, last, count, expires } of entries) {
      if (expires <= now) continue
      const key = originKey(this.#target.prefix, origin)
      const args = byOrigin.get(key) ?? []
      args.push(fieldOf(kind, item), first, last, count, expires)
      byOrigin.set(key, args)
    }
    const merged = await Promise.all([...byOrigin].map(([key, args]) => this.#runAt('merge', key, args)))
    return (merged as readonly [number][]).reduce((sum, [taken]) => sum + taken, 0)
  }

  /** Goes through all keys: no server of a Cluster knows how many there are of each kind. */
  async stats(): Promise<Stats> {
    const entries = Object.fromEntries(KINDS.map(kind => [kind, 0])) as Record<Kind, number>
    let keysSeen = 0
    let sampled = 0
    let bytes = 0
    for await (const { node, keys } of this.#keys()) {
      const some = keys.slice(0, Math.min(10, Math.max(0, SAMPLE - sampled)))
      const sizes = await Promise.all(some.map(key => this.#told(node.memory('USAGE', key))))
      for (const size of sizes) bytes += Number(size ?? 0)
      sampled += some.length
      keysSeen += keys.length
      const fields = await Promise.all(keys.map(key => this.#fields(node, key)))
      for (const name of fields.flat()) {
        const kind = readField(name)?.kind
        if (kind !== undefined) entries[kind]++
      }
    }
    const counters = await this.#client.ask(client => client.hgetall(`${this.#target.prefix}counters`))
    return {
      entries,
      bytes: sampled === 0 ? 0 : Math.round((bytes / sampled) * keysSeen),
      capacity: null,
      place: this.#target.place,
      counters: new Map(
        Object.entries(counters).flatMap(([name, value]) =>
          /^-?\d{1,15}$/.test(value) ? [[name, Number(value)]] : [],
        ),
      ),
    }
  }

  async count(amounts: ReadonlyMap<string, number>): Promise<void> {
    if (amounts.size === 0) return
    const key = `${this.#target.prefix}counters`
    const [bad] = (await this.#client.run('count', key, [...amounts].flat())) as [readonly string[]]
    this.#tell(key, bad)
  }

  /** On any of the servers: in a Cluster that has lost one, the others still decide. */
  async probe(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    await this.#client.run('probe', `${this.#target.prefix}probe:{${randomInt(256)}}`, [])
  }

  close(): Promise<void> {
    return this.#client.close()
  }

  #ask(name: ScriptName, { origin, domain, tuples, policy }: Question, signal?: AbortSignal): Promise<unknown> {
    signal?.throwIfAborted()
    const { wait, window, life, retries, passes, spacing, pending } = policy
    return this.#run(name, origin, [
      ...[wait, window, life, retries, passes, spacing, pending],
      fieldOf('domain', domain),
      ...tuples.map(item => fieldOf('tuple', item)),
    ])
  }

  #run(name: ScriptName, origin: OriginKey, args: readonly (string | number)[]): Promise<unknown> {
    return this.#runAt(name, originKey(this.#target.prefix, origin), args)
  }

  async #runAt(name: ScriptName, key: string, args: readonly (string | number)[]): Promise<unknown> {
    const reply = await this.#client.run(name, key, [this.#clock?.() ?? '', ...args])
    // The last part of each reply names what makes no sense.
    this.#tell(key, (reply as readonly unknown[]).at(-1) as readonly string[])
    return reply
  }

  #tell(key: string, bad: readonly string[]): void {
    for (const what of bad)
      this.#problem(
        what.startsWith('*') ? { key, type: what.slice(1) } : { key, field: what },
        'a greylist entry makes no sense: taken as absent',
      )
  }

  async *#keys(): AsyncGenerator<{ readonly node: Redis; readonly keys: readonly string[] }> {
    const { prefix } = this.#target
    const pattern = `${prefix.replace(/[\\*?[\]]/g, '\\$&')}{*}`
    for (const node of await this.#client.masters()) {
      let cursor = '0'
      do {
        const [next, keys] = await this.#told(node.scan(cursor, 'MATCH', pattern, 'COUNT', BATCH))
        cursor = next
        if (keys.length > 0) yield { node, keys }
      } while (cursor !== '0')
    }
  }

  async #entriesOf(node: Redis, key: string): Promise<readonly Entry[]> {
    const origin = readOrigin(this.#target.prefix, key)
    if (origin === null) {
      this.#tell(key, ['*another'])
      return []
    }
    const found: Entry[] = []
    for await (const [field, value] of this.#pairs(node, key)) {
      const what = readField(field)
      const mark = readValue(value)
      if (what === null || mark === null) this.#tell(key, [field])
      else found.push({ ...what, origin, ...mark })
    }
    return found
  }

  async #fields(node: Redis, key: string): Promise<readonly string[]> {
    const fields: string[] = []
    for await (const [field] of this.#pairs(node, key)) fields.push(field)
    return fields
  }

  /** Fields with their values; none when the key is no hash. */
  async *#pairs(node: Redis, key: string): AsyncGenerator<readonly [string, string]> {
    let cursor = '0'
    do {
      let step: [string, string[]]
      try {
        step = await node.hscan(key, cursor, 'COUNT', BATCH)
      } catch (error) {
        if (!String((error as Error).message).startsWith('WRONGTYPE')) throw new Error((error as Error).message)
        this.#tell(key, ['*another'])
        return
      }
      cursor = step[0]
      for (let at = 0; at + 1 < step[1].length; at += 2) yield [step[1][at]!, step[1][at + 1]!]
    } while (cursor !== '0')
  }

  /** ioredis' errors hold the command, which may hold what is not to be logged. */
  async #told<T>(reply: Promise<T>): Promise<T> {
    try {
      return await reply
    } catch (error) {
      throw new Error((error as Error).message)
    }
  }
}

const isState = (text: string): text is State => (STATES as readonly string[]).includes(text)
