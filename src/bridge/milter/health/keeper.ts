/**
 * Looks after one external milter: knows how it is, finds out when there is a doubt, and has it started when it is gone.
 *
 * A probe is OPTNEG, the milter's answer and QUIT, made by a filter that speaks to it; never a bare connect. There is none while all
 * is well. What gives cause: the start, a failure of a session, two seconds in which sessions wait and the milter says nothing at all, and a
 * probe that failed before. A healthy milter costs a message two additions; one timer runs while somebody waits, whoever that is.
 *
 * One for each address, leased by the filters of that address over all generations (`host/kept.ts`), so that it outlives a reload.
 */
import { type HostError, hostError } from '../../../host/errors.ts'
import type { FilterHealth, HealthState } from '../../../host/filter.ts'
import type { Keepable } from '../../../host/kept.ts'
import type { MessageSnapshot } from '../../../host/message/snapshot.ts'
import { Roster } from '../../../host/roster.ts'
import type { Clock } from '../../../host/time/clock.ts'
import type { ProcessControl } from '../../launch/control.ts'
import { Backoff } from './backoff.ts'
import { Places } from './places.ts'
import { Poison } from './poison.ts'
import { type Remedy, Reviver } from './reviver.ts'
import { Standing } from './standing.ts'
import { type Trouble, troubleOf } from './trouble.ts'

/** How the process of a milter is reached. */
export interface Launch {
  /** Equal keys are the same process, reached in the same way. */
  readonly key: string
  control(): ProcessControl
}

export interface HealthChange extends FilterHealth {
  readonly was: HealthState
  /** Milliseconds that it was so. */
  readonly milliseconds: number
}

/** A filter that speaks to the milter. */
export interface Prober {
  readonly name: string
  readonly launch: Launch | null
  /** Milliseconds between looks at a milter that nobody speaks to; `null`: none. */
  readonly interval: number | null
  /** Connects, negotiates, says QUIT. Rejects with a coded error, in time. */
  ask(signal: AbortSignal): Promise<void>
  changed(change: HealthChange): void
  /** Something about the process went wrong that changes nothing. */
  complain(error: Error): void
}

/** Between probes of a milter that does not answer. */
const PAUSES = { first: 250, most: 2_500 }
/** Milliseconds between two looks whether the milter says anything while somebody waits. */
const WATCH = 2_000
/** Milliseconds that a milter has from its start to its first answer while its process is known to run: some load databases first. */
const START_LIMIT = 300_000
/** The same where nobody can say whether it runs. */
const BLIND_LIMIT = 30_000
/** Between probes meanwhile. */
const START_PAUSES = { first: 100, most: 1_000 }

export class Keeper implements Keepable {
  /** Pieces that came from the milter: counted by its channels. */
  heard = 0
  /** Connections that are being opened, and what gives them up. */
  readonly opening: Roster<(error: HostError) => void> = new Roster()
  readonly #clock: Clock
  readonly #random: () => number
  readonly #standing: Standing
  readonly #poison = new Poison()
  readonly #pauses: Backoff
  readonly #closing = new AbortController()
  /** The filters that speak to it, and of those the ones that serve; the newest last. */
  readonly #probers = new Set<Prober>()
  readonly #serving = new Set<Prober>()
  #reviver: Reviver | null = null
  #launched: string | null = null
  #places: Places | null = null
  /** A probe or a start, or the end of what was there before. */
  #work: Promise<void> | null = null
  #restarting = false
  #nextProbe: (() => void) | null = null
  #nextLook: (() => void) | null = null
  #nextWatch: (() => void) | null = null
  #mutes = 0
  /** When a probe last failed, monotonic, and what had come then. */
  #probedAt = 0
  #heardAtProbe = 0
  /** Questions that are not answered. */
  #waiting = 0
  #watching = false

  /** `former`: until then a process of the same address is being ended, and what it answers says nothing. */
  constructor(clock: Clock, random: () => number, former: Promise<void> | null = null) {
    if (former !== null) this.#run(former)
    this.#clock = clock
    this.#random = random
    this.#standing = new Standing(clock.now(), random)
    this.#pauses = new Backoff(PAUSES, random)
  }

  get health(): FilterHealth {
    return this.#standing.health
  }

  /** The places of a milter that bears only so many connections. */
  places(most: number): Places {
    this.#places ??= new Places(most)
    this.#places.most = most
    return this.#places
  }

  join(prober: Prober): void {
    this.#probers.add(prober)
  }

  /** From now on this one asks, and says how the milter is started. */
  serve(prober: Prober): void {
    this.#serving.delete(prober)
    this.#serving.add(prober)
    this.#settle()
  }

