/**
 * A plugin as a filter of the chain: what it needs of the MTA, told by the hooks it has, and a session for each connection.
 *
 * It holds nothing of any message. It keeps account of hooks that have not settled, which is how a plugin that never
 * answers is found out.
 */
import type { Filter, FilterContext, FilterReport, FilterSession, Interest, Needs } from '../filter.ts'
import type { EditKind, HeaderRules } from '../message/edit.ts'
import type { Logger } from '../observe/logger.ts'
import { Entry, Roster } from '../roster.ts'
import type { Clock } from '../time/clock.ts'
import { HOOK_NAMES, type HookName } from './events.ts'
import type { PluginHost } from './host.ts'
import { type PluginParts, PluginSession } from './session.ts'

export interface PluginFilterOptions {
  readonly name: string
  /** Plugin and version, for people. */
  readonly describe: string
  readonly hooks: PluginParts['hooks']
  readonly connection: () => unknown
  readonly message: () => unknown
  /** It may call `event.authResult`. */
  readonly authResults: boolean
  readonly host: PluginHost
  readonly clock: Clock
  readonly log: Logger
}

/** A hook that began and has not settled. */
export interface UnsettledHook {
  readonly hook: HookName
  readonly session: string
  /** Milliseconds since it began. */
  readonly since: number
}

/** What `end` may send: all that `Edits` can make. `quarantine` is a verdict that becomes an edit at the MTA. */
const END_EDITS: readonly EditKind[] = [
  'insertHeader',
  'changeHeader',
  'removeHeader',
  'replaceBody',
  'addRecipient',
  'removeRecipient',
  'changeSender',
]

/** Missing one of these a plugin would pass over mail it was meant to see; the others come with every SMTP dialogue. */
const MUST_BE_TOLD: readonly Interest[] = ['mail', 'rcpt', 'header', 'body']

export class PluginFilter implements Filter {
  readonly name: string
  readonly kind = 'plugin'
  /** Removed fields still count until the edits are done: occurrences are those of the message as shown. */
  readonly headerRules: HeaderRules = 'sendmail'
  readonly #options: PluginFilterOptions
  readonly #needs: Needs
  readonly #parts: PluginParts
  readonly #unsettled = new Roster<{ readonly hook: HookName; readonly session: string; readonly began: number }>()

  constructor(options: PluginFilterOptions) {
    this.name = options.name
    this.#options = options
    const present = HOOK_NAMES.filter(hook => options.hooks[hook] !== undefined)
    this.#needs = { ...needsOf(new Set(present)), authResults: options.authResults }
    const musts = MUST_BE_TOLD.filter(event => this.#needs.events.has(event))
    this.#parts = {
      name: options.name,
      connection: options.connection,
      message: options.message,
      hooks: options.hooks,
      authResults: options.authResults,
      missing: asked => musts.filter(event => !asked.has(event)),
      began: (hook, session) => this.#began(hook, session),
    }
  }

  needs(): Needs {
    return this.#needs
  }

  open(context: FilterContext): FilterSession {
    return new PluginSession(this.#parts, context)
  }

  async probe(signal: AbortSignal): Promise<FilterReport> {
    const healthy = await this.#options.host.probe(signal)
    const facts = new Map([['plugin', this.#options.describe]])
    if (healthy.length > 0) facts.set('health', healthy.map(name => `${name} ok`).join(', '))
    return {
      events: HOOK_NAMES.filter(hook => this.#options.hooks[hook] !== undefined),
      mayEdit: [...this.#needs.edits],
      facts,
    }
  }

  /** Hooks that began and have not settled, the oldest first. */
  unsettled(): readonly UnsettledHook[] {
    const now = this.#options.clock.monotonic()
    return [...this.#unsettled].map(({ hook, session, began }) => ({ hook, session, since: now - began }))
  }

  async close(): Promise<void> {
    const unsettled = this.unsettled()
    if (unsettled.length > 0)
      this.#options.log.warn(
        { hooks: unsettled.slice(0, 20), count: unsettled.length },
        'hooks of this plugin never settled',
      )
    await this.#options.host.close()
  }

  #began(hook: HookName, session: string): () => void {
    const entry = new Entry({ hook, session, began: this.#options.clock.monotonic() })
    this.#unsettled.enter(entry)
    return () => this.#unsettled.leave(entry)
  }
}

function needsOf(hooks: ReadonlySet<HookName>): Needs {
  const any = (...names: HookName[]): boolean => names.some(name => hooks.has(name))
  const events = new Set<Interest>()
  if (hooks.size > 0) events.add('connect')
  // Every event of a message has its sender and its state, which begin at MAIL.
  if (any('mail', 'rcpt', 'data', 'headers', 'body', 'end', 'settled')) events.add('mail')
  if (any('helo')) events.add('helo')
  // The recipients of the later events are those that were told.
  if (any('rcpt', 'data', 'headers', 'body', 'end')) events.add('rcpt')
  if (any('data')) events.add('data')
  if (any('headers', 'body', 'end')) events.add('header').add('eoh')
  if (any('body', 'end')) events.add('body')
  const answers = new Set((['connect', 'helo', 'mail', 'rcpt', 'data'] as const).filter(name => hooks.has(name)))
  const edits = new Set<EditKind>(hooks.has('end') ? END_EDITS : [])
  if (any('mail', 'rcpt', 'data', 'headers', 'body', 'end')) edits.add('quarantine')
  return { events, answers, edits, refusedRecipients: false, macros: new Map() }
}
