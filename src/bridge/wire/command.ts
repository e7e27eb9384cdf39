/**
 * Every packet an MTA sends to a milter, as a value, and the way to bytes and back. Pure: no order of commands is known
 * here, and nothing is normalised, so that encoding what was decoded gives the same bytes (a path with or without `<>`, an
 * address with Sendmail's `IPv6:` prefix). The MTA side decodes with it, the milter side encodes.
 */

import type { ByteString } from '../../host/bytes.ts'
import { type DecodeOptions, PayloadReader, TOLERANT } from './decode.ts'
import { PacketWriter } from './encode.ts'
import { WireError } from './error.ts'
import { type Macro, readMacros, writeMacros } from './macros.ts'
import { commandByte, commandName } from './names.ts'
import { type Negotiation, readOffer, writeNegotiation } from './negotiate.ts'

export interface NegotiateCommand extends Negotiation {
  readonly kind: 'negotiate'
}

export interface MacrosCommand {
  readonly kind: 'macros'
  /** The command byte they belong to; a peer may name one that never comes, or none there is. */
  readonly for: number
  readonly macros: readonly Macro[]
}

export type ConnectFamily = 'inet' | 'inet6' | 'unix' | 'unknown'

export interface ConnectCommand {
  readonly kind: 'connect'
  readonly host: ByteString
  readonly family: ConnectFamily
  /** 0 for UNIX sockets and for mail that Postfix did not receive by SMTP. Family `unknown` has none on the wire. */
  readonly port: number
  /** Empty for family `unknown`, which has none on the wire. */
  readonly address: ByteString
}

export interface PathCommand {
  readonly kind: 'mail' | 'rcpt'
  /** As the client typed it. Postfix's local submissions have no `<>`, and an empty string as the null sender. */
  readonly path: ByteString
  readonly parameters: readonly ByteString[]
}

export type Command =
  | NegotiateCommand
  | MacrosCommand
  | ConnectCommand
  | { readonly kind: 'helo'; readonly name: ByteString }
  | PathCommand
  | { readonly kind: 'data' | 'eoh' | 'abort' | 'quit' | 'quit-nc' }
  | { readonly kind: 'header'; readonly name: ByteString; readonly value: ByteString }
  /** Decoded, `chunk` is a view of the payload: copy it to keep it. At `eom` both MTAs send it empty. */
  | { readonly kind: 'body' | 'eom'; readonly chunk: Buffer }
  | { readonly kind: 'unknown'; readonly line: ByteString }

export type CommandKind = Command['kind']

const letters = {
  negotiate: commandByte.OPTNEG,
  macros: commandByte.MACRO,
  connect: commandByte.CONNECT,
  helo: commandByte.HELO,
  mail: commandByte.MAIL,
  rcpt: commandByte.RCPT,
  data: commandByte.DATA,
  header: commandByte.HEADER,
  eoh: commandByte.EOH,
  body: commandByte.BODY,
  eom: commandByte.BODYEOB,
  abort: commandByte.ABORT,
  quit: commandByte.QUIT,
  'quit-nc': commandByte.QUIT_NC,
  unknown: commandByte.UNKNOWN,
} as const satisfies Record<CommandKind, number>

const kinds: ReadonlyMap<number, CommandKind> = new Map(
  (Object.keys(letters) as CommandKind[]).map(kind => [letters[kind], kind]),
)

const families: Readonly<Record<ConnectFamily, number>> = { inet: 0x34, inet6: 0x36, unix: 0x4c, unknown: 0x55 }

export function commandLetter(kind: CommandKind): number {
  return letters[kind]
}

/** `undefined` for a byte that is no command. */
export function commandKind(letter: number): CommandKind | undefined {
  return kinds.get(letter)
}

/** Throws WireError: unknown letter, a missing or cut field. Tolerated deviations go to `options.report`. */
export function decodeCommand(letter: number, payload: Buffer, options: DecodeOptions = TOLERANT): Command {
  const packet = commandName(letter)
  const kind = kinds.get(letter)
  if (kind === undefined) throw new WireError('WIRE_UNKNOWN_COMMAND', { packet })
  const reader = new PayloadReader(packet, payload, options)
  const command = read(kind, reader)
  reader.end()
  return command
}

export function encodeCommand(command: Command): Buffer {
  return writeCommand(new PacketWriter(), command).take()
}

/** Adds one packet to the writer. Throws WireError, and adds nothing, if a field cannot be sent. */
export function writeCommand(writer: PacketWriter, command: Command): PacketWriter {
  writer.begin(letters[command.kind])
  switch (command.kind) {
    case 'negotiate':
      writeNegotiation(writer, command)
      break
    case 'macros':
      writeMacros(writer.byte(command.for), command.macros)
      break
    case 'connect':
      writer.text(command.host, 'host name').byte(families[command.family])
      if (command.family !== 'unknown') writer.u16(command.port, 'port').text(command.address, 'address')
      break
    case 'helo':
      writer.text(command.name, 'HELO name')
      break
    case 'mail':
    case 'rcpt':
      writer.text(command.path, 'path')
      for (const parameter of command.parameters) writer.text(parameter, 'parameter')
      break
    case 'header':
      writer.text(command.name, 'header name').text(command.value, 'header value')
      break
    case 'body':
    case 'eom':
      writer.raw(command.chunk)
      break
    case 'unknown':
      writer.text(command.line, 'command line')
      break
  }
  return writer.end()
}

function read(kind: CommandKind, reader: PayloadReader): Command {
  switch (kind) {
    case 'negotiate':
      return { kind, ...readOffer(reader) }
    case 'macros':
      return { kind, for: reader.byte('command letter'), macros: readMacros(reader) }
    case 'connect':
      return readConnect(reader)
    case 'helo':
      return { kind, name: reader.text('HELO name') }
    case 'mail':
    case 'rcpt':
      return { kind, path: reader.text('path'), parameters: readParameters(reader) }
    case 'header':
      return { kind, name: reader.text('header name'), value: reader.text('header value') }
    case 'body':
    case 'eom':
      return { kind, chunk: reader.raw() }
    case 'unknown':
      return { kind, line: reader.text('command line') }
    default:
      return { kind }
  }
}

function readConnect(reader: PayloadReader): ConnectCommand {
  const host = reader.text('host name')
  const letter = reader.byte('address family')
  const family = (Object.keys(families) as ConnectFamily[]).find(name => families[name] === letter)
  if (family === undefined) {
    const shown = `0x${letter.toString(16).padStart(2, '0')}`
    throw new WireError('WIRE_FAMILY', { packet: reader.packet, family: shown })
  }
  if (family === 'unknown') return { kind: 'connect', host, family, port: 0, address: '' }
  return { kind: 'connect', host, family, port: reader.u16('port'), address: reader.text('address') }
}

function readParameters(reader: PayloadReader): ByteString[] {
  const parameters: ByteString[] = []
  while (reader.left > 0) parameters.push(reader.text('parameter'))
  return parameters
}
