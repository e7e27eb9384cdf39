/**
 * What is known of an external milter, and whether mail is taken to it: its state, and the circuit breaker.
 *
 * Pure: time comes as an argument. A failure is a reason to look, and what a probe finds is the state; so a message that fails costs
 * its own `onFailure` and nothing else as long as the milter answers probes. The breaker opens when a probe got no answer,
 * when four attempts in a row could not meet the milter, or when it failed at its work four times in a row; then one connection
 * at a time may try, since a probe says nothing about that.
 *
 * The keeper tells it what happened, and asks on each new connection.
 */
import type { FilterHealth, HealthState } from '../../../host/filter.ts'
import { Backoff } from './backoff.ts'
import type { Trouble, TroubleKind } from './trouble.ts'

/** Attempts in a row, those of probes and those of sessions, before nobody but a probe tries any more. */
const MOST_FAILURES = 4

/** What a probe that found this means. */
const STATES: Readonly<Record<TroubleKind, HealthState>> = {
  absent: 'down',
  unreachable: 'down',
  silent: 'wedged',
  disagreeing: 'failing',
  broken: 'failing',
  late: 'failing',
}

/** Between two messages that may try a milter which fails at its work. */
const TRIALS = { first: 1_000, most: 3_000 }

/** Failures at work within so many milliseconds are one: what ends a process ends all of its connections. */
const AT_ONCE = 1_000

/** A failure at work that long ago is not followed by the next one. */
const FORGOTTEN = 600_000

export class Standing {
  readonly #trials: Backoff
  #state: HealthState = 'unknown'
  #reason = 'it has not been asked yet'
  #since: number
  /** In a row: it could not be met. */
  #unmet = 0
  /** In a row: it was met and failed at its work. */
  #lapses = 0
  #lastLapse = Number.NEGATIVE_INFINITY
  #nextTrial = 0
  /** A probe was not answered. */
  #mute = false

  /** `now`: wall clock. `random`: from 0 to 1. */
  constructor(now: number, random: () => number) {
    this.#since = now
    this.#trials = new Backoff(TRIALS, random)
  }

  get health(): FilterHealth {
    return { state: this.#state, reason: this.#reason, since: this.#since }
  }

  get state(): HealthState {
    return this.#state
  }

  /** Nothing is held against it: what most messages find. */
  get clean(): boolean {
    return this.#state === 'up' && this.#unmet === 0 && this.#lapses === 0
  }

  /** Mail does not go to it; the loop of probes, or a trial, ends that. */
  get open(): boolean {
    return this.shut || this.#failing
  }

  /** Not even what is connected is asked anything more. */
  get shut(): boolean {
    return this.#mute || this.#unmet >= MOST_FAILURES
  }

  /** Whether a new connection may be tried. `now`: monotonic milliseconds. */
  admits(now: number): boolean {
    if (!this.open) return true
    if (this.shut || now < this.#nextTrial) return false
    this.#nextTrial = now + this.#trials.next()
    return true
  }

  /** It could not be met, by a session. Only a probe changes the state. */
  unmet(): void {
    this.#unmet += 1
  }

  /** It has said something: whatever was found before, it may be asked. Only a probe or an answer to mail changes the state. */
  spoke(): void {
    this.#unmet = 0
    this.#mute = false
  }

  /** It failed at its work. True when the state has changed. */
  lapsed({ reason }: Trouble, now: number, wall: number): boolean {
    const since = now - this.#lastLapse
    if (this.#lapses > 0 && since < AT_ONCE) return false
    if (since > FORGOTTEN) this.#lapses = 0
    this.#lastLapse = now
    this.#lapses += 1
    if (!this.#failing) return false
    this.#nextTrial = now + this.#trials.next()
    // What a probe found says more.
    if (this.#state === 'down' || this.#state === 'wedged' || this.#state === 'starting') return false
    return this.#change('failing', `${this.#lapses} failures in a row, the last: ${reason}`, wall)
  }

  /** A probe found this. True when the state has changed. */
  probeFailed({ kind, reason }: Trouble, wall: number): boolean {
    this.#unmet += 1
    this.#mute = kind === 'silent'
    if (this.#state === 'starting' && kind === 'absent') return false
    return this.#change(STATES[kind], reason, wall)
  }

  /** A probe was answered. True when the state has changed. */
  probed(wall: number): boolean {
    // Whatever it did before it went away, it is another one now.
    if (this.#state !== 'up' && this.#state !== 'failing') this.#lapses = 0
    this.#unmet = 0
    this.#mute = false
    if (this.#failing) return this.#change('failing', `${this.#lapses} failures in a row; it answers probes`, wall)
    return this.#change('up', 'it answers', wall)
  }

  /** It did what it is for. True when the state has changed. */
  worked(wall: number): boolean {
    this.#unmet = 0
    this.#lapses = 0
    this.#mute = false
    this.#trials.reset()
    return this.#change('up', 'it answers', wall)
  }

  /** Its process is being started. True when the state has changed. */
  starting(reason: string, wall: number): boolean {
    return this.#change('starting', reason, wall)
  }

  /** Starting it has come to nothing. True when the state has changed. */
  notStarted(reason: string, wall: number): boolean {
    return this.#change('down', reason, wall)
  }

  get #failing(): boolean {
    return this.#lapses >= MOST_FAILURES
  }

  /** The reason is the newest, the time that of the change of state. */
  #change(state: HealthState, reason: string, wall: number): boolean {
    const changed = state !== this.#state
    this.#reason = reason
    if (!changed) return false
    this.#state = state
    this.#since = wall
    return true
  }
}
