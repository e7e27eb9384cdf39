/**
 * The lines that make an MTA use a listener: `main.cf` for Postfix, `.mc` for Sendmail.
 *
 * The spellings differ (inet:HOST:PORT and inet:PORT@HOST), a wildcard address is not one to connect to, and Postfix reads a
 * relative UNIX path inside its queue directory, where a chrooted smtpd can reach it.
 */
import { formatSocketAddress, type SocketAddress } from '../bridge/wire/index.ts'

const QUEUE_DIRECTORY = '/var/spool/postfix/'

export interface MtaLines {
  readonly postfix: readonly string[]
  readonly sendmail: readonly string[]
  /** What to know, one sentence each. */
  readonly notes: readonly string[]
}

export function mtaLines(bound: SocketAddress): MtaLines {
  const address = reachable(bound)
  const notes: string[] = []
  const unix = address.kind === 'unix'
  const inQueue = unix && address.path.startsWith(QUEUE_DIRECTORY)
  const postfix = inQueue
    ? `unix:${address.path.slice(QUEUE_DIRECTORY.length)}`
    : formatSocketAddress(address, 'postfix')
  const sendmail = unix ? `unix:${address.path}` : formatSocketAddress(address, 'sendmail')
  if (unix && !inQueue) {
    notes.push(`Postfix: a chrooted smtpd cannot reach ${address.path}; a socket under ${QUEUE_DIRECTORY} it can.`)
  }
  if (!unix) {
    // Sendmail 8.17 writes a command and its data separately: delayed acknowledgement holds up each step on TCP.
    notes.push('Sendmail: listen on a UNIX socket instead; over TCP each step takes it about 42 ms longer.')
  }
  return {
    postfix: [
      `smtpd_milters = ${postfix}`,
      'non_smtpd_milters = $smtpd_milters',
      'milter_default_action = tempfail',
      'milter_connect_timeout = 30s',
      'milter_command_timeout = 30s',
      'milter_content_timeout = 300s',
    ],
    sendmail: [`INPUT_MAIL_FILTER(\`milterhost', \`S=${sendmail}, F=T, T=C:30s;S:30s;R:30s;E:5m')dnl`],
    notes,
  }
}

/** For a person, ready to be copied. */
export function mtaText(bound: SocketAddress): string {
  const { postfix, sendmail, notes } = mtaLines(bound)
  return [
    'Postfix, in main.cf:',
    ...postfix.map(line => `  ${line}`),
    'Sendmail, in the .mc file:',
    ...sendmail.map(line => `  ${line}`),
    ...notes,
  ].join('\n')
}

/** Where to connect to what listens on every interface. */
function reachable(address: SocketAddress): SocketAddress {
  if (address.kind === 'unix') return address
  if (address.host === '0.0.0.0') return { ...address, host: '127.0.0.1' }
  if (address.host === '::') return { ...address, host: '::1' }
  return address
}
