/**
 * OpenBSD's spamd: what `spamdb` prints (spamdb(8)).
 *
 * `GREY|ip|helo|from|to|first|pass|expire|block|pass`, `WHITE|ip|||first|pass|expire|block|pass`, `TRAPPED|ip|expire`,
 * `SPAMTRAP|address`. OpenBSD before 4.4 and NetBSD leave out the HELO.
 */
import { isIP } from 'node:net'
import { epoch, type LineReader } from './old.ts'

/** How long spamd keeps a white entry after its last mail: 36 days. Milliseconds. */
const WHITE_LIFE = 36 * 86_400_000

export const spamdb = (): LineReader => line => {
  if (line === '') return null
  const [type, ip = '', ...rest] = line.split('|')
  if (type === 'SPAMTRAP')
    return { kind: 'left-out', why: 'addresses of traps: put them into the option traps.recipients' }
  if (type !== 'GREY' && type !== 'WHITE' && type !== 'TRAPPED')
    throw new Error(`${JSON.stringify(type)} is no type of spamdb`)
  if (isIP(ip) === 0) throw new Error(`${JSON.stringify(ip)} is no address`)
  if (type === 'TRAPPED') {
    if (rest.length !== 1) throw new Error('not three columns')
    return { kind: 'trapped', client: ip, until: epoch(rest[0]) }
  }
  if (rest.length < 7 || rest.length > 8) throw new Error('not nine or ten columns')
  const [first, , expire] = rest.slice(-5)
  const begun = epoch(first)
  if (type === 'WHITE')
    return { kind: 'known', client: ip, first: begun, last: Math.max(begun, epoch(expire) - WHITE_LIFE) }
  const [from = '', to = ''] = rest.slice(-7)
  return { kind: 'waiting', client: ip, sender: bare(from), recipient: bare(to), first: begun, last: begun }
}

const bare = (address: string): string => address.replace(/^<(.*)>$/, '$1')
