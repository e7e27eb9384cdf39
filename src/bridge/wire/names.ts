/**
 * Every constant of the milter protocol with its name, and the way from number to name and back, so that a log or an error
 * never prints a bare number. Names are those of the protocol's own headers without the SMFIC_, SMFIR_, SMFIF_, SMFIP_ and
 * SMFIM_ prefixes. Nothing here knows what a constant means; `command.ts`, `reply.ts` and `negotiate.ts` do.
 */

import { quoted, WireError } from './error.ts'

/** MTA to milter. */
export const commandByte = {
  OPTNEG: 0x4f,
  MACRO: 0x44,
  CONNECT: 0x43,
  HELO: 0x48,
  MAIL: 0x4d,
  RCPT: 0x52,
  DATA: 0x54,
  HEADER: 0x4c,
  EOH: 0x4e,
  BODY: 0x42,
  BODYEOB: 0x45,
  ABORT: 0x41,
  QUIT: 0x51,
  QUIT_NC: 0x4b,
  UNKNOWN: 0x55,
} as const

/** Milter to MTA. SETSYMLIST is named but is never a packet of its own: its lists ride in the OPTNEG reply. */
export const replyByte = {
  OPTNEG: 0x4f,
  CONTINUE: 0x63,
  ACCEPT: 0x61,
  REJECT: 0x72,
  TEMPFAIL: 0x74,
  DISCARD: 0x64,
  REPLYCODE: 0x79,
  SKIP: 0x73,
  PROGRESS: 0x70,
  CONN_FAIL: 0x66,
  SHUTDOWN: 0x34,
  ADDRCPT: 0x2b,
  ADDRCPT_PAR: 0x32,
  DELRCPT: 0x2d,
  CHGFROM: 0x65,
  ADDHEADER: 0x68,
  INSHEADER: 0x69,
  CHGHEADER: 0x6d,
  REPLBODY: 0x62,
  QUARANTINE: 0x71,
  SETSYMLIST: 0x6c,
} as const

export const action = {
  ADDHDRS: 0x001,
  CHGBODY: 0x002,
  ADDRCPT: 0x004,
  DELRCPT: 0x008,
  CHGHDRS: 0x010,
  QUARANTINE: 0x020,
  CHGFROM: 0x040,
  ADDRCPT_PAR: 0x080,
  SETSYMLIST: 0x100,
} as const

export const protocol = {
  NOCONNECT: 0x000001,
  NOHELO: 0x000002,
  NOMAIL: 0x000004,
  NORCPT: 0x000008,
  NOBODY: 0x000010,
  NOHDRS: 0x000020,
  NOEOH: 0x000040,
  NR_HDR: 0x000080,
  NOUNKNOWN: 0x000100,
  NODATA: 0x000200,
  SKIP: 0x000400,
  RCPT_REJ: 0x000800,
  NR_CONN: 0x001000,
  NR_HELO: 0x002000,
  NR_MAIL: 0x004000,
  NR_RCPT: 0x008000,
  NR_DATA: 0x010000,
  NR_UNKN: 0x020000,
  NR_EOH: 0x040000,
  NR_BODY: 0x080000,
  HDR_LEADSPC: 0x100000,
  MDS_256K: 0x10000000,
  MDS_1M: 0x20000000,
} as const

/** Numbers of the symbol lists. EOM comes before EOH, against the order of the commands. */
export const macroStage = { CONNECT: 0, HELO: 1, MAIL: 2, RCPT: 3, DATA: 4, EOM: 5, EOH: 6 } as const

/** Made once: every packet that is decoded knows its name. */
const commandNames = withLetters(commandByte)
const replyNames = withLetters(replyByte)
const stageNames = reversed(macroStage)

/** `MAIL 'M'`; a byte that is no command gives `'Z'` or `0x07`. */
export function commandName(byte: number): string {
  return commandNames.get(byte) ?? letterOf(byte)
}

/** `REPLBODY 'b'`; a byte that is no reply gives `'Z'` or `0x07`. */
export function replyName(byte: number): string {
  return replyNames.get(byte) ?? letterOf(byte)
}

/** The name of a packet whose direction is not known. Only OPTNEG has one letter for both, and there the name is one too. */
export function packetName(byte: number): string {
  return commandNames.has(byte) ? commandName(byte) : replyName(byte)
}

/** `EOM`; a number that is no stage gives `stage 99`. */
export function stageName(stage: number): string {
  return stageNames.get(stage) ?? `stage ${stage}`
}

/** `ADDHDRS|CHGBODY|0x800`, or `none`. */
export function actionNames(bits: number): string {
  return bitNames(action, bits)
}

/** `NOBODY|SKIP|0x40000000`, or `none`. */
export function protocolNames(bits: number): string {
  return bitNames(protocol, bits)
}

/** The way back from `actionNames`. */
export function actionBits(text: string): number {
  return bitsOf(action, text)
}

/** The way back from `protocolNames`. */
export function protocolBits(text: string): number {
  return bitsOf(protocol, text)
}

function reversed(table: Readonly<Record<string, number>>): ReadonlyMap<number, string> {
  return new Map(Object.entries(table).map(([name, value]) => [value, name]))
}

function withLetters(table: Readonly<Record<string, number>>): ReadonlyMap<number, string> {
  return new Map(Object.entries(table).map(([name, byte]) => [byte, `${name} ${letterOf(byte)}`]))
}

function letterOf(byte: number): string {
  return byte > 0x20 && byte < 0x7f ? `'${String.fromCharCode(byte)}'` : hex(byte)
}

function bitNames(table: Readonly<Record<string, number>>, bits: number): string {
  const names: string[] = []
  let rest = bits >>> 0
  for (const [name, bit] of Object.entries(table)) {
    if ((rest & bit) === 0) continue
    names.push(name)
    rest = (rest & ~bit) >>> 0
  }
  if (rest !== 0) names.push(hex(rest))
  return names.length === 0 ? 'none' : names.join('|')
}

function bitsOf(table: Readonly<Record<string, number>>, text: string): number {
  if (text === 'none') return 0
  let bits = 0
  for (const name of text.split('|')) {
    const bit = Object.hasOwn(table, name) ? table[name] : /^0x[0-9a-f]{1,8}$/i.test(name) ? Number(name) : undefined
    if (bit === undefined) {
      throw new WireError('WIRE_NAME', { name: quoted(name), text: quoted(text), known: Object.keys(table).join(', ') })
    }
    bits = (bits | bit) >>> 0
  }
  return bits
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(2, '0')}`
}
