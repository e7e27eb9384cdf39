/**
 * What an event does not have, told in words: `event.edit` in the hook `mail` is no `TypeError` about `undefined`.
 *
 * The types do not have these members, and JavaScript does not look at types. Called once, by the module of the events, for the
 * prototype that all events share; events that have the member override it.
 */
import type { HookName } from './events.ts'

/** The hooks whose events have it. */
const MEMBERS: Readonly<Record<string, readonly HookName[]>> = {
  spokeEarly: ['connect'],
  sender: ['mail', 'rcpt', 'data', 'headers', 'body', 'end', 'settled'],
  recipient: ['rcpt'],
  recipients: ['data', 'headers', 'body', 'end'],
  headers: ['headers', 'body', 'end'],
  header: ['headers', 'body', 'end'],
  headerAll: ['headers', 'body', 'end'],
  chunk: ['body'],
  edit: ['end'],
  size: ['end'],
  body: ['end'],
  raw: ['end'],
}

/** `hookOf` says which hook an event is for. */
export function explainAbsent(prototype: object, hookOf: (event: unknown) => HookName): void {
  for (const [member, hooks] of Object.entries(MEMBERS))
    Object.defineProperty(prototype, member, {
      get() {
        throw new Error(`event.${member} is not there in the hook ${hookOf(this)}, only in ${hooks.join(', ')}`)
      },
      configurable: true,
    })
}
