/**
 * A recorded session as a scenario, and back.
 *
 * What was answered stands behind each command as expectations, so that `milterhost test` can play a recording like any scenario; of an answer that
 * is a plain "go on" nothing is said, besides at the end of a message. The time between two commands is a WAIT behind the first. Pure.
 */
import { byteString, bytesOf, decodeText, encodeText } from '../../host/bytes.ts'
import type { Client } from '../../host/events.ts'
import type { MacroStage } from '../../host/macros.ts'
import type { SmtpReply, Verdict } from '../../host/verdict.ts'
import { fillerText } from '../scenario/filler.ts'
import { badScenario } from '../scenario/problem.ts'
import type { Expectation, Scenario, ScenarioStep } from '../scenario/scenario.ts'
import type { FilterAnswer, RecordedBody, RecordedCommand, RecordedSession, RecordedTurn } from './recorded.ts'

type Step = ScenarioStep extends infer S ? (S extends { line: number } ? Omit<S, 'line'> : never) : never
type ReplyExpectation = Pick<Extract<Expectation, { kind: 'verdict' }>, 'code' | 'enhanced' | 'text'>

/** Everything that is not UTF-8 becomes one character a byte. */
export function toScenario({ id, began, mta, turns }: RecordedSession): Scenario {
  const steps: Step[] = []
  for (const [at, turn] of turns.entries()) {
    const next = turns[at + 1]
    steps.push(...commandSteps(turn))
    if (next !== undefined && next.at > turn.at) steps.push({ kind: 'wait', milliseconds: next.at - turn.at })
    const unheard = next?.command.kind === 'disconnect' && turn.answer === null
    for (const expectation of expectations(turn, unheard)) steps.push({ kind: 'expect', expectation })
  }
  return {
    title: id,
    file: '',
    line: 0,
    clock: new Date(began).toISOString(),
    dns: null,
    mta,
    steps: steps.map(step => ({ line: 0, ...step }) as ScenarioStep),
  }
}

function commandSteps({ macros, command }: RecordedTurn): Step[] {
  const told = [...macros].map(
    ([stage, values]): Step => ({
      kind: 'macros',
      stage,
      values: Object.fromEntries([...values].map(([name, value]) => [name, decodeText(value)])),
    }),
  )
  switch (command.kind) {
    case 'connect':
      return [...told, { kind: 'connect', client: clientWords(command.client) }]
    case 'helo':
      return [...told, { kind: 'helo', name: decodeText(command.name) }]
    case 'mail':
    case 'rcpt': {
      const { raw, args } = command.path
      const address = decodeText(raw.replace(/^<(.*)>$/s, '$1'))
      return [...told, { kind: command.kind, address, args: args.map(decodeText) }]
    }
    case 'message':
      return [
        ...command.fields.map(
          ({ name, value }): Step => ({ kind: 'header', name, value: decodeText(value.replace(/^ /, '')) }),
        ),
        ...bodySteps(command.body),
        ...told,
        { kind: 'end' },
      ]
    default:
      return [...told, { kind: command.kind }]
  }
}

function bodySteps({ bytes, lines, content }: RecordedBody): Step[] {
  if (bytes === 0) return []
  if (content === null) return [{ kind: 'filler', bytes, lines }]
  return [{ kind: 'body', text: decodeText(byteString(content)).replaceAll('\r\n', '\n') }]
}

const clientWords = ({
  family,
  address,
  port,
  hostname,
}: Client): Extract<ScenarioStep, { kind: 'connect' }>['client'] => ({
  address: family === 'unknown' ? 'unknown' : decodeText(address),
  hostname: hostname === `[${address}]` || hostname === '' ? null : decodeText(hostname),
  port,
})

function* expectations({ command, answer, filters }: RecordedTurn, unheard: boolean): Generator<Expectation> {
  if (unheard) {
    if (command.kind === 'message') yield { kind: 'verdict', verdict: 'client-left', ...NO_REPLY }
  } else if (answer !== null && (command.kind === 'message' || !goesOn(answer))) {
    const { kind } = answer
    yield { kind: 'verdict', verdict: kind === 'continue' ? 'accept' : kind, ...replyWords(answer) }
  }
  for (const { filter, verdict, edits } of filters) {
    yield { kind: 'filter', filter, verdict: verdict?.kind ?? 'failed', ...replyWords(verdict) }
    for (const edit of edits) yield { kind: 'edit', filter, edit }
  }
}

const NO_REPLY: ReplyExpectation = { code: null, enhanced: null, text: null }

function replyWords(verdict: Verdict | null): ReplyExpectation {
  if (verdict?.kind === 'quarantine') return { ...NO_REPLY, text: decodeText(verdict.reason) }
  const reply = verdict !== null && 'reply' in verdict ? verdict.reply : null
  if (reply === null) return NO_REPLY
  return { code: reply.code, enhanced: reply.enhanced, text: reply.lines.map(decodeText).join('\n') }
}

const goesOn = ({ kind }: Verdict): boolean => kind === 'continue' || kind === 'accept'

/** Throws a SCENARIO_INVALID for one that was not recorded: it leaves something out that no MTA leaves out. */
export function fromScenario(scenario: Scenario): RecordedSession {
  if (scenario.clock === null) throw badScenario(scenario, 'it is no recording: there is no CLOCK')
  if (scenario.steps[0]?.kind !== 'connect' && scenario.steps[0]?.kind !== 'macros')
    throw badScenario(scenario, 'it is no recording: it does not begin with CONNECT')
  const reader = new Reader(scenario)
  for (const step of scenario.steps) reader.take(step)
  return {
    id: scenario.title,
    began: new Date(scenario.clock).getTime(),
    mta: scenario.mta,
    turns: reader.turns,
  }
}

