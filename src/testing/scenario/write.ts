/**
 * Writes a scenario as text that `parse.ts` reads back to the same: what the recorder stores. Pure.
 */
import { editWords } from './edit-words.ts'
import type { Expectation, Scenario, ScenarioStep, Wanted } from './scenario.ts'
import { quoted } from './words.ts'

/** Ends with a line feed. */
export function scenarioText(scenario: Scenario): string {
  const { title, clock, dns, mta, steps } = scenario
  return [
    `SCENARIO ${title}`,
    ...(clock === null ? [] : [`CLOCK ${clock}`]),
    ...(mta === null ? [] : [`MTA ${mta}`]),
    ...(dns === null ? [] : block('DNS', dns)),
    ...steps.flatMap(stepLines),
    '',
  ].join('\n')
}

function stepLines(step: ScenarioStep): string[] {
  switch (step.kind) {
    case 'connect':
      return [['CONNECT', ...clientWords(step.client)].join(' ')]
    case 'helo':
      return [`HELO ${word(step.name)}`]
    case 'mail':
    case 'rcpt':
      return [[step.kind.toUpperCase(), addressWord(step.address), ...step.args.map(word)].join(' ')]
    case 'header':
      return [`HEADER ${step.name}: ${/^["\s]|\s$|\p{Cc}/u.test(step.value) ? quoted(step.value) : step.value}`]
    case 'body':
      return /^[^\n"\\]*\n$/.test(step.text) ? [`BODY ${quoted(step.text.slice(0, -1))}`] : bodyLines(step.text)
    case 'filler':
      return [`FILLER ${step.bytes} ${step.lines}`]
    case 'macros':
      return [['MACROS', step.stage, ...macroWords(step.values)].join(' ')]
    case 'wait':
      return [`WAIT ${step.milliseconds}ms`]
    case 'expect':
      return [`EXPECT ${expectationText(step.expectation)}`]
    case 'reset':
      return ['RSET']
    default:
      return [step.kind.toUpperCase()]
  }
}

function clientWords(client: Extract<ScenarioStep, { kind: 'connect' }>['client']): string[] {
  const { address, hostname, auth, tls, port, macros = {} } = client
  const keyed = { auth: auth?.user, tls: tls?.version, port, ...macros }
  return [
    ...(address === undefined ? [] : [address]),
    ...(hostname === undefined || address === undefined ? [] : [hostname ?? 'unknown']),
    ...macroWords(keyed),
  ]
}

const macroWords = (values: Readonly<Record<string, string | number | undefined>>): string[] =>
  Object.entries(values).flatMap(([key, value]) => (value === undefined ? [] : [word(`${key}=${value}`)]))

/** A quoted local part may hold what would end the address. */
const addressWord = (address: string): string => (/[<>\s\p{Cc}]/u.test(address) ? quoted(address) : `<${address}>`)

/** BODY ends its line by itself; control characters cannot stand in a block. */
const bodyLines = (text: string): string[] =>
  /[^\P{Cc}\n\t]/u.test(text) || !text.endsWith('\n')
    ? [`BODY ${quoted(text.replace(/\n$/, ''))}`]
    : block('BODY', text)

function block(command: string, text: string): string[] {
  const lines = text.replace(/\n$/, '').split('\n')
  let mark = 'EOF'
  for (let n = 1; lines.includes(mark); n++) mark = `EOF${n}`
  return [`${command} <<${mark}`, ...lines, mark]
}

const word = (text: string): string => (/^[^\s"/<]\S*$/.test(text) ? text : quoted(text))

function expectationText(expected: Expectation): string {
  const no = 'absent' in expected && expected.absent ? 'no ' : ''
  switch (expected.kind) {
    case 'verdict':
      return verdictText(expected)
    case 'header':
      return `${no}header ${expected.name}${expected.value === null ? '' : `: ${wanted(expected.value)}`}`
    case 'body':
      return expected.whole
        ? block(`${no}body`, String(expected.text)).join('\n')
        : `${no}body ${wanted(expected.text)}`
    case 'sender':
      return `sender ${addressWord(expected.address)}`
    case 'recipient':
      return `${no}recipient ${addressWord(expected.address)}`
    case 'unchanged':
      return 'unchanged'
    case 'by':
      return `by ${word(expected.filter)}`
    case 'filter':
      return `filter ${word(expected.filter)} ${verdictText(expected)}`
    case 'edit':
      return ['edit', word(expected.filter), ...editWords(expected.edit)].join(' ')
  }
}

const verdictText = ({ verdict, code, enhanced, text }: Extract<Expectation, { kind: 'verdict' | 'filter' }>): string =>
  [verdict, code, enhanced, text === null ? null : wanted(text)].filter(part => part !== null).join(' ')

const wanted = (value: Wanted): string => (typeof value === 'string' ? quoted(value) : String(value))
