/**
 * The recorded sessions of a folder, one after the other, in the order of their files, which is that of the mail.
 *
 * A file that is cut off or damaged is named and left out; the others are read.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { hostError } from '../host/errors.ts'
import type { RecordedSession } from '../testing/recording/recorded.ts'
import { fromScenario } from '../testing/recording/scenario-form.ts'
import { parseScenarios } from '../testing/scenario/parse.ts'

export interface Unreadable {
  readonly file: string
  readonly why: string
}

export class Recordings {
  readonly #folder: string
  /** Relative to the folder. */
  readonly #files: readonly string[]
  readonly #fileOf = new WeakMap<RecordedSession, string>()
  readonly #unreadable = new Map<string, string>()

  /** Throws REPLAY_UNREADABLE when the folder cannot be read, and REPLAY_EMPTY when nothing is in it. */
  constructor(folder: string) {
    this.#folder = folder
    try {
      this.#files = readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter(entry => entry.isFile() && entry.name.endsWith('.scenario'))
        .map(({ parentPath, name }) => join(parentPath, name).slice(join(folder, '/').length))
        .sort()
    } catch (error) {
      throw hostError('REPLAY_UNREADABLE', folder, (error as Error).message)
    }
    if (this.#files.length === 0) throw hostError('REPLAY_EMPTY', folder, 'there is no file *.scenario in it')
  }

  get count(): number {
    return this.#files.length
  }

  /** Those met so far. */
  get unreadable(): Unreadable[] {
    return [...this.#unreadable].map(([file, why]) => ({ file, why }))
  }

  /** Where a session was read from. */
  fileOf(session: RecordedSession): string {
    return this.#fileOf.get(session)!
  }

  *sessions(): Generator<RecordedSession> {
    for (const file of this.#files) {
      const session = this.#read(file)
      if (session !== null) yield session
    }
  }

  #read(file: string): RecordedSession | null {
    try {
      const text = readFileSync(join(this.#folder, file), 'utf8')
      if (!text.endsWith('\n# end\n')) throw new Error('it is cut off, or no recording: its last line is not # end')
      const [scenario, ...more] = parseScenarios(text, file)
      if (scenario === undefined || more.length > 0) throw new Error('it does not hold one session')
      const session = fromScenario(scenario)
      this.#fileOf.set(session, file)
      return session
    } catch (error) {
      this.#unreadable.set(file, (error as Error).message)
      return null
    }
  }
}
