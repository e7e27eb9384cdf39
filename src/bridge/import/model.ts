/**
 * What an imported configuration says, in the words of milterhost: made by `interpret.ts`, written out by `write.ts`.
 *
 * Values are pieces of TypeScript where the source was code-like (conditions, patterns), so that writing them is only layout.
 */

/** Something that could not be taken over, or was with a difference. */
export interface Note {
  readonly file: string
  readonly line: number
  /** As written. */
  readonly text: string
  readonly why: string
}

export interface ImportedMilter {
  name: string
  /** Where it was first defined. */
  readonly file: string
  readonly line: number
  address: string | null
  description: string | null
  enabled: boolean
  onFailure: 'accept' | 'tempfail' | 'reject'
  observe: boolean
  /** Seconds. */
  connect: number | null
  reading: number | null
  writing: number | null
  end: number | null
  /** Names of conditions, in order. */
  conditions: string[]
  /** Patterns of `users`, as TypeScript. */
  users: string[]
  command: string[]
  user: string | null
}

export interface Imported {
  listen: string | null
  listenMode: number | null
  listenGroup: string | null
  sessions: number | null
  onClientLeft: string | null
  logLevel: string | null
  controlSocket: string | null
  loadsDefault: boolean
  /** Patterns and options of conditions, as TypeScript. */
  readonly s25r: { whitelist: string[]; blacklist: string[]; ipv6: boolean }
  readonly network: { local: string[]; remote: string[] }
  stressSessions: number | null
  readonly dnsbl: { list: string; codes: string[] }[]
  readonly trusted: { domains: string[]; file: string | null }
  /** Conditions that are code: where each was defined. */
  readonly foreign: Map<string, Note>
  readonly milters: Map<string, ImportedMilter>
  readonly notes: Note[]
}

export const emptyImport = (): Imported => ({
  listen: null,
  listenMode: null,
  listenGroup: null,
  sessions: null,
  onClientLeft: null,
  logLevel: null,
  controlSocket: null,
  loadsDefault: false,
  s25r: { whitelist: [], blacklist: [], ipv6: false },
  network: { local: [], remote: [] },
  stressSessions: null,
  dnsbl: [],
  trusted: { domains: [], file: null },
  foreign: new Map(),
  milters: new Map(),
  notes: [],
})

/** As milter manager defines a milter of which nothing else is said. */
export const newMilter = (name: string, file: string, line: number): ImportedMilter => ({
  name,
  file,
  line,
  address: null,
  description: null,
  enabled: true,
  onFailure: 'accept',
  observe: false,
  connect: null,
  reading: null,
  writing: null,
  end: null,
  conditions: [],
  users: [],
  command: [],
  user: null,
})
