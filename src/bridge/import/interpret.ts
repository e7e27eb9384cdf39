/**
 * Reads the statements of a milter-manager.conf into the model, and notes with its line whatever has no counterpart.
 *
 * `load` is followed through the reader that is passed in; nothing of a file is executed. What milter manager ships itself
 * (`applicable-conditions/*.conf`) is known and not read.
 */
import { emptyImport, type Imported, type ImportedMilter, type Note, newMilter } from './model.ts'
import { type Block, type Statement, statementsOf } from './parser.ts'
import { DATABASE, GLOBAL_SETTINGS, MILTER_SETTINGS } from './settings.ts'
import { patternOf, quotedText, textOf, textsOf } from './values.ts'

export interface SourceFile {
  readonly file: string
  readonly text: string
}

/** The files that a `load` means, seen from the file that says so; may throw when there is none. */
export type LoadFiles = (pattern: string, from: string) => readonly SourceFile[]

type Call = Extract<Statement, { kind: 'call' }>

/** A file may load itself; milter manager would not end. */
const MOST_FILES = 200

export function interpret(source: SourceFile, load: LoadFiles): Imported {
  const reader = new Interpreter(load)
  reader.file(source)
  return reader.model
}

class Interpreter {
  readonly model: Imported = emptyImport()
  readonly #load: LoadFiles
  #files = 0
  #now = ''

  constructor(load: LoadFiles) {
    this.#load = load
  }

  file({ file, text }: SourceFile): void {
    if (++this.#files > MOST_FILES) return
    const before = this.#now
    this.#now = file
    for (const statement of statementsOf(text, file)) this.#top(statement)
    this.#now = before
  }

  #note({ line, text }: Pick<Statement, 'line' | 'text'>, why: string): void {
    this.model.notes.push({ file: this.#now, line, text, why })
  }

  #top(statement: Statement): void {
    if (statement.kind === 'other') {
      this.#note(statement, 'it is code: nothing of it was taken over')
      return
    }
    if (statement.kind === 'call') {
      this.#call(statement)
      return
    }
    const setting = Object.hasOwn(GLOBAL_SETTINGS, statement.target) ? GLOBAL_SETTINGS[statement.target] : undefined
    const why = setting
      ? setting(this.model, statement.value)
      : statement.target.startsWith('database.')
        ? DATABASE
        : 'it is no setting of milter manager that is known'
    if (why !== null) this.#note(statement, why)
  }

  #call(call: Call): void {
    const handler = Object.hasOwn(CALLS, call.target) ? CALLS[call.target] : undefined
    if (handler !== undefined) {
      handler(this, call)
      return
    }
    if (call.target.startsWith('database.')) {
      this.#note(call, DATABASE)
      return
    }
    this.#note(call, 'it is no setting of milter manager that is known')
  }

