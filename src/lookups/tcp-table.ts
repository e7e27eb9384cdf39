/**
 * Client of `tcp:` tables (tcp_table(5) of Postfix 3.7): a line `get key`, a line back.
 */
import type { Source } from '../host/policy/lookup.ts'
import { Exchange, type Unframe } from './exchange.ts'
import { serverAddress } from './server-address.ts'

const LONGEST_ANSWER = 4_096

/** `where`: `host:port`. */
export function tcpTableSource(where: string, connections: number): Source {
  const exchange = new Exchange({ address: serverAddress(`inet:${where}`), connections, unframe })
  const ask = async (key: string, signal: AbortSignal): Promise<string | null> =>
    answerOf((await exchange.ask(Buffer.from(`get ${encode(key)}\n`, 'latin1'), signal)).toString('latin1'))
  return {
    get: ask,
    probe: async signal => void (await ask('postmaster', signal)),
    close: () => exchange.close(),
  }
}

const unframe: Unframe = received => {
  const end = received.indexOf(0x0a)
  if (end >= LONGEST_ANSWER || (end < 0 && received.length >= LONGEST_ANSWER)) {
    throw new Error(`its answer is longer than ${LONGEST_ANSWER} bytes`)
  }
  return end < 0 ? null : { answer: received.subarray(0, end), length: end + 1 }
}

function answerOf(line: string): string | null {
  const [, status, text = ''] = /^(\d{3})[ \t]+(.*?)\r?$/.exec(line) ?? []
  if (status === '200') return decode(text)
  if (status === '500') return null
  throw new Error(
    status === undefined ? 'it does not speak the tcp_table protocol' : `it answers ${status}: ${decode(text)}`,
  )
}

const encode = (text: string): string =>
  [...Buffer.from(text, 'utf8')]
    .map(byte =>
      byte <= 0x20 || byte >= 0x7f || byte === 0x25
        ? `%${byte.toString(16).padStart(2, '0')}`
        : String.fromCharCode(byte),
    )
    .join('')

const decode = (text: string): string =>
  Buffer.from(
    text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  ).toString('utf8')
