/**
 * `milterhost explain`: which filters would take part in a message, for which recipients, and why. No filter is made or contacted; look-ups that
 * conditions name are asked.
 */
import { Command, InvalidArgumentError } from 'commander'
import { encodeText } from '../host/bytes.ts'
import { ConfigurationSource } from './configuration.ts'
import { EXIT, EXIT_HELP, type ExitCode, print, printJson } from './console.ts'
import { type EnvelopeOptions, envelopeOf, withEnvelope } from './envelope-options.ts'
import { surroundings } from './environment.ts'
import { explain, explanationJson, explanationText } from './explanation.ts'
import { type MessageFile, parseMessage } from './message-file.ts'
import type { Assumed } from './stand-ins.ts'
import { withSwitches } from './switched.ts'
import { readMessage } from './try.ts'

interface ExplainOptions extends EnvelopeOptions {
  readonly config?: string
  readonly tls?: string
  readonly header?: readonly (readonly [string, string])[]
  readonly macro?: readonly (readonly [string, string])[]
  readonly says?: readonly (readonly [string, string])[]
  readonly result?: readonly (readonly [string, string])[]
  readonly json?: true
}

export const explainCommand = (done: (code: ExitCode) => void): Command =>
  withEnvelope(
    new Command('explain')
      .description('say which filters take part in a message, for which recipients, and why; no filter is contacted')
      .argument('[message]', 'message file, or - for standard input')
      .option('-c, --config <file>', 'configuration file, or the folder it lies in'),
  )
    .option('--tls <version>', 'the client uses TLS, e.g. TLSv1.3')
    .option('--header <field>', 'a header field, "Name: value", repeatable', pairs(':'))
    .option('--macro <name=value>', 'a macro of the MTA, repeatable', pairs('='))
    .option(
      '--says <filter=verdict>',
      'assume that a filter says reject, tempfail, discard or quarantine, repeatable',
      pairs('=', checkVerdict),
    )
    .option('--result <key=json>', 'assume that a filter published this result, repeatable', pairs('=', checkJson))
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Examples:
  milterhost explain --client 192.0.2.1,mx.example.org --from a@example.org --to b@example.com
  milterhost explain --auth ann --from ann@example.org --to b@example.com --to c@example.com message.eml
  milterhost explain --client 192.0.2.1 --to b@example.com --result 'spf={"result":"pass"}' --json
${EXIT_HELP}`,
    )
    .action(async (file: string | undefined, options: ExplainOptions) => done(await explainMessage(file, options)))

async function explainMessage(file: string | undefined, options: ExplainOptions): Promise<ExitCode> {
  const loaded = await new ConfigurationSource(options.config).load()
  const configuration = withSwitches(loaded.configuration)
  const message = messageOf(file, options)
  const envelope = {
    ...envelopeOf(options, message),
    tls: options.tls ?? null,
    macros: new Map((options.macro ?? []).map(([macro, value]) => [macro, encodeText(value)])),
  }
  const explanation = await explain(
    configuration,
    envelope,
    message,
    surroundings(configuration.settings),
    assumedOf(options),
  )
  if (options.json) printJson(explanationJson(loaded.file, explanation))
  else print(explanationText(explanation))
  return EXIT.ok
}

function messageOf(file: string | undefined, { header = [] }: ExplainOptions): MessageFile {
  const { headers, ...message } = parseMessage(file === undefined ? Buffer.from('\r\n') : readMessage(file))
  const more = header.map(([name, value]) => ({ name, value: encodeText(` ${value.trim()}`) }))
  return { ...message, headers: [...headers, ...more] }
}

const assumedOf = ({ says = [], result = [] }: ExplainOptions): Assumed => ({
  verdicts: new Map(says) as Assumed['verdicts'],
  results: new Map(result.map(([key, json]) => [key, JSON.parse(json) as unknown])),
})

const VERDICTS = ['reject', 'tempfail', 'discard', 'quarantine']

function checkVerdict(verdict: string): void {
  if (!VERDICTS.includes(verdict)) throw new InvalidArgumentError(`the verdict is one of ${VERDICTS.join(', ')}.`)
}

function checkJson(text: string): void {
  try {
    JSON.parse(text)
  } catch (error) {
    throw new InvalidArgumentError(`the value is JSON: ${(error as Error).message}.`)
  }
}

/** Splits at the first of the character, and gathers. */
function pairs(separator: string, check: (value: string) => void = () => {}) {
  return (
    text: string,
    before: readonly (readonly [string, string])[] = [],
  ): readonly (readonly [string, string])[] => {
    const at = text.indexOf(separator)
    if (at < 1) throw new InvalidArgumentError(`it is a name, "${separator}" and a value.`)
    check(text.slice(at + 1))
    return [...before, [text.slice(0, at).trim(), text.slice(at + 1)]]
  }
}
