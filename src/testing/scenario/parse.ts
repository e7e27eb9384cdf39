/**
 * Reads a scenario file: one command a line, `#` begins a comment line, `<<WORD` a block that ends at the line `WORD`.
 *
 * Pure and strict: an unknown command, a missing value or an expectation of nothing is a `SCENARIO_INVALID` with file and line, so
 * that a scenario which tests nothing by mistake cannot pass. The format is described in `docs/testing.md`.
 */
import { parseDuration } from '../../host/config/duration.ts'
import { suggestion } from '../../host/config/problem.ts'
import { MACRO_STAGES, type MacroStage } from '../../host/macros.ts'
import type { TestClient } from '../conversation.ts'
import { parseExpectation } from './expectation.ts'
import { badScenario } from './problem.ts'
import type { Scenario, ScenarioStep } from './scenario.ts'
import { type Word, wordsOf } from './words.ts'

/** Scenarios of one file's text, in order. A file without `SCENARIO` is one, named by its file. */
export function parseScenarios(text: string, file = 'scenario'): Scenario[] {
  const reader = new Reader(text, file)
  const scenarios: Draft[] = []
  for (let line = reader.next(); line !== null; line = reader.next()) {
    if (line.command === 'SCENARIO') {
      if (line.rest === '') throw line.bad('SCENARIO needs a title')
      scenarios.push(new Draft(line.rest, file, line.line))
      continue
    }
    if (scenarios.length === 0) scenarios.push(new Draft(file.replace(/^.*[/\\]/, ''), file, line.line))
    scenarios.at(-1)!.take(line, reader)
  }
  return scenarios.map(draft => draft.finish())
}

class Line {
  readonly command: string
  /** What follows the command, trimmed. */
  readonly rest: string
  readonly text: string
  readonly line: number
  readonly file: string

  constructor(text: string, file: string, line: number) {
    this.text = text
    this.file = file
    this.line = line
    const [, command = '', rest = ''] = /^\s*(\S+)\s*(.*?)\s*$/s.exec(text) ?? []
    this.command = command
    this.rest = rest
  }

  bad(what: string): Error {
    return badScenario(this, what)
  }

  words(): Word[] {
    return wordsOf(this.text, this).slice(1)
  }
}

class Reader {
  readonly #lines: readonly string[]
  readonly #file: string
  #at = 0

  constructor(text: string, file: string) {
    this.#lines = text.replace(/^\uFEFF/, '').split(/\r?\n/)
    this.#file = file
  }

  /** The next line that says something. */
  next(): Line | null {
    while (this.#at < this.#lines.length) {
      const text = this.#lines[this.#at++]!
      if (text.trim() !== '' && !/^\s*#/.test(text)) return new Line(text, this.#file, this.#at)
    }
    return null
  }

  /** The block that a line begins with `<<WORD`, its lines each with LF; `null` when it begins none. */
  block(line: Line): string | null {
    const [, before, mark] = /^(.*?)<<(\w+)$/.exec(line.rest) ?? []
    if (mark === undefined || /\S$/.test(before!)) return null
    const end = this.#lines.indexOf(mark, this.#at)
    if (end < 0) throw line.bad(`the block <<${mark} has no line ${mark} that ends it`)
    const lines = this.#lines.slice(this.#at, end)
    this.#at = end + 1
    return lines.map(one => `${one}\n`).join('')
  }
}

const COMMANDS = [
  'SCENARIO CLOCK DNS MTA CONNECT HELO MAIL RCPT DATA HEADER BODY FILLER MESSAGE END RSET QUIT',
  'MACROS',
  'DISCONNECT WAIT TIMEOUT EXPECT',
].flatMap(names => names.split(' '))

/** Commands that stand alone. */
const BARE: Readonly<Record<string, 'data' | 'end' | 'reset' | 'quit' | 'disconnect' | 'timeout'>> = {
  DATA: 'data',
  END: 'end',
  RSET: 'reset',
  QUIT: 'quit',
  DISCONNECT: 'disconnect',
  TIMEOUT: 'timeout',
}

/** What an answer can be expected to. */
const ANSWERED: ReadonlySet<ScenarioStep['kind']> = new Set([
  'connect',
  'helo',
  'mail',
  'rcpt',
  'data',
  'end',
  'reset',
  'disconnect',
  'expect',
  'timeout',
  'wait',
])

const CONTENT: ReadonlySet<ScenarioStep['kind']> = new Set(['header', 'body', 'filler'])
/** What may follow a piece of a message. */
const WITHIN: ReadonlySet<ScenarioStep['kind']> = new Set([...CONTENT, 'macros', 'end', 'disconnect'])

class Draft {
  readonly #title: string
  readonly #file: string
  readonly #line: number
  readonly #steps: ScenarioStep[] = []
  #clock: string | null = null
  #dns: string | null = null
  #mta: Scenario['mta'] = null