  part(prober: Prober): void {
    this.#probers.delete(prober)
    if (this.#serving.delete(prober) && this.#serving.size > 0) this.#settle()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#nextProbe?.()
    this.#nextLook?.()
    this.#nextWatch?.()
    const control = this.#reviver?.control
    this.#reviver = null
    await control?.close()
  }

  /** Why no connection is to be opened now; `null` when one may be. */
  refusal(filter: string): HostError | null {
    const standing = this.#standing
    if (standing.clean) return null
    this.#listen()
    const now = this.#clock.monotonic()
    if (standing.admits(now)) return null
    // To find nobody there costs nothing, so mail that comes brings the next probe forward.
    if (this.#mutes === 0 && now - this.#probedAt >= PAUSES.first) this.look()
    return this.#refusalOf(filter)
  }

  /** Why nothing more is to be asked on a connection that is open; `null` when it may be. */
  shut(filter: string): HostError | null {
    if (this.#standing.clean) return null
    this.#listen()
    return this.#standing.shut ? this.#refusalOf(filter) : null
  }

  /** A question was put to the milter that is not answered at once. */
  begin(): void {
    this.#waiting += 1
    if (!this.#watching) this.#watch(this.heard)
  }

  /** It was answered, or is not awaited any more. */
  end(): void {
    this.#waiting -= 1
  }

  /** It did what it is for: an answer to a whole message, or one that spares it the rest. */
  worked(): void {
    if (this.#standing.clean) return
    this.#mutes = 0
    this.#pauses.reset()
    this.#reviver?.well()
    this.#tell(() => this.#standing.worked(this.#clock.now()))
    if (this.#work === null) this.#cancelProbe()
  }

  /** A session's question came to nothing. `signal`: that of the call. */
  failed(error: unknown, signal: AbortSignal | null): void {
    const trouble = troubleOf(error, signal)
    if (trouble === null) return
    if (trouble.kind === 'late' || trouble.kind === 'broken') {
      this.#tell(() => this.#standing.lapsed(trouble, this.#clock.monotonic(), this.#clock.now()))
    } else this.#standing.unmet()
    this.look()
  }

  /** Whether the message is kept away from the milter. */
  isPoison(message: MessageSnapshot): boolean {
    return !this.#poison.isEmpty && this.#poison.isPoison(message, this.#clock.monotonic())
  }

  /** The milter went away in the middle of the message, and not because its process was ended from here. */
  lost(message: MessageSnapshot): void {
    if (!this.#restarting) this.#poison.lost(message, this.#clock.monotonic())
  }

  /** The milter answered the message. */
  passed(message: MessageSnapshot): void {
    if (!this.#poison.isEmpty) this.#poison.passed(message)
    this.worked()
  }

  /** What somebody else found who asked it as a probe does: `null` when it answered. */
  found(error: unknown): void {
    if (this.#work !== null || this.#closing.signal.aborted) return
    const trouble = error === null ? null : troubleOf(error, null)
    if (trouble === null) {
      if (error === null) this.#answered()
      return
    }
    const remedy = this.#unanswered(trouble)
    if (remedy !== null) this.#run(this.#revive(remedy, trouble.reason))
  }

  /** Asks it now, unless that is being done. */
  look(): void {
    if (this.#work === null && this.#prober !== undefined) this.#run(this.#probe())
  }

  /** Asks it, and has it started when it is not there; resolves when it answers, or when that has come to nothing. */
  async met(): Promise<void> {
    await this.#work
    this.look()
    await this.#work
  }

  /** Starts its process anew; resolves when it answers. Rejects with what came of it. */
  async restart(filter: string): Promise<void> {
    while (this.#work !== null) await this.#work
    if (this.#reviver === null) throw hostError('MILTER_NO_LAUNCH', filter)
    const revival = this.#revive('restart', 'it was asked to be started anew')
    this.#run(revival)
    const failure = await revival
    if (failure !== null) throw failure
  }

  /** One that says anything since it was found silent works on something, if not on probes. */
  #listen(): void {
    if (!this.#standing.shut || this.heard === this.#heardAtProbe) return
    this.#standing.spoke()
    this.look()
  }

  get #prober(): Prober | undefined {
    return newest(this.#serving) ?? newest(this.#probers)
  }

  /** `work` never rejects. */
  #run(work: Promise<unknown>): void {
    this.#cancelProbe()
    this.#work = work.then(() => {
      this.#work = null
    })
  }

  async #probe(): Promise<void> {
    const trouble = await this.#ask()
    if (this.#closing.signal.aborted) return
    if (trouble === null) return this.#answered()
    const remedy = this.#unanswered(trouble)
    if (remedy !== null) await this.#revive(remedy, trouble.reason)
  }

  async #ask(): Promise<Trouble | null> {
    try {
      await this.#prober?.ask(this.#closing.signal)
      return null
    } catch (error) {
      const { code = 'unknown', message } = error as Error & { readonly code?: string }
      return troubleOf(error, null) ?? { kind: 'disagreeing', code, reason: message }
    }
  }

  #answered(): void {
    this.#mutes = 0
    this.#pauses.reset()
    this.#reviver?.well()
    this.#cancelProbe()
    this.#tell(() => this.#standing.probed(this.#clock.now()))
  }

  /** What is to be done about it; otherwise the next probe is set. */
  #unanswered(trouble: Trouble): Remedy | null {
    this.#mutes = trouble.kind === 'silent' ? this.#mutes + 1 : 0
    this.#heardAtProbe = this.heard
    this.#probedAt = this.#clock.monotonic()
    this.#reviver?.unwell()
    this.#tell(() => this.#standing.probeFailed(trouble, this.#clock.now()))
    if (this.#standing.open) this.#giveUp()
    const remedy = this.#reviver?.remedy(trouble.kind, this.#mutes > 1) ?? null
    if (remedy === null) this.#probeLater()
    return remedy
  }

  /** Who waits for a connection waits no longer. A message that the milter has keeps its own time limit. */
  #giveUp(): void {
    if (this.#prober === undefined) return
    const error = this.#refusalOf(this.#prober.name)
    for (const giveUp of this.opening) giveUp(error)
    this.#places?.refuse(error)
  }

  /** Resolves with why it does not answer then; `null` when it does. */
  async #revive(remedy: Remedy, why: string): Promise<Error | null> {
    const reviver = this.#reviver!
    const { control } = reviver
    this.#restarting = true
    this.#tell(() => this.#standing.starting(`${remedy} by ${control.description}; ${why}`, this.#clock.now()))
    try {
      await reviver.apply(remedy, this.#closing.signal)
      await this.#untilItAnswers(reviver)
      return null
    } catch (error) {
      const failure = error as Error
      if (!this.#closing.signal.aborted) {
        this.#tell(() => this.#standing.notStarted(failure.message, this.#clock.now()))
        this.#probeLater()
      }
      return failure
    } finally {
      this.#restarting = false
    }
  }

  async #untilItAnswers(reviver: Reviver): Promise<void> {
    const { control } = reviver
    const { signal } = this.#closing
    const began = this.#clock.monotonic()
    const pauses = new Backoff(START_PAUSES, this.#random)
    for (;;) {
      const trouble = await this.#ask()
      signal.throwIfAborted()
      if (trouble === null) return this.#answered()
      const { state, detail } = await control.status(signal)
      if (state === 'stopped' || state === 'failed') throw this.#notStarted(`${control.description}: ${detail}`)
      const limit = state === 'running' ? START_LIMIT : BLIND_LIMIT
      if (this.#clock.monotonic() - began >= limit) {
        if (state === 'running') reviver.inVain()
        throw this.#notStarted(`it did not answer within ${limit / 1000} s: ${trouble.reason}`)
      }
      await this.#pause(pauses.next())
    }
  }

  #notStarted(what: string): HostError {
    return hostError('MILTER_NOT_STARTED', this.#prober?.name ?? '', what)
  }

  #pause(milliseconds: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const { signal } = this.#closing
      const onAbort = (): void => {
        cancel()
        reject(signal.reason as Error)
      }
      const cancel = this.#clock.after(milliseconds, () => {
        signal.removeEventListener('abort', onAbort)
        resolve()
      })
      signal.addEventListener('abort', onAbort, { once: true })
    })
  }

  #probeLater(): void {
    this.#cancelProbe()
    this.#nextProbe = this.#clock.after(this.#pauses.next(), () => this.look())
  }

  #cancelProbe(): void {
    this.#nextProbe?.()
    this.#nextProbe = null
  }

