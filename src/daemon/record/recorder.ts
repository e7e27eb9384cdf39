/**
 * Records sessions of live mail: chooses them, takes notes, and writes them when they are over.
 *
 * Mail never waits for it and never fails for it. What is finished waits in a bounded queue and is written one after the other; a session for
 * which there is no room is dropped and counted. A disk that fails or is full is told once, tried again after a while, and told again when
 * it works. One for the daemon; each session is recorded as the configuration says that it began with.
 */
import type { RecordSettings } from '../../host/config/settings.ts'
import { hostError } from '../../host/errors.ts'
import type { HostEvent } from '../../host/observe/event.ts'
import type { Logger } from '../../host/observe/logger.ts'
import type { Clock } from '../../host/time/clock.ts'
import { Notes } from '../../testing/recording/notes.ts'
import { Pseudonyms } from '../../testing/recording/pseudonyms.ts'
import type { RecordedSession } from '../../testing/recording/recorded.ts'
import { redacted } from '../../testing/recording/redact.ts'
import { toScenario } from '../../testing/recording/scenario-form.ts'
import { scenarioText } from '../../testing/scenario/write.ts'
import type { SessionTap } from '../generation.ts'
import { RecordDirectory } from './directory.ts'

export interface RecorderOptions {
  readonly clock: Clock
  readonly log: Logger
  /** 0 to 1, for the choice of sessions. @default Math.random */
  readonly random?: () => number
  /** Where recordings lie unless the configuration says so. */
  readonly place: string
}

/** How recording goes, for `milterhost status`. Counts since the start. */
export interface RecordingStatus {
  readonly directory: string
  readonly state: 'recording' | 'full' | 'failing'
  /** Why it is not recording now. */
  readonly reason: string | null
  readonly sessions: number
  /** Not recorded: too many at once, too large, or no room for them. */
  readonly dropped: number
  /** Of the folder, as far as is known. */
  readonly bytes: number
}

interface Waiting {
  /** Those that the session began with: what was to be redacted stays so, whatever is read before its end. */
  readonly settings: RecordSettings
  readonly session: RecordedSession
  readonly notes: Notes
}

interface Trouble {
  readonly state: 'full' | 'failing'
  readonly reason: string
  /** Not tried again before; monotonic milliseconds. */
  pausedUntil: number
}

/** Bytes of one session, and of all that wait to be written or are open. */
const SESSION_LIMIT = 16 * 1024 * 1024
const TOTAL_LIMIT = 64 * 1024 * 1024
/** The largest body that is kept whole. */
const BODY_LIMIT = 1024 * 1024
/** Milliseconds until what failed is tried again. */
const PAUSE = 30_000
/** Milliseconds between two looks at the disk. */
const LOOK = 5_000

export class Recorder {
  readonly #options: RecorderOptions
  #settings: RecordSettings | null = null
  #directory: RecordDirectory | null = null
  #pseudonyms: Pseudonyms | null = null
  readonly #queue: Waiting[] = []
  readonly #room = { used: 0, limit: TOTAL_LIMIT }
  #writing: Promise<void> | null = null
  /** Folders that did not take what they were given last. After a reload sessions still end that belong into the one before. */
  readonly #troubles = new Map<string, Trouble>()
  #sessions = 0
  #dropped = 0
  #looked = Number.NEGATIVE_INFINITY

  constructor(options: RecorderOptions) {
    this.#options = options
  }

