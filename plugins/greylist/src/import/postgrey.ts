/**
 * postgrey 1.3x: its two Berkeley databases, as `db_dump -p` (db5.3-util) writes them.
 *
 * `postgrey_clients.db`: address to `passes,last`. `postgrey.db`: `network/sender/recipient` to `first,last`, the sender without
 * numbers and extension already. Keys of `--privacy` are bare hashes and say nothing.
 */
import { isIP } from 'node:net'
import { domainOf, epoch, type LineReader, type Old } from './old.ts'

/** A triplet whose last attempt came so long after the first has passed: postgrey's default `--delay`. Milliseconds. */
const DELAY = 300_000
/** postgrey's default `--auto-whitelist-clients`. */
const ENOUGH = 5

export function postgrey(): LineReader {
  let key: string | null = null
  return line => {
    // Data is indented by a blank, everything else is about the file.
    if (!line.startsWith(' ')) {
      key = null
      return null
    }
    const text = unescaped(line.slice(1))
    if (key === null) {
      key = text
      return null
    }
    const name = key
    key = null
    return pair(name, text)
  }
}

function pair(key: string, value: string): Old {
  if (/^[0-9a-f]{40}$/.test(key)) return { kind: 'left-out', why: 'hashed by --privacy' }
  const [one, two] = value.split(',')
  // With --lookup-by-host the address has its length, `192.0.2.1/32`.
  const triplet = /^([^/]+)(\/32|\/128)?\/(.*)\/([^/]*)$/.exec(key)
  if (triplet === null) {
    if (isIP(key) === 0) throw new Error(`${JSON.stringify(key)} is no key of postgrey`)
    if (one === undefined || !/^\d{1,9}$/.test(one)) throw new Error(`${JSON.stringify(value)} is no value of postgrey`)
    const last = epoch(two)
    if (Number(one) < ENOUGH) return { kind: 'left-out', why: 'clients with fewer than 5 passes' }
    return { kind: 'known', client: key, first: last, last }
  }
  const [, net = '', whole, sender = '', recipient = ''] = triplet
  const client = whole === undefined ? clientOf(net) : addressOf(net)
  const [first, last] = [epoch(one), epoch(two)]
  if (last - first >= DELAY) return { kind: 'passed', client, domain: domainOf(sender), first, last }
  return { kind: 'waiting', client, sender, recipient, first, last }
}

/** A network is written as its first address, which is that of no mail server. */
function clientOf(net: string): string {
  const address = addressOf(net)
  if (isIP(address) === 6) return `${address}/64`
  return address.endsWith('.0') ? `${address}/24` : address
}

function addressOf(text: string): string {
  if (isIP(text) === 0) throw new Error(`${JSON.stringify(text)} is no address`)
  return text
}

/** Bytes that do not print are `\xx`. */
const unescaped = (text: string): string =>
  text.replace(/\\(\\|[0-9a-f]{2})/gi, (_, code: string) =>
    code === '\\' ? code : String.fromCharCode(Number.parseInt(code, 16)),
  )