  /** Looks whether the milter has said anything, for as long as somebody waits. */
  #watch(before: number): void {
    this.#watching = true
    this.#nextWatch = this.#clock.after(WATCH, () => {
      this.#watching = false
      if (this.#waiting === 0) return
      const { heard } = this
      if (heard === before) this.look()
      this.#watch(heard)
    })
  }

  /** At a milter that nobody speaks to, where the configuration says so. */
  #lookAtTimes(): void {
    this.#nextLook?.()
    this.#nextLook = null
    const interval = newest(this.#serving)?.interval ?? null
    if (interval === null) return
    const before = this.heard
    this.#nextLook = this.#clock.after(interval, () => {
      if (this.heard === before) this.look()
      this.#lookAtTimes()
    })
  }

  /** The process is reached as the newest says that says anything. */
  #settle(): void {
    this.#lookAtTimes()
    const launch = newest([...this.#serving].filter(prober => prober.launch !== null))?.launch ?? null
    if ((launch?.key ?? null) === this.#launched) return
    const former = this.#reviver?.control
    this.#launched = launch?.key ?? null
    this.#reviver = launch === null ? null : new Reviver(launch.control(), this.#clock, this.#random)
    if (former !== undefined) this.#closeControl(former)
  }

  #closeControl(control: ProcessControl): void {
    control.close().catch(error => this.#prober?.complain(error as Error))
  }

  #refusalOf(filter: string): HostError {
    const { state, reason, since } = this.#standing.health
    return hostError('MILTER_DOWN', filter, state, Math.round((this.#clock.now() - since) / 1000), reason)
  }

  #tell(change: () => boolean): void {
    const { state: was, since } = this.#standing.health
    if (!change()) return
    const now = this.#standing.health
    this.#prober?.changed({ ...now, was, milliseconds: now.since - since })
  }
}

const newest = <T>(list: Iterable<T>): T | undefined => [...list].at(-1)