  /** From now on; `null` records nothing more, and what is open is still written. What has failed is tried again at once. */
  configure(settings: RecordSettings | null): void {
    this.#settings = settings
    for (const trouble of this.#troubles.values()) trouble.pausedUntil = Number.NEGATIVE_INFINITY
  }

  get status(): RecordingStatus | null {
    if (this.#settings === null) return null
    const directory = this.#path(this.#settings)
    const trouble = this.#troubles.get(directory)
    return {
      directory,
      state: trouble?.state ?? 'recording',
      reason: trouble?.reason ?? null,
      sessions: this.#sessions,
      dropped: this.#dropped,
      bytes: this.#directory?.path === directory ? this.#directory.bytes : 0,
    }
  }

  /** `null`: this session is not recorded. */
  begin(id: string): SessionTap | null {
    const settings = this.#settings
    const { clock, random = Math.random } = this.#options
    if (settings === null || random() >= settings.sample) return null
    if (this.#room.used >= TOTAL_LIMIT || this.#pauses(this.#path(settings))) {
      this.#dropped++
      return null
    }
    const bodies = settings.redact.content ? 0 : BODY_LIMIT
    const notes = new Notes({ id, clock, bodies, limit: SESSION_LIMIT, room: this.#room })
    return {
      notes,
      observe: (event: HostEvent): void => {
        notes.observe(event)
        if (event.type === 'session-closed') this.#finished(notes, settings)
      },
    }
  }

  /** Resolves when everything that waits is written or given up. */
  async flush(): Promise<void> {
    while (this.#writing !== null) await this.#writing
  }

  #finished(notes: Notes, settings: RecordSettings): void {
    const session = notes.finish()
    if (session === null) {
      if (notes.abandoned) this.#dropped++
      return
    }
    this.#queue.push({ session, notes, settings })
    this.#writing ??= new Promise(resolve => setImmediate(resolve))
      .then(() => this.#write())
      .finally(() => {
        this.#writing = null
      })
  }

  async #write(): Promise<void> {
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      const { session, settings } = next
      try {
        if (await this.#ready(settings)) {
          await this.#store(session, settings)
          this.#sessions++
          this.#works(settings)
        } else this.#dropped++
      } catch (error) {
        this.#dropped++
        this.#directory = null
        this.#stopped(settings, 'failing', (error as Error).message)
      } finally {
        next.notes.release()
      }
    }
  }

  /** False, and the reason is told, while there is no room. */
  async #ready(settings: RecordSettings): Promise<boolean> {
    const now = this.#options.clock.monotonic()
    const path = this.#path(settings)
    if (this.#pauses(path)) return false
    if (this.#directory?.path !== path) {
      this.#directory = await RecordDirectory.open(path)
      this.#pseudonyms = new Pseudonyms(this.#directory.key)
      this.#looked = Number.NEGATIVE_INFINITY
    }
    if (!this.#troubles.has(path) && now < this.#looked + LOOK && this.#directory.bytes < settings.maxBytes) return true
    const full = await this.#directory.full(settings)
    this.#looked = now
    if (full !== null) this.#stopped(settings, 'full', full)
    return full === null
  }

  async #store(session: RecordedSession, { redact }: RecordSettings): Promise<void> {
    const scenario = toScenario(redacted(session, redact, this.#pseudonyms!))
    const addresses = redact.addresses ? 'pseudonyms' : 'as they were'
    const content = redact.content ? 'left out' : 'kept'
    const text = `# recorded by milterhost; addresses: ${addresses}; content: ${content}\n${scenarioText(scenario)}# end\n`
    await this.#directory!.write(session.began, session.id, text)
  }

  #path({ directory }: RecordSettings): string {
    return directory ?? this.#options.place
  }

  #pauses(path: string): boolean {
    return this.#options.clock.monotonic() < (this.#troubles.get(path)?.pausedUntil ?? Number.NEGATIVE_INFINITY)
  }

  #works(settings: RecordSettings): void {
    if (this.#troubles.delete(this.#path(settings))) this.#options.log.info({}, 'sessions are recorded again')
  }

  #stopped(settings: RecordSettings, state: Trouble['state'], reason: string): void {
    const { clock, log } = this.#options
    const path = this.#path(settings)
    const was = this.#troubles.get(path)
    this.#troubles.set(path, { state, reason, pausedUntil: clock.monotonic() + PAUSE })
    if (was?.state === state) return
    const { code, message } = hostError('RECORD_STOPPED', path, reason)
    log.warn({ code }, message)
  }
}
