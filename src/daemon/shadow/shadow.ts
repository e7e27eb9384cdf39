/**
 * A second configuration beside the one that serves: every session is played against it when it is over, and what it would have decided
 * otherwise is counted and logged.
 *
 * Its answers reach nobody. It runs in a thread of its own, so that nothing it does can delay mail; what waits for it is bounded, and a session for which there is
 * no room is dropped and counted; of differences of one kind a few a minute are logged. When it fails it stays away until the next reload. What runs in the thread is not known here: the composition root
 * starts it (`cli/shadow.ts`).
 */
import { hostError } from '../../host/errors.ts'
import type { HostEvent } from '../../host/observe/event.ts'
import { JunkFilter } from '../../host/observe/junk.ts'
import type { Logger } from '../../host/observe/logger.ts'
import type { Clock } from '../../host/time/clock.ts'
import { Notes } from '../../testing/recording/notes.ts'
import type { RecordedSession } from '../../testing/recording/recorded.ts'
import { changeWords, type MessageChange } from '../../testing/replay/compare.ts'
import { type FilterCount, ReplayReport } from '../../testing/replay/report.ts'
import type { SessionTap } from '../generation.ts'

/** What the thread says. */
export type ShadowAnswer =
  | { readonly kind: 'ready' }
  | { readonly kind: 'failed'; readonly why: string }
  /** One session was played, in the order in which they came. */
  | { readonly kind: 'played'; readonly messages: number; readonly changes: readonly MessageChange[] }

/** The thread. */
export interface ShadowThread {
  play(session: RecordedSession): void
  end(): void
}

/** Starts a thread for that configuration; `heard` is told what it says, `failed` once when it ends by itself. */
export type StartShadow = (file: string, heard: (answer: ShadowAnswer) => void) => ShadowThread

/** For `milterhost status`. Counts are since the configuration was read. */
export interface ShadowStatus {
  readonly file: string
  readonly state: 'starting' | 'running' | 'stopped'
  readonly reason: string | null
  readonly sessions: number
  readonly messages: number
  /** Messages that it would have decided otherwise, or of which a filter would have said or changed something else. */
  readonly different: number
  /** Sessions that were not played: too many at once, too large, or it had stopped. */
  readonly dropped: number
  readonly filters: readonly FilterCount[]
}

/** Bytes of one session, and of all that are open or wait. */
const SESSION_LIMIT = 16 * 1024 * 1024
const TOTAL_LIMIT = 64 * 1024 * 1024
/** The largest body that it is shown; of a larger one only the length. */
const BODY_LIMIT = 1024 * 1024
const MOST_WAITING = 1_000

export class Shadow {
  readonly #log: Logger
  readonly #clock: Clock
  readonly #start: StartShadow
  readonly #room = { used: 0, limit: TOTAL_LIMIT }
  readonly #waiting: { readonly id: string; readonly notes: Notes }[] = []
  #thread: ShadowThread | null = null
  #file: string | null = null
  #state: ShadowStatus['state'] = 'starting'
  #reason: string | null = null
  #tally = new ReplayReport()
  #seldom: JunkFilter
  #dropped = 0

  constructor(start: StartShadow, around: { readonly clock: Clock; readonly log: Logger }) {
    this.#start = start
    this.#clock = around.clock
    this.#log = around.log
    this.#seldom = new JunkFilter(around.clock)
  }

  get status(): ShadowStatus | null {
    if (this.#file === null) return null
    return {
      file: this.#file,
      state: this.#state,
      reason: this.#reason,
      sessions: this.#tally.sessions,
      messages: this.#tally.messages,
      different: this.#tally.different,
      dropped: this.#dropped,
      filters: this.#tally.counts,
    }
  }

  /** A configuration was read: begins anew with this shadow, or with none. */
  configure(file: string | null): void {
    this.end()
    this.#file = file
    this.#state = 'starting'
    this.#reason = null
    this.#tally = new ReplayReport()
    this.#seldom = new JunkFilter(this.#clock)
    this.#dropped = 0
    if (file === null) return
    const thread = this.#start(file, answer => {
      if (this.#thread === thread) this.#heard(answer)
    })
    this.#thread = thread
  }

  end(): void {
    this.#thread?.end()
    this.#thread = null
    for (const { notes } of this.#waiting.splice(0)) notes.release()
  }

  /** `null`: there is no shadow. */
  begin(id: string): SessionTap | null {
    const thread = this.#thread
    if (thread === null) return null
    if (this.#waiting.length >= MOST_WAITING || this.#room.used >= TOTAL_LIMIT) {
      this.#dropped++
      return null
    }
    const notes = new Notes({ id, clock: this.#clock, bodies: BODY_LIMIT, limit: SESSION_LIMIT, room: this.#room })
    return {
      notes,
      observe: (event: HostEvent): void => {
        notes.observe(event)
        if (event.type === 'session-closed') this.#finished(id, notes, thread)
      },
    }
  }

  #finished(id: string, notes: Notes, thread: ShadowThread): void {
    const session = notes.finish()
    if (session === null || this.#thread !== thread || this.#waiting.length >= MOST_WAITING) {
      if (session !== null || notes.abandoned) this.#dropped++
      notes.release()
      return
    }
    this.#waiting.push({ id, notes })
    thread.play(session)
  }

  #heard(answer: ShadowAnswer): void {
    if (answer.kind === 'ready') {
      this.#state = 'running'
      return
    }
    if (answer.kind === 'failed') {
      this.#dropped += this.#waiting.length
      this.end()
      this.#state = 'stopped'
      this.#reason = answer.why
      const { code, message } = hostError('SHADOW_STOPPED', this.#file!, answer.why)
      this.#log.warn({ code }, message)
      return
    }
    const { id, notes } = this.#waiting.shift()!
    notes.release()
    this.#tally.count(answer.messages, answer.changes)
    for (const change of answer.changes) this.#tell(id, change)
  }

  /** A shadow may differ in every message: of each kind of difference a few are said, and the count is in the status. */
  #tell(session: string, { sender, recipients, outcome, filters }: MessageChange): void {
    const decided = outcome === null ? {} : { was: outcome.from.verdict, would: outcome.to.verdict, by: outcome.to.by }
    const said = filters.map(({ filter, ...change }) => `${filter}: ${changeWords(change)}`)
    const unsaid = this.#seldom.admit(JSON.stringify([decided, said]))
    if (unsaid === null) return
    const fields = { session, from: sender, to: recipients.slice(0, 5), ...decided, filters: said }
    this.#log.info(unsaid === 0 ? fields : { ...fields, unsaid }, 'the shadow differs')
  }
}