type Building = { -readonly [K in keyof RecordedTurn]: RecordedTurn[K] } & { filters: FilterAnswer[] }

type CommandStep = Exclude<ScenarioStep, { kind: 'macros' | 'wait' | 'header' | 'body' | 'filler' | 'expect' }>

class Reader {
  readonly turns: Building[] = []
  readonly #scenario: Scenario
  #at = 0
  #macros = new Map<MacroStage, Map<string, string>>()
  #fields: { name: string; value: string }[] = []
  #body: RecordedBody = EMPTY

  constructor(scenario: Scenario) {
    this.#scenario = scenario
  }

  take(step: ScenarioStep): void {
    switch (step.kind) {
      case 'macros':
        this.#macros.set(step.stage, new Map(Object.entries(step.values).map(([k, v]) => [k, encodeText(v)])))
        break
      case 'wait':
        this.#at += step.milliseconds
        break
      case 'header':
        this.#fields.push({ name: step.name, value: ` ${encodeText(step.value)}` })
        break
      case 'body':
      case 'filler':
        this.#body = joined(this.#body, step)
        break
      case 'expect':
        this.#expected(step)
        break
      default:
        this.#turn(this.#commandOf(step))
    }
  }

  #commandOf(step: CommandStep): RecordedCommand {
    switch (step.kind) {
      case 'end': {
        const command = { kind: 'message' as const, fields: this.#fields, body: this.#body }
        this.#fields = []
        this.#body = EMPTY
        return command
      }
      case 'connect':
        return { kind: 'connect', client: clientOf(step.client) }
      case 'helo':
        return { kind: 'helo', name: encodeText(step.name) }
      case 'mail':
      case 'rcpt': {
        const path = { raw: `<${encodeText(step.address)}>`, args: step.args.map(encodeText) }
        return { kind: step.kind, path }
      }
      case 'timeout':
        throw this.#bad(step.line, 'it is no recording: it has TIMEOUT')
      default:
        return { kind: step.kind }
    }
  }

  #turn(command: RecordedCommand): void {
    const answer: Verdict | null = command.kind === 'message' || !ANSWERED.has(command.kind) ? null : GOES_ON
    this.turns.push({ at: this.#at, macros: this.#macros, command, answer, filters: [] })
    this.#macros = new Map()
  }

  #expected({ line, expectation }: Extract<ScenarioStep, { kind: 'expect' }>): void {
    const turn = this.turns.at(-1)
    if (turn === undefined) throw this.#bad(line, 'it is no recording: EXPECT comes before the first command')
    if (expectation.kind === 'verdict') turn.answer = verdictOf(expectation)
    else if (expectation.kind === 'filter')
      turn.filters.push({ filter: expectation.filter, verdict: verdictOf(expectation), edits: [] })
    else if (expectation.kind === 'edit') {
      const last = turn.filters.at(-1)
      if (last?.filter !== expectation.filter)
        throw this.#bad(line, `it is no recording: EXPECT edit does not follow what ${expectation.filter} answered`)
      turn.filters[turn.filters.length - 1] = { ...last, edits: [...last.edits, expectation.edit] }
    } else throw this.#bad(line, `it is no recording: it has EXPECT ${expectation.kind}`)
  }

  #bad(line: number, what: string): Error {
    return badScenario({ file: this.#scenario.file, line }, what)
  }
}

const EMPTY: RecordedBody = { bytes: 0, lines: 0, content: Buffer.alloc(0) }
const GOES_ON: Verdict = { kind: 'continue' }
const ANSWERED: ReadonlySet<RecordedCommand['kind']> = new Set(['connect', 'helo', 'mail', 'rcpt', 'data'])

/** `null`: it failed, or there was nobody to tell. */
function verdictOf(expected: Extract<Expectation, { kind: 'verdict' | 'filter' }>): Verdict | null {
  const { verdict, code, enhanced, text } = expected
  const words = typeof text === 'string' ? encodeText(text) : ''
  const reply: SmtpReply | null = code === null ? null : { code, enhanced, lines: words.split('\n') }
  switch (verdict) {
    case 'reject':
    case 'tempfail':
      return { kind: verdict, reply }
    case 'quarantine':
      return { kind: verdict, reason: words }
    case 'accept':
      return { kind: expected.kind === 'filter' ? 'accept' : 'continue' }
    case 'continue':
    case 'discard':
      return { kind: verdict }
    default:
      return null
  }
}

function joined(before: RecordedBody, step: Extract<ScenarioStep, { kind: 'body' | 'filler' }>): RecordedBody {
  if (step.kind === 'filler')
    return { bytes: before.bytes + step.bytes, lines: before.lines + step.lines, content: null }
  const more = bytesOf(encodeText(step.text.replace(/(?<!\r)\n/g, '\r\n')))
  const content = before.content === null ? null : Buffer.concat([before.content, more])
  return { bytes: before.bytes + more.length, lines: before.lines + step.text.split('\n').length - 1, content }
}

/** A body that was left out, as bytes: as many of them, in as many lines. */
export const contentOf = ({ bytes, lines, content }: RecordedBody): Uint8Array =>
  content ?? bytesOf(fillerText({ bytes, lines }).replaceAll('\n', '\r\n'))

function clientOf({ address = '', hostname, port = 0 }: Extract<ScenarioStep, { kind: 'connect' }>['client']): Client {
  if (address === 'unknown') return { family: 'unknown', address: '', port, hostname: hostname ?? '' }
  const family = address.startsWith('/') ? 'unix' : address.includes(':') ? 'inet6' : 'inet'
  const bytes = encodeText(address)
  return { family, address: bytes, port, hostname: encodeText(hostname ?? `[${address}]`) }
}
