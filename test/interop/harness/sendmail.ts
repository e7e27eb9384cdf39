// Starts a private Sendmail of the rig.

import { type Mta, runningMta } from './mta.ts'
import { freePort, tempDir } from './places.ts'
import { rig } from './rig.ts'

export interface SendmailOptions {
  /** 'inet:HOST:PORT' and 'unix:/path' as for Postfix, or Sendmail's own 'S=inet:PORT@HOST, F=T, T=...'. */
  milters?: string[]
  /** T= of the short forms: 'C:5m;S:10s;R:10s;E:5m'. */
  timeouts?: string
  /** F= of the short forms: what a failing milter means, tempfail (T) unless told otherwise. */
  flags?: 'T' | 'R' | '4' | ''
  /** Further lines of the .mc file. */
  mc?: string[]
  /** Users as 'name:password' (realm example.com) who may AUTH. */
  sasl?: string[]
  tls?: boolean
  inet6?: boolean
}

export interface Sendmail extends Mta {
  kind: 'sendmail'
}

export async function startSendmail(options: SendmailOptions = {}): Promise<Sendmail> {
  const dir = tempDir('sendmail')
  const port = await freePort()
  const args = [
    ...(options.timeouts === undefined ? [] : ['--timeouts', options.timeouts]),
    ...(options.flags === undefined ? [] : ['--flags', options.flags]),
    ...(options.mc ?? []).flatMap(line => ['--mc', line]),
    ...(options.sasl ?? []).flatMap(user => ['--sasl', user]),
    ...(options.tls ? ['--tls'] : []),
    ...(options.inet6 ? ['--inet6'] : []),
  ]
  await rig('sendmail-up', ...args, dir, String(port), ...(options.milters ?? []))
  return { ...runningMta('sendmail', dir, port), kind: 'sendmail' }
}
