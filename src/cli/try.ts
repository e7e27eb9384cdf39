/**
 * `milterhost try MESSAGE`: plays a message through the configured chain, or through any milter at a socket, and shows what
 * each filter said and what became of the message. No MTA takes part and nothing is delivered.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { Command, Option } from 'commander'
import { socket } from '../bridge/milter/index.ts'
import { type Configuration, validateConfig } from '../host/config/validate.ts'
import { hostError } from '../host/errors.ts'
import type { Dns } from '../host/plugin/services.ts'
import { zoneDns } from '../testing/dns.ts'
import { ConfigurationSource } from './configuration.ts'
import { complain, EXIT, EXIT_HELP, type ExitCode, print, printBytes, printJson } from './console.ts'
import { type Played, play } from './conversation.ts'
import { type EnvelopeOptions, envelopeOf, withEnvelope } from './envelope-options.ts'
import { surroundings } from './environment.ts'
import { type MessageFile, messageBytes, parseMessage } from './message-file.ts'
import { messageDiff, transcriptJson, transcriptText } from './transcript.ts'

interface TryOptions extends EnvelopeOptions {
  readonly config?: string
  readonly socket?: string
  readonly protocol?: 2 | 3 | 4 | 6
  readonly dns?: string
  readonly diff?: true
  readonly raw?: true
  readonly output?: string
  readonly json?: true
}

export const tryCommand = (done: (code: ExitCode) => void): Command =>
  withEnvelope(
    new Command('try')
      .description('play a message through the filters, without an MTA, and show what they do')
      .argument('<message>', 'message file, or - for standard input')
      .option('-c, --config <file>', 'configuration file, or the folder it lies in')
      .addOption(new Option('-s, --socket <address>', 'talk to the one milter at this address').conflicts('config'))
      .addOption(
        new Option('--protocol <version>', 'milter protocol version to offer with --socket')
          .choices(['2', '3', '4', '6'])
          .argParser(version => Number(version)),
      ),
  )
    .option('--dns <zone>', 'answer look-ups from this zone file instead of the network')
    .option('--diff', 'show what changed as a unified diff (the default)')
    .addOption(
      new Option('--raw', 'print the resulting message, and the conversation on standard error').conflicts([
        'diff',
        'json',
      ]),
    )
    .option('-o, --output <file>', 'write the resulting message to a file')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Examples:
  milterhost try message.eml
  milterhost try message.eml --client 192.0.2.1,mx.example.org --from a@example.org --to b@example.com
  milterhost try message.eml --socket unix:/run/opendkim/opendkim.sock --protocol 6
  milterhost try message.eml --dns answers.zone --client 192.0.2.1
  milterhost try - --raw < message.eml > filtered.eml
${EXIT_HELP}`,
    )
    .action(async (file: string, options: TryOptions) => done(await tryMessage(file, options)))

async function tryMessage(file: string, options: TryOptions): Promise<ExitCode> {
  const message = parseMessage(readMessage(file))
  const configuration = await chainOf(options)
  const envelope = envelopeOf(options, message)
  const around = surroundings(configuration.settings)
  const services = options.dns === undefined ? around.services : { ...around.services, dns: zoneOf(options.dns) }
  const played = await play(configuration, envelope, message, { ...around, services })
  show(played, message, options)
  if (options.output !== undefined && played.result !== null) {
    writeFileSync(options.output, messageBytes(played.result, message.newline))
  }
  const { outcome } = played.settled ?? { outcome: 'reject' }
  return outcome === 'reject' || outcome === 'tempfail' || outcome === 'aborted' ? EXIT.failed : EXIT.ok
}

function show(played: Played, message: MessageFile, { json, raw, output }: TryOptions): void {
  if (json) {
    printJson(transcriptJson(played, message))
    return
  }
  const say = raw ? complain : print
  say(transcriptText(played))
  const { result, settled } = played
  if (raw) {
    if (result !== null) printBytes(messageBytes(result, message.newline))
    return
  }
  if (result === null) return
  const recipients = settled?.result?.recipients.map(({ raw: path }) => path) ?? []
  const sender = settled?.result?.sender.raw
  if (sender !== settled?.sender) print(`Sender: ${sender}`)
  if (recipients.join() !== settled?.recipients.join()) print(`Recipients: ${recipients.join(', ') || 'none'}`)
  const diff = messageDiff(message, result)
  print(diff === '' ? 'The message is unchanged.' : `\n${diff}`)
  if (output !== undefined) print(`The resulting message is in ${output}.`)
}

export function readMessage(file: string): Buffer {
  try {
    return readFileSync(file === '-' ? 0 : file)
  } catch (error) {
    throw hostError('MESSAGE_UNREADABLE', file, (error as Error).message)
  }
}

export function zoneOf(file: string): Dns {
  try {
    return zoneDns(readFileSync(file, 'utf8'))
  } catch (error) {
    throw hostError('ZONE_UNREADABLE', file, (error as Error).message)
  }
}

async function chainOf({ config, socket: address, protocol }: TryOptions): Promise<Configuration> {
  if (address === undefined) return (await new ConfigurationSource(config).load()).configuration
  const entry = socket('milter', address, protocol === undefined ? {} : { version: protocol })
  return validateConfig({ filters: [entry] }, '--socket')
}