  /** A `load` that finds nothing is told, unless it may. */
  load(call: Call, mayBeMissing: boolean): void {
    const pattern = textOf(call.values[0])
    if (pattern === null) {
      this.#note(call, 'the name of the file is not a text')
      return
    }
    if (/^applicable-conditions\/|^defaults\//.test(pattern)) return
    try {
      for (const source of this.#load(pattern, this.#now)) this.file(source)
    } catch (error) {
      if ((error as { code?: string }).code?.startsWith('IMPORT_')) throw error
      if (!mayBeMissing) this.#note(call, `the file was not read: ${(error as Error).message}`)
    }
  }

  note(call: Call, why: string): void {
    this.#note(call, why)
  }

  /** Every pattern of a call, or a note. */
  patterns(call: Call): string[] {
    const found: string[] = []
    if (call.block !== null) this.#note(call, 'it is code: write it as a function of the facts')
    for (const value of call.values) {
      const pattern = patternOf(value)
      if (pattern === null) this.#note(call, 'the pattern is none that JavaScript knows')
      else found.push(pattern)
    }
    return found
  }

  defineMilter(call: Call): void {
    const [given] = call.values
    const name = textOf(given)
    if (name === null) {
      this.#note(call, 'the name of the milter is not a text')
      return
    }
    const known = this.model.milters.get(name)
    const milter = known ?? newMilter(name, this.#now, call.line)
    if (known !== undefined)
      this.#note(
        call,
        'milter manager moved a milter that is defined again to the end of the chain and forgot its fallback_status and evaluation_mode: here it stays where it is, with what it had',
      )
    this.model.milters.set(name, milter)
    this.#milterBlock(milter, call.block)
  }

  #milterBlock(milter: ImportedMilter, block: Block | null): void {
    const [parameter = ''] = block?.parameters ?? []
    for (const statement of block?.body ?? []) {
      const target = statement.kind === 'other' ? '' : statement.target
      const key = target.startsWith(`${parameter}.`) ? target.slice(parameter.length + 1) : ''
      if (statement.kind === 'assign' && Object.hasOwn(MILTER_SETTINGS, key)) {
        const why = MILTER_SETTINGS[key]!(milter, statement.value)
        if (why !== null) this.#note(statement, why)
      } else if (statement.kind === 'call' && key === 'add_applicable_condition') {
        const condition = textOf(statement.values[0])
        if (condition === null) this.#note(statement, 'the name of the condition is not a text')
        else if (!milter.conditions.includes(condition)) milter.conditions.push(condition)
      } else if (statement.kind === 'other') this.#note(statement, 'it is code: nothing of it was taken over')
      else this.#note(statement, 'it is no setting of a milter that is known')
    }
  }

  /** `defined_milters.each do |name| define_milter(name) … end` and `remove_milter(name)`. */
  eachMilter(call: Call): void {
    const [parameter] = call.block?.parameters ?? []
    for (const statement of call.block?.body ?? []) {
      const [name] = statement.kind === 'call' ? statement.values : []
      const each = name?.kind === 'name' && name.text === parameter
      if (statement.kind === 'call' && each && statement.target === 'define_milter')
        for (const milter of this.model.milters.values()) this.#milterBlock(milter, statement.block)
      else if (statement.kind === 'call' && each && statement.target === 'remove_milter') this.model.milters.clear()
      else this.#note(statement, 'it is code: nothing of it was taken over')
    }
  }

  defineCondition(call: Call): void {
    const name = textOf(call.values[0])
    if (name === null) {
      this.#note(call, 'the name of the condition is not a text')
      return
    }
    const stoppers = (call.block?.body ?? []).filter(
      statement => !(statement.kind === 'assign' && statement.target.endsWith('.description')),
    )
    // As --show-config prints those that are shipped: a name and a description.
    if (stoppers.length === 0) return
    const note: Note = {
      file: this.#now,
      line: call.line,
      text: call.text,
      why: 'a condition of your own: write it as a function of the facts (docs/conditions.md); until then it holds for all mail',
    }
    this.model.foreign.set(name, note)
    this.model.notes.push(note)
  }

  restrictAccounts(call: Call): void {
    const pairs = call.values.filter(value => value.kind === 'pair')
    const accounts = call.values.filter(value => value.kind !== 'pair')
    const users = accounts.map(patternOf)
    const named = pairs.find(({ key }) => key === 'milters')?.value
    const names = named === undefined ? [...this.model.milters.keys()] : textsOf(named)
    if (users.some(user => user === null) || names === null) {
      this.#note(call, 'its accounts or milters are not texts')
      return
    }
    for (const name of names) {
      const milter = this.model.milters.get(name)
      if (milter === undefined) this.#note(call, `no milter ${name} is defined before it`)
      else milter.users.push(...(users as string[]))
    }
    if (names.length === 0) this.#note(call, 'no milter is defined before it')
  }
}

type Handler = (reader: Interpreter, call: Call) => void

const refuse =
  (why: string): Handler =>
  (reader, call) =>
    reader.note(call, why)

const CODE = 'it is code: write it in TypeScript, in the configuration or in a plugin'

export const CALLS: Readonly<Record<string, Handler>> = {
  load: (reader, call) => reader.load(call, false),
  load_if_exist: (reader, call) => reader.load(call, true),
  load_default: (reader, call) => {
    reader.model.loadsDefault = true
    reader.note(
      call,
      "detected() gives the milters that are enabled here, with the conditions and the onFailure that fit each; milter manager's own was 'accept'",
    )
  },
  define_milter: (reader, call) => reader.defineMilter(call),
  remove_milter: (reader, call) => {
    const name = textOf(call.values[0])
    if (name === null || !reader.model.milters.delete(name)) reader.note(call, 'no such milter is defined before it')
  },
  'defined_milters.each': (reader, call) => reader.eachMilter(call),
  define_applicable_condition: (reader, call) => reader.defineCondition(call),
  remove_applicable_condition: refuse('a condition that nothing names costs nothing'),
  define_policy: refuse('write it as when and users of each entry, or as the central policy'),
  restrict_accounts_by_list: (reader, call) => reader.restrictAccounts(call),
  restrict_accounts_generic: refuse('write it as users: a function of the recipient'),
  's25r.add_whitelist': (reader, call) => void reader.model.s25r.whitelist.push(...reader.patterns(call)),
  's25r.add_blacklist': (reader, call) => void reader.model.s25r.blacklist.push(...reader.patterns(call)),
  'remote_network.add_local_address': (reader, call) => void reader.model.network.local.push(...reader.patterns(call)),
  'remote_network.add_remote_address': (reader, call) =>
    void reader.model.network.remote.push(...reader.patterns(call)),
  'dnsbl.add_service': (reader, call) => {
    const [list, ...expected] = call.values
    const name = textOf(list)
    const codes = expected.map(textsOf)
    if (name === null || codes.some(each => each === null)) {
      reader.note(call, 'its values are not texts')
      return
    }
    reader.model.dnsbl.push({ list: quotedText(name), codes: codes.flatMap(each => each!.map(quotedText)) })
  },
  'trust.add_envelope_from_domain': (reader, call) => void reader.model.trusted.domains.push(...reader.patterns(call)),
  'trust.load_envelope_from_domains': (reader, call) => {
    const file = textOf(call.values[0])
    if (file === null) {
      reader.note(call, 'the name of the file is not a text')
      return
    }
    reader.model.trusted.file = file
  },
  'trust.clear': reader => {
    reader.model.trusted.domains.length = 0
    reader.model.trusted.file = null
  },
  'manager.use_netstat_connection_checker': () => {
    // What it did is the default here: liveness.
  },
  'manager.define_connection_checker': refuse('a source of your own: liveness: { name, open }'),
  'manager.report_memory_statistics': refuse('milterhost status, and the counters of the metrics, say what it uses'),
  'manager.maintained': refuse(CODE),
  'manager.event_loop_created': refuse(CODE),
}
