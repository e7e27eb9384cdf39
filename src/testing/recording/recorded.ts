/**
 * A session as it went: what the MTA said and when, what it was answered, and what each filter answered.
 *
 * Bytes are as they came. The recorder makes one from live mail, replay and shadow mode make another from the same commands, and the two are
 * compared; `scenario-form.ts` writes it as a scenario and reads it back.
 */
import type { ByteString } from '../../host/bytes.ts'
import type { Client, Path } from '../../host/events.ts'
import type { MacroStage } from '../../host/macros.ts'
import type { Verdict } from '../../host/verdict.ts'
import type { ScenarioEdit } from '../scenario/scenario.ts'

export interface RecordedSession {
  /** Unique on its host. */
  readonly id: string
  /** Wall clock, milliseconds since 1970. */
  readonly began: number
  /** `null`: not recognised. */
  readonly mta: 'postfix' | 'sendmail' | null
  readonly turns: readonly RecordedTurn[]
}

/** One command and what came of it. */
export interface RecordedTurn {
  /** Milliseconds since the session began. */
  readonly at: number
  /** What the MTA told since the command before, by stage. */
  readonly macros: ReadonlyMap<MacroStage, ReadonlyMap<string, ByteString>>
  readonly command: RecordedCommand
  /** As the client was told; `null`: nothing, or there was nobody to tell. A message in the hold queue is a `quarantine`. */
  readonly answer: Verdict | null
  /** Of the filters that were asked, in order; each once. */
  readonly filters: readonly FilterAnswer[]
}

export type RecordedCommand =
  | { readonly kind: 'connect'; readonly client: Client }
  | { readonly kind: 'helo'; readonly name: ByteString }
  | { readonly kind: 'mail' | 'rcpt'; readonly path: Path }
  | { readonly kind: 'data' | 'reset' | 'quit' | 'disconnect' }
  | { readonly kind: 'message'; readonly fields: readonly RecordedField[]; readonly body: RecordedBody }

export interface RecordedField {
  readonly name: ByteString
  /** All that follows the colon. */
  readonly value: ByteString
}

export interface RecordedBody {
  readonly bytes: number
  readonly lines: number
  /** `null`: left out. */
  readonly content: Uint8Array | null
}

export interface FilterAnswer {
  readonly filter: string
  /** `null`: it failed. */
  readonly verdict: Verdict | null
  readonly edits: readonly ScenarioEdit[]
}