  constructor(title: string, file: string, line: number) {
    this.#title = title
    this.#file = file
    this.#line = line
  }

  finish(): Scenario {
    const where = { file: this.#file, line: this.#line }
    if (!this.#steps.some(({ kind }) => kind !== 'expect')) throw badScenario(where, `${this.#title} does nothing`)
    const last = this.#steps.at(-1)!
    if (CONTENT.has(last.kind)) throw badScenario({ file: this.#file, line: last.line }, 'the message has no END')
    return {
      title: this.#title,
      ...where,
      clock: this.#clock,
      dns: this.#dns,
      mta: this.#mta,
      steps: this.#steps,
    }
  }

  take(line: Line, reader: Reader): void {
    const { command, rest } = line
    const kind = BARE[command]
    if (kind !== undefined) {
      if (rest !== '') throw line.bad(`${command} stands alone`)
      this.#add(line, { line: line.line, kind })
      return
    }
    switch (command) {
      case 'CLOCK':
        this.#clock = this.#setting(line, rest)
        if (Number.isNaN(new Date(rest).getTime())) throw line.bad(`${rest} is no time such as 2026-01-01T00:00:00Z`)
        return
      case 'DNS':
        this.#dns = this.#setting(line, reader.block(line) ?? '')
        return
      case 'MTA':
        if (rest !== 'postfix' && rest !== 'sendmail') throw line.bad('MTA is postfix or sendmail')
        this.#setting(line, rest)
        this.#mta = rest
        return
      case 'EXPECT':
        this.#expect(line, reader)
        return
      default:
        for (const step of stepsOf(line, reader)) this.#add(line, step)
    }
  }

  #setting(line: Line, value: string): string {
    if (value === '') throw line.bad(`${line.command} needs a value`)
    if (this.#steps.length > 0) throw line.bad(`${line.command} stands before the first step`)
    return value
  }

  #expect(line: Line, reader: Reader): void {
    const before = this.#steps.at(-1)
    if (before === undefined || !ANSWERED.has(before.kind)) {
      throw line.bad(
        before !== undefined && CONTENT.has(before.kind)
          ? 'EXPECT comes before the message ended; put END before it'
          : 'EXPECT follows a step that is answered',
      )
    }
    const expectation = parseExpectation(line.words(), reader.block(line), what => line.bad(what))
    this.#steps.push({ line: line.line, kind: 'expect', expectation })
  }

  #add(line: Line, step: ScenarioStep): void {
    const before = this.#steps.findLast(({ kind }) => kind !== 'macros')?.kind ?? 'macros'
    if (CONTENT.has(before) && !WITHIN.has(step.kind))
      throw line.bad(`${line.command} comes before the message ended; put END before it`)
    if ((before === 'body' || before === 'filler') && step.kind === 'header') throw line.bad('HEADER comes after BODY')
    this.#steps.push(step)
  }
}

/** The steps of one line; a whole message is several. */
function stepsOf(line: Line, reader: Reader): ScenarioStep[] {
  const { command, rest, line: number } = line
  switch (command) {
    case 'CONNECT':
      return [{ line: number, kind: 'connect', client: clientOf(line) }]
    case 'HELO':
      if (rest === '') throw line.bad('HELO needs a name')
      return [{ line: number, kind: 'helo', name: line.words()[0]!.text }]
    case 'MAIL':
    case 'RCPT': {
      const [address, ...args] = line.words()
      if (address?.form !== 'address' && address?.form !== 'quoted')
        throw line.bad(`${command} needs an address in angle brackets`)
      const kind = command === 'MAIL' ? 'mail' : 'rcpt'
      return [{ line: number, kind, address: address.text, args: args.map(({ text }) => text) }]
    }
    case 'HEADER':
      return [{ line: number, kind: 'header', ...fieldOf(line, rest) }]
    case 'BODY':
      return [{ line: number, kind: 'body', text: reader.block(line) ?? `${textOf(line, rest)}\n` }]
    case 'FILLER': {
      const [, bytes, lines] = /^(\d{1,15})\s+(\d{1,15})$/.exec(rest) ?? []
      if (bytes === undefined) throw line.bad('FILLER needs the bytes and the lines of a body: FILLER 5120 64')
      return [{ line: number, kind: 'filler', bytes: Number(bytes), lines: Number(lines) }]
    }
    case 'MACROS':
      return [{ line: number, kind: 'macros', ...macrosOf(line) }]
    case 'MESSAGE': {
      const text = reader.block(line)
      if (text === null) throw line.bad('MESSAGE needs a block: MESSAGE <<EOF')
      return messageSteps(line, text)
    }
    case 'WAIT':
      try {
        return [{ line: number, kind: 'wait', milliseconds: parseDuration(/^\d+$/.test(rest) ? Number(rest) : rest) }]
      } catch (error) {
        throw line.bad(`WAIT ${(error as Error).message}`)
      }
    default: {
      throw line.bad(`${command} is no command${suggestion(command, COMMANDS)}`)
    }
  }
}

/** As in a file: fields, folds, an empty line, the body. */
function messageSteps(line: Line, text: string): ScenarioStep[] {
  const at = text.startsWith('\n') ? 0 : text.indexOf('\n\n') + 1
  const head = at === 0 && !text.startsWith('\n') ? text : text.slice(0, at)
  const body = text.slice(head.length + 1)
  const fields = head.split(/\n(?![ \t])/).filter(field => field.trim() !== '')
  return [
    ...fields.map(field => ({ line: line.line, kind: 'header' as const, ...fieldOf(line, field) })),
    ...(body === '' ? [] : [{ line: line.line, kind: 'body' as const, text: body }]),
    { line: line.line, kind: 'end' },
  ]
}

function fieldOf(line: Line, text: string): { name: string; value: string } {
  const [, name, value = ''] = /^([\x21-\x39\x3b-\x7e]+)[ \t]*:[ \t]*(.*)$/s.exec(text) ?? []
  if (name === undefined) throw line.bad(`a header field is NAME: VALUE, not ${JSON.stringify(text.slice(0, 60))}`)
  return { name, value: textOf(line, value) }
}

/** The rest of a line: all of it as it is, or what one pair of quotes holds. */
function textOf(line: Line, rest: string): string {
  const [word, ...more] = rest.startsWith('"') ? wordsOf(rest, line) : []
  return word?.form === 'quoted' && more.length === 0 ? word.text : rest
}

/** `CONNECT [ADDRESS [NAME]] [key=value…]`; a name `unknown` could not be verified. */
function clientOf(line: Line): TestClient {
  const plain: string[] = []
  const keyed: Record<string, string> = {}
  for (const { text } of line.words()) {
    const [, key, value] = /^\{?(\w+)\}?=(.*)$/s.exec(text) ?? []
    if (key === undefined) plain.push(text)
    else keyed[key] = value!
  }
  const { auth, tls, port, ...macros } = keyed
  const [address, hostname, ...more] = plain
  if (more.length > 0) throw line.bad(`CONNECT takes an address and a name; ${more[0]} is too much`)
  return {
    ...(address === undefined ? {} : { address }),
    ...(hostname === undefined ? {} : { hostname: hostname === 'unknown' ? null : hostname }),
    ...(auth === undefined ? {} : { auth: { user: auth } }),
    ...(tls === undefined ? {} : { tls: { version: tls } }),
    ...(port === undefined ? {} : { port: portOf(line, port) }),
    ...(Object.keys(macros).length === 0 ? {} : { macros }),
  }
}

/** `MACROS stage name=value…`, names with or without braces. */
function macrosOf(line: Line): { stage: MacroStage; values: Record<string, string> } {
  const [stage, ...words] = line.words()
  const known = MACRO_STAGES.find(each => each === stage?.text)
  if (known === undefined) throw line.bad(`MACROS needs a stage: ${MACRO_STAGES.join(', ')}`)
  const values: Record<string, string> = {}
  for (const { text } of words) {
    const [, name, value] = /^\{?([^{}=]+)\}?=(.*)$/s.exec(text) ?? []
    if (name === undefined) throw line.bad(`${text} is not NAME=VALUE`)
    values[name] = value!
  }
  return { stage: known, values }
}

function portOf(line: Line, value: string): number {
  const port = Number(value)
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw line.bad(`${value} is no port`)
  return port
}
