/**
 * The envelope as `try` and `explain` are told it on the command line: the same options, with the same defaults, for both.
 *
 * What is not given is taken from the message, else from names that are reserved for examples. Mistakes are commander's: exit code 2.
 */
import { isIPv4, isIPv6 } from 'node:net'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { encodeText } from '../host/bytes.ts'
import type { Client } from '../host/events.ts'
import type { Envelope } from './conversation.ts'
import { addressIn, type MessageFile } from './message-file.ts'

export interface EnvelopeOptions {
  readonly client: Client
  readonly helo?: string
  readonly from?: string
  readonly to?: readonly string[]
  readonly auth?: string
}

const LOCAL: Client = { family: 'inet', address: '127.0.0.1', port: 40_000, hostname: 'localhost' }

export const withEnvelope = (command: Command): Command =>
  command
    .addOption(
      new Option('--client <address[,name]>', 'the SMTP client')
        .argParser(clientOf)
        .default(LOCAL, '127.0.0.1,localhost'),
    )
    .option('--helo <name>', "what the client says in EHLO (default: the client's name)")
    .option('--from <address>', 'envelope sender, <> for none (default: the first address in From)')
    .option(
      '--to <address>',
      'envelope recipient, repeatable (default: the first address in To)',
      (value: string, before: readonly string[] = []): string[] => [...before, value],
    )
    .option('--auth <user>', 'the client has authenticated as this user')

export function envelopeOf({ client, helo, from, to, auth }: EnvelopeOptions, message: MessageFile): Envelope {
  const name = client.hostname
  return {
    client,
    helo: helo ?? (name.startsWith('[') ? 'localhost' : name),
    from: from ?? addressIn(message, 'from') ?? 'sender@example.org',
    to: to ?? [addressIn(message, 'to') ?? 'recipient@example.org'],
    auth: auth ?? null,
  }
}

/** `192.0.2.1`, `192.0.2.1,mx.example.org`, `2001:db8::1`. */
function clientOf(text: string): Client {
  const [address = '', ...rest] = text.split(',')
  const bare = address.replace(/^IPv6:/i, '')
  const family = isIPv4(bare) ? 'inet' : isIPv6(bare) ? 'inet6' : null
  if (family === null) throw new InvalidArgumentError('it is an IP address and, after a comma, a name.')
  const hostname = rest.join(',') || `[${bare}]`
  return { family, address: bare, port: 40_000, hostname: encodeText(hostname) }
}
