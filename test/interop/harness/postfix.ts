// Starts a private Postfix of the rig.

import { type Mta, runningMta } from './mta.ts'
import { freePort, tempDir } from './places.ts'
import { rig, run } from './rig.ts'

export interface PostfixOptions {
  /** smtpd_milters, in Postfix's syntax, braces with overrides included. */
  milters?: string[]
  nonSmtpdMilters?: string[]
  /** main.cf settings. */
  settings?: Record<string, string>
  /** Users as 'name:password' (realm example.com) who may AUTH. */
  sasl?: string[]
  tls?: boolean
  inet6?: boolean
  /** Limit of smtpd processes; 100. */
  maxproc?: number
  /** Further smtpd services of the same Postfix, each with milters of its own. */
  also?: { port: number; milters: string[] }[]
}

export interface Postfix extends Mta {
  kind: 'postfix'
  /** Local submission by sendmail(1): mail that only non_smtpd_milters see. */
  submit(message: string | Buffer, envelope: { from: string; to: string[] }): Promise<void>
}

export async function startPostfix(options: PostfixOptions = {}): Promise<Postfix> {
  const dir = tempDir('postfix')
  const port = await freePort()
  const args = [
    ...Object.entries(options.settings ?? {}).flatMap(([name, value]) => ['-o', `${name}=${value}`]),
    ...(options.nonSmtpdMilters ?? []).flatMap(milter => ['-n', milter]),
    ...(options.sasl ?? []).flatMap(user => ['--sasl', user]),
    ...(options.tls ? ['--tls'] : []),
    ...(options.inet6 ? ['--inet6'] : []),
    ...(options.maxproc === undefined ? [] : ['--maxproc', String(options.maxproc)]),
    ...(options.also ?? []).flatMap(({ port: at, milters }) => ['--also', String(at), milters.join(', ')]),
  ]
  await rig('postfix-up', ...args, dir, String(port), ...(options.milters ?? []))
  return {
    ...runningMta('postfix', dir, port),
    kind: 'postfix',
    submit: async (message, { from, to }) => {
      const config = `${dir}/etc`
      await run('/usr/sbin/sendmail', ['-C', config, '-i', '-f', from, '--', ...to], message, { MAIL_CONFIG: config })
    },
  }
}
