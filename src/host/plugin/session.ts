/**
 * A plugin's part in one SMTP connection: its state, its hooks, and what they answered.
 *
 * Connection state is made before the plugin's first hook, message state afresh for every MAIL. A hook that awaits nothing is
 * answered in the same tick. Whatever a hook throws becomes `FILTER_THREW`, whatever it returns that is no verdict
 * `FILTER_BAD_ANSWER`, both naming plugin and hook; once its signal is aborted its answer is thrown away. The chain calls it,
 * one method at a time.
 */
import { type AuthResult, authResultFault } from '../authentication/result.ts'
import { decodeText } from '../bytes.ts'
import { HostError, hostError } from '../errors.ts'
import type {
  ConnectEvent,
  DataEvent,
  HeloEvent,
  Client as HostClient,
  MailEvent,
  MessageEvent,
  RcptEvent,
  Stage,
} from '../events.ts'
import type {
  AbortReason,
  FilterContext,
  FilterSession,
  HoldOutcome,
  MaybePromise,
  MessageAnswer,
  Outcome,
} from '../filter.ts'
import type { Macros } from '../macros.ts'
import type { Logger } from '../observe/logger.ts'
import type { ResultKey } from '../results.ts'
import { CONTINUE, TEMPFAIL, type Verdict } from '../verdict.ts'
import { EnvelopeAddress } from './address.ts'
import { clientOf, NO_CLIENT } from './client.ts'
import { EditRecorder } from './edits.ts'
import {
  type AskedView,
  BodyView,
  ConnectView,
  ContentView,
  EndView,
  type Envelope,
  EventView,
  HeloView,
  MailView,
  RcptView,
  RecipientsView,
  SettledView,
  type Surroundings,
} from './event.ts'
import type { Client, HookName } from './events.ts'
import { drive, map, type Steps, settled } from './maybe.ts'
import { ShownMessage } from './message.ts'
import { describeThrown } from './thrown.ts'
import { readVerdict } from './verdicts.ts'

/** What a plugin is made of, after the checks of `define.ts`. */
export interface PluginParts {
  readonly name: string
  readonly connection: () => unknown
  readonly message: () => unknown
  /** It may contribute authentication results. */
  readonly authResults: boolean
  readonly hooks: Readonly<Partial<Record<HookName, (event: never) => unknown>>>
  /** Events without which the hooks would miss something. */
  readonly missing: (asked: FilterContext['asked']) => readonly string[]
  /** Keeps account of hooks that have not settled; the result ends the entry. */
  readonly began: (hook: HookName, session: string) => () => void
}

/** Answers nobody waits for: a late one must not read as consent, should anybody look. */
const LATE: MessageAnswer = { verdict: TEMPFAIL, edits: [] }
const NOTHING: MessageAnswer = { verdict: CONTINUE, edits: [] }

interface CurrentMessage {
  readonly envelope: Envelope
  readonly macros: Macros
}

