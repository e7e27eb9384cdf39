/**
 * milter-greylist 4: the text file it dumps to (`dumpfreq`), `address sender recipient time [AUTO|TARPIT]` with tabs, and
 * unless `dump_no_time_translation` is set the date as a comment.
 *
 * The time of a tuple that waits is when it will be let pass, that of one that has (`AUTO`) when it will be forgotten. How long it
 * had to wait is not told, so its defaults are assumed: 30 minutes, and a day of white list.
 */
import { isIP } from 'node:net'
import { domainOf, epoch, type LineReader } from './old.ts'

const DELAY = 1_800_000
const AUTOWHITE = 86_400_000

export const milterGreylist = (): LineReader => line => {
  if (line === '' || line.startsWith('#')) return null
  const [address = '', from = '', to = '', time, mark, ...rest] = line.replace(/\s+#.*$/, '').split(/\s+/)
  const client = address.replace(/^\[(.*)\]$/, '$1')
  if (isIP(client) === 0) throw new Error(`${JSON.stringify(address)} is no address`)
  if (rest.length > 0 || (mark !== undefined && mark !== 'AUTO' && mark !== 'TARPIT'))
    throw new Error('not four or five columns')
  const sender = bare(from)
  const at = epoch(time)
  if (mark === 'AUTO') {
    const last = Math.max(0, at - AUTOWHITE)
    return { kind: 'passed', client, domain: domainOf(sender), first: last, last }
  }
  const first = Math.max(0, at - DELAY)
  return { kind: 'waiting', client, sender, recipient: bare(to), first, last: first }
}

const bare = (address: string): string => address.replace(/^<(.*)>$/, '$1')