export class PluginSession implements FilterSession {
  /** What views see of a session. A class, since thousands of sessions wait at once and an object of closures each is dear. */
  static readonly #Around = class implements Surroundings {
    readonly #session: PluginSession
    constructor(session: PluginSession) {
      this.#session = session
    }
    get plugin(): string {
      return this.#session.#parts.name
    }
    get sessionId(): string {
      return this.#session.#context.sessionId
    }
    get log(): Logger {
      return this.#session.#context.log
    }
    get client(): Client {
      return this.#session.#client
    }
    get connection(): unknown {
      return this.#session.#connection?.state
    }
    get authentication(): FilterContext['authentication'] {
      return this.#session.#context.authentication
    }
    result<T>(key: ResultKey<T>): T | undefined {
      return this.#session.#context.results.get(key)
    }
    publish<T>(key: ResultKey<T>, value: T): void {
      this.#session.#context.results.publish(key, value)
    }
    get unread(): boolean | null {
      return this.#session.#context.unread
    }
    hold(seconds: number): Promise<HoldOutcome> {
      return this.#session.#context.hold(seconds)
    }
    authResult(hook: HookName, result: AuthResult): void {
      this.#session.#contribute(hook, result)
    }
    late(hook: HookName, call: string): void {
      this.#session.#refused(hook, `${call} came when its ${hook} hook had already answered`)
    }
  }

  readonly #parts: PluginParts
  readonly #context: FilterContext
  readonly #around: Surroundings
  #connection: { readonly state: unknown } | null = null
  #client: Client = NO_CLIENT
  #current: CurrentMessage | null = null
  #running: HookName | null = null
  #signal: AbortSignal | null = null
  #closed = false

  constructor(parts: PluginParts, context: FilterContext) {
    this.#parts = parts
    this.#context = context
    this.#around = new PluginSession.#Around(this)
  }

  connect({ client, macros }: ConnectEvent, signal: AbortSignal): MaybePromise<Verdict> {
    this.#meet(client, macros)
    if (!this.#has('connect')) return CONTINUE
    return this.#ask('connect', signal, () => new ConnectView(this.#around, macros, signal))
  }

  helo({ name, macros }: HeloEvent, signal: AbortSignal): MaybePromise<Verdict> {
    if (!this.#has('helo')) return CONTINUE
    return this.#ask('helo', signal, () => new HeloView(this.#around, macros, signal, decodeText(name)))
  }

  mail({ messageId, sender, macros }: MailEvent, signal: AbortSignal): MaybePromise<Verdict> {
    const missing = this.#parts.missing(this.#context.asked)
    if (missing.length > 0) throw hostError('PLUGIN_UNINFORMED', this.#parts.name, missing.join(', '))
    const envelope: Envelope = {
      id: messageId,
      sender: new EnvelopeAddress(sender.raw),
      state: this.#make('message', 'mail'),
      options: null,
    }
    this.#current = { envelope, macros }
    if (!this.#has('mail')) return CONTINUE
    return this.#ask('mail', signal, () => new MailView(this.#around, macros, signal, envelope, sender.args))
  }

  rcpt({ recipient, refused, macros, options = null }: RcptEvent, signal: AbortSignal): MaybePromise<Verdict> {
    if (refused !== null) return CONTINUE
    if (options !== null && this.#current !== null) {
      this.#current.envelope.options ??= new Map()
      this.#current.envelope.options.set(recipient.raw, options)
    }
    if (!this.#has('rcpt')) return CONTINUE
    const envelope = this.#envelope('rcpt')
    return this.#ask('rcpt', signal, () => new RcptView(this.#around, macros, signal, envelope, recipient, options))
  }

  data({ recipients, macros }: DataEvent, signal: AbortSignal): MaybePromise<Verdict> {
    if (!this.#has('data')) return CONTINUE
    const envelope = this.#envelope('data')
    return this.#ask('data', signal, () => new RecipientsView(this.#around, macros, signal, envelope, recipients))
  }

  message(event: MessageEvent, signal: AbortSignal): MaybePromise<MessageAnswer> {
    if (!this.#has('headers') && !this.#has('body') && !this.#has('end')) return NOTHING
    this.#signal = signal
    return this.#unlessLate(signal, LATE, drive(this.#examine(event, signal)))
  }

  unknown(): Verdict {
    return CONTINUE
  }

  abort(): void {
    // Nothing to do: what runs has been told by its signal, and `settled` closes the message.
  }

  settled(outcome: Outcome): void {
    const current = this.#current
    this.#current = null
    if (current === null || !this.#has('settled')) return
    const view = new SettledView(this.#around, current.macros, current.envelope, outcome)
    const failed = (thrown: unknown): void =>
      view.log.error({ hook: 'settled', error: describeThrown(thrown) }, 'a hook failed that is only told')
    try {
      const answered = (answer: unknown): void => {
        if (answer !== undefined && typeof readVerdict(answer) !== 'string')
          view.log.warn(
            { hook: 'settled' },
            'the hook settled returned a verdict, which has no effect: the message has ended',
          )
      }
      const told = this.#invoke('settled', view)
      if (told instanceof Promise) told.then(answered).catch(failed)
      else answered(told)
    } catch (thrown) {
      failed(thrown)
    }
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    // One that minds its signal, which was aborted this very moment, gets the chance to end.
    if (this.#running !== null) setImmediate(() => this.#complainOfRunning())
    // The chain gives up a filter that was interrupted and cannot tell it how the message ended; its own signal can.
    const reason: unknown = this.#signal?.aborted ? this.#signal.reason : null
    const outcome = reason === null ? null : outcomeOf(reason as AbortReason)
    if (outcome !== null) this.settled(outcome)
    this.#current = null
  }

  #complainOfRunning(): void {
    if (this.#running === null) return
    const fields = { hook: this.#running, session: this.#context.sessionId }
    this.#context.log.warn(fields, 'a hook is still running although nobody waits for it')
  }

  *#examine({ message, macros }: MessageEvent, signal: AbortSignal): Steps<MessageAnswer> {
    const envelope = this.#envelope('message')
    const shown = new ShownMessage(message)
    const over = (verdict: Verdict): boolean => verdict.kind !== 'continue' || signal.aborted
    if (this.#has('headers')) {
      const view = (): ContentView => new ContentView(this.#around, 'headers', macros, signal, envelope, shown)
      const verdict = yield* settled(this.#ask('headers', signal, view))
      if (over(verdict)) return { verdict, edits: [] }
    }
    if (this.#has('body')) {
      const { memory } = message.body
      const verdict = yield* this.#readBody(
        memory ?? message.body.chunks(),
        signal,
        chunk => () => new BodyView(this.#around, macros, signal, envelope, shown, Uint8Array.from(chunk)),
      )
      if (over(verdict)) return { verdict, edits: [] }
    }
    if (!this.#has('end')) return NOTHING
    const late = (call: string): void => this.#around.late('end', call)
    const edit = new EditRecorder(this.#parts.name, shown.headers, late)
    const view = (): EndView => new EndView(this.#around, macros, signal, envelope, shown, edit)
    let verdict: Verdict
    try {
      verdict = yield* settled(this.#ask('end', signal, view))
    } finally {
      edit.close()
    }
    const kept = verdict.kind === 'continue' || verdict.kind === 'accept' || verdict.kind === 'quarantine'
    if (!kept || signal.aborted) return { verdict, edits: [] }
    return { verdict, edits: yield* this.#compile(edit, signal) }
  }

  *#readBody(
    chunks: AsyncIterable<Buffer> | Iterable<Buffer>,
    signal: AbortSignal,
    view: (chunk: Buffer) => () => BodyView,
  ): Steps<Verdict> {
    const pieces = Symbol.asyncIterator in chunks ? chunks[Symbol.asyncIterator]() : chunks[Symbol.iterator]()
    let ended = false
    try {
      for (;;) {
        const next = yield* settled(pieces.next())
        ended = next.done === true
        if (next.done === true || signal.aborted) return CONTINUE
        const answer = yield* settled(this.#ask('body', signal, view(next.value), 'skip'))
        if (answer === 'skip') return CONTINUE
        if (answer.kind !== 'continue') return answer
      }
    } finally {
      if (!ended) yield* settled(Promise.resolve(pieces.return?.()))
    }
  }

  /** Reading the new body runs the plugin's own code: what it throws is the plugin's failure like any other. */
  *#compile(edit: EditRecorder, signal: AbortSignal): Steps<MessageAnswer['edits']> {
    const done = this.#parts.began('end', this.#context.sessionId)
    this.#running = 'end'
    try {
      return yield* edit.compile(() => this.#context.newBody(), signal)
    } catch (thrown) {
      throw this.#threw('end', thrown)
    } finally {
      this.#running = null
      done()
    }
  }

  #contribute(hook: HookName, result: AuthResult): void {
    const fault = this.#parts.authResults
      ? authResultFault(result)
      : 'the definition of the plugin does not say authResults: true'
    if (fault !== null) throw hostError('PLUGIN_ARGUMENT', this.#parts.name, 'authResult', fault)
    const scope = hook === 'connect' || hook === 'helo' ? hook : 'message'
    if (!this.#context.authentication.add(scope, result))
      this.#refused(hook, `an authentication result was dropped, ${result.method}=${result.result}: there are too many`)
  }

  #has(hook: HookName): boolean {
    return this.#parts.hooks[hook] !== undefined
  }

  #meet(client: HostClient, macros: Macros): void {
    this.#client = clientOf(client, macros)
  }

  #envelope(stage: Stage): Envelope {
    if (this.#current === null) throw new Error(`${this.#parts.name}: asked at ${stage} outside a message`)
    return this.#current.envelope
  }

  /** A plugin's fresh state. */
  #make(what: 'connection' | 'message', hook: string): unknown {
    try {
      return this.#parts[what]()
    } catch (thrown) {
      throw this.#threw(`${hook}, in ${what}()`, thrown)
    }
  }

  #ask(hook: HookName, signal: AbortSignal, view: () => AskedView): MaybePromise<Verdict>
  #ask(hook: HookName, signal: AbortSignal, view: () => AskedView, word: 'skip'): MaybePromise<Verdict | 'skip'>
  #ask(hook: HookName, signal: AbortSignal, make: () => AskedView, word?: 'skip'): MaybePromise<Verdict | 'skip'> {
    this.#connection ??= { state: this.#make('connection', hook) }
    this.#signal = signal
    const answer = map(this.#invoke(hook, make()), value =>
      word !== undefined && value === word ? word : this.#read(hook, value),
    )
    return this.#unlessLate<Verdict | 'skip'>(signal, LATE.verdict, answer)
  }

  /** Runs a hook. Its view is closed when it has settled. */
  #invoke(hook: HookName, view: EventView): MaybePromise<unknown> {
    const run = this.#parts.hooks[hook] as (this: unknown, event: EventView) => unknown
    try {
      this.#connection ??= { state: this.#make('connection', hook) }
      const answer = run.call(this.#parts.hooks, view)
      if (!isThenable(answer)) {
        EventView.close(view)
        return answer
      }
      const done = this.#parts.began(hook, this.#context.sessionId)
      this.#running = hook
      const over = (): void => {
        EventView.close(view)
        done()
        if (this.#running === hook) this.#running = null
      }
      return Promise.resolve(answer).then(
        value => {
          over()
          return value
        },
        (thrown: unknown) => {
          over()
          throw this.#threw(hook, thrown)
        },
      )
    } catch (thrown) {
      EventView.close(view)
      throw this.#threw(hook, thrown)
    }
  }

  #read(hook: HookName, answer: unknown): Verdict {
    let verdict: Verdict | string
    try {
      verdict = readVerdict(answer)
    } catch (thrown) {
      verdict = `an object that cannot be read, it ${describeThrown(thrown)}`
    }
    if (typeof verdict === 'string') throw hostError('FILTER_BAD_ANSWER', this.#parts.name, hook, verdict)
    return verdict
  }

  /** What comes after the signal was aborted is dropped, a failure too: the chain has answered without it. */
  #unlessLate<T>(signal: AbortSignal, late: T, answer: MaybePromise<T>): MaybePromise<T> {
    if (!(answer instanceof Promise)) return answer
    return answer.then(
      value => (signal.aborted ? late : value),
      (thrown: unknown) => {
        if (!signal.aborted) throw thrown
        this.#context.log.debug({ error: describeThrown(thrown) }, 'a hook failed after it had been given up')
        return late
      },
    )
  }

  #threw(hook: string, thrown: unknown): Error {
    return codedError(thrown) ?? hostError('FILTER_THREW', this.#parts.name, hook, describeThrown(thrown))
  }

  #refused(hook: HookName, detail: string): void {
    this.#context.refused(STAGE_OF[hook], detail)
  }
}

/** An error of the host that says by itself whose it is: a refused argument, a full spool, a failure already named. */
function codedError(thrown: unknown): HostError | null {
  try {
    return thrown instanceof HostError && thrown.code !== 'REPLY_INVALID' ? thrown : null
  } catch {
    // A proxy whose prototype cannot be asked for: then it is none of ours.
    return null
  }
}

const STAGE_OF: Readonly<Record<HookName, Stage>> = {
  connect: 'connect',
  helo: 'helo',
  mail: 'mail',
  rcpt: 'rcpt',
  data: 'data',
  headers: 'message',
  body: 'message',
  end: 'message',
  settled: 'message',
}

function outcomeOf({ kind }: AbortReason): Outcome | null {
  switch (kind) {
    case 'client-left':
      return 'client-left'
    case 'mta-abort':
      return 'aborted'
    case 'shutdown':
      return 'tempfail'
    case 'timeout':
      // What becomes of the message is the chain's to decide, by `onFailure`.
      return null
  }
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
